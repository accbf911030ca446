//! What the EC2 API says, put into the shape of a TOML file.
//!
//! The describe calls print `TrafficMirrorSessions`, `NetworkInterfaces` and so on; each object
//! becomes the table that a TOML file would hold, its values where they stand in the JSON. Keys
//! that mean nothing here are left out, and so is what is null.

use std::borrow::Cow;

use super::api_keys::warn_of_capitals;
use super::aws_parts::{list_to_tags, private_addresses, rules_of_filter};
use super::collector::{ProblemCollector, api_spelling};
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::fields::tables_of;
use super::resource::{Kind, Resource, Resources};
use super::resources::{SESSION, TARGET};
use super::standalone_rules::StandaloneRule;

/// Keys of a network interface that are plain values in the API.
const NETWORK_INTERFACE: [&str; 3] = ["network_interface_id", "mac_address", "description"];

/// Keys of a filter that are plain values in the API.
const FILTER: [&str; 3] = ["traffic_mirror_filter_id", "network_services", "description"];

const KNOWN: [(&str, ListContent); 5] = [
    ("TrafficMirrorSessions", ListContent::Resource(Kind::Session)),
    ("TrafficMirrorFilters", ListContent::Resource(Kind::Filter)),
    ("TrafficMirrorFilterRules", ListContent::Rules),
    ("TrafficMirrorTargets", ListContent::Resource(Kind::Target)),
    ("NetworkInterfaces", ListContent::Resource(Kind::NetworkInterface)),
];

#[derive(Clone, Copy)]
enum ListContent {
    Resource(Kind),
    Rules,
}

/// Takes the resources of one file: an object, or a list of objects as several calls print them.
pub(super) fn read<'a>(root: Node<'a>, into: &mut Resources<'a>, out: &mut ProblemCollector<'_>) {
    let position = root.position;
    let objects = match root.value {
        Value::Array(objects) => objects,
        value => vec![Node { position, value }],
    };
    let mut is_known = false;
    for node in objects {
        match node.value {
            Value::Table(table) => is_known |= read_object(&table, into, out),
            value => {
                let kind = value.kind();
                out.report_error(node.position, format!("expected a JSON object, got {kind}"));
                is_known = true;
            }
        }
    }
    if !is_known {
        let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "expected an object with one of the keys {}, a CloudFormation template with Resources, \
             or what `terraform show -json` prints",
            names.join(", ")
        );
        out.report_error(position, message);
    }
}

fn read_object<'a>(
    table: &Table<'a>,
    into: &mut Resources<'a>,
    out: &mut ProblemCollector<'_>,
) -> bool {
    let mut is_known = false;
    warn_of_capitals(table, KNOWN.map(|(name, _)| name.to_owned()), out);
    for (name, part) in KNOWN {
        let Some(entry) = table.entry(name) else { continue };
        is_known = true;
        if matches!(entry.value.value, Value::Null) {
            continue;
        }
        for (position, object) in tables_of(entry, out) {
            match part {
                ListContent::Resource(kind) => {
                    let table = resource(kind, position, object, out);
                    into.push(kind, Resource { position, table });
                }
                ListContent::Rules => {
                    into.standalone_rules.extend(StandaloneRule::read(position, object, out));
                }
            }
        }
    }
    is_known
}

pub(super) fn resource<'a>(
    kind: Kind,
    position: SourcePosition,
    object: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> Table<'a> {
    let keys: &[&str] = match kind {
        Kind::Session => &SESSION,
        Kind::Target => &TARGET,
        Kind::NetworkInterface => &NETWORK_INTERFACE,
        Kind::Filter => &FILTER,
    };
    warn_of_capitals(object, keys.iter().map(|key| api_spelling(key)), out);
    match kind {
        Kind::Session => renamed(object, &SESSION, out),
        Kind::Target => renamed(object, &TARGET, out),
        Kind::NetworkInterface => {
            let mut table = renamed(object, &NETWORK_INTERFACE, out);
            table.entries.extend(private_addresses(position, object, out));
            table
        }
        Kind::Filter => {
            let mut table = renamed(object, &FILTER, out);
            table.entries.push(rules_of_filter(position, object, out));
            table
        }
    }
}

/// The entries whose keys the API spells after `keys`, and the tags.
pub(super) fn renamed<'a>(
    object: &Table<'a>,
    keys: &[&'static str],
    out: &mut ProblemCollector<'_>,
) -> Table<'a> {
    let mut entries: Vec<TableEntry<'a>> = keys
        .iter()
        .filter(|key| **key != "tags")
        .filter_map(|key| Some((*key, object.entry(&api_spelling(key))?)))
        .filter(|(key, entry)| says_something(key, &entry.value.value))
        .map(|(key, entry)| TableEntry { key: Cow::Borrowed(key), ..entry.clone() })
        .collect();
    entries.extend(list_to_tags(object, out));
    Table { path: object.path.clone(), entries }
}

/// EC2 prints an empty description where there is none.
fn says_something(key: &str, value: &Value<'_>) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => key != "description" || !text.is_empty(),
        _ => true,
    }
}
