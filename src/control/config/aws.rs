//! Converts the output of the EC2 API's describe calls to the tables of a TOML file.
//!
//! The output has lists such as `TrafficMirrorSessions` and `NetworkInterfaces`. Each object
//! becomes the table that a TOML file has for it; values keep their positions in the JSON text.
//! Unused keys and null values are left out.

use super::api_keys::warn_of_capitals;
use super::aws_parts::{private_addresses, rename_keys, rules_of_filter};
use super::collector::{ProblemCollector, api_spelling};
use super::document::{Node, SourcePosition, Table, Value};
use super::fields::tables_of;
use super::resource::{Kind, Resource};
use super::resource_set::ResourceSet;
use super::resources::{SESSION, TARGET};
use super::standalone_rules::StandaloneRule;

/// Keys of a network interface that are plain values in the API.
const NETWORK_INTERFACE: [&str; 3] = ["network_interface_id", "mac_address", "description"];

/// Keys of a filter that are plain values in the API.
const FILTER: [&str; 3] = ["traffic_mirror_filter_id", "network_services", "description"];

/// The lists of the describe calls, and the content of each.
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

/// Reads the resources of one file: an object, or a list of objects from several calls.
pub(super) fn read<'a>(root: Node<'a>, into: &mut ResourceSet<'a>, out: &mut ProblemCollector<'_>) {
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
    into: &mut ResourceSet<'a>,
    out: &mut ProblemCollector<'_>,
) -> bool {
    let mut is_known = false;
    warn_of_capitals(table, KNOWN.map(|(name, _)| name.to_owned()), out);
    for (name, content) in KNOWN {
        let Some(entry) = table.entry(name) else { continue };
        is_known = true;
        if matches!(entry.value.value, Value::Null) {
            continue;
        }
        for (position, object) in tables_of(entry, out) {
            match content {
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

/// The table of a resource, with the keys of TOML.
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
        Kind::Session => rename_keys(object, &SESSION, out),
        Kind::Target => rename_keys(object, &TARGET, out),
        Kind::NetworkInterface => {
            let mut table = rename_keys(object, &NETWORK_INTERFACE, out);
            table.entries.extend(private_addresses(position, object, out));
            table
        }
        Kind::Filter => {
            let mut table = rename_keys(object, &FILTER, out);
            table.entries.push(rules_of_filter(position, object, out));
            table
        }
    }
}
