//! The parts of the EC2 API that have another shape there than in a TOML file: lists of tags,
//! addresses in several places, rules by direction.

use std::borrow::Cow;

use super::aws::renamed;
use super::collector::{Collector, api_spelling};
use super::document::{Entry, Node, Place, Table, Value};
use super::fields::tables_of;
use super::filters::{PORT_RANGE, RULE};
use crate::model::Direction;

/// `[{"Key": k, "Value": v}]` as a table. Network interfaces call it `TagSet`.
pub(super) fn list_to_tags<'a>(object: &Table<'a>, out: &mut Collector<'_>) -> Option<Entry<'a>> {
    let list = given(object, "Tags").or_else(|| given(object, "TagSet"))?;
    let mut entries = Vec::new();
    for (place, tag) in tables_of(list, out) {
        let Some(key) = tag.entry("Key") else {
            out.missing("key", &tag.path, place, "the key of a tag");
            continue;
        };
        let Value::String(name) = &key.value.value else {
            out.refuse_type(key, &key.value, "a string");
            continue;
        };
        let value = match given(tag, "Value") {
            None => Node { place, value: Value::String(Cow::Borrowed("")) },
            Some(value) if matches!(value.value.value, Value::String(_)) => value.value.clone(),
            Some(value) => {
                out.refuse_type(value, &value.value, "a string");
                continue;
            }
        };
        entries.push(Entry { key: name.clone(), value, ..key.clone() });
    }
    let table = Table { path: list.parent.clone(), entries };
    let value = Node { place: list.value.place, value: Value::Table(table) };
    Some(Entry { key: Cow::Borrowed("tags"), value, ..list.clone() })
}

/// `PrivateIpAddress`, `PrivateIpAddresses` and `Ipv6Addresses` as one list: IPv4 before IPv6, in
/// each family the primary one first, none twice.
pub(super) fn private_addresses<'a>(
    place: Place,
    object: &Table<'a>,
    out: &mut Collector<'_>,
) -> Option<Entry<'a>> {
    let mut found: Vec<Node<'a>> = Vec::new();
    let mut from: Option<&Entry<'a>> = None;
    if let Some(entry) = given(object, "PrivateIpAddress") {
        from = Some(entry);
        found.push(entry.value.clone());
    }
    for (list, key, primary) in [
        ("PrivateIpAddresses", "PrivateIpAddress", "Primary"),
        ("Ipv6Addresses", "Ipv6Address", "IsPrimaryIpv6"),
    ] {
        let Some(entry) = given(object, list) else { continue };
        from = from.or(Some(entry));
        let mut tables = tables_of(entry, out);
        tables.sort_by_key(|(_, table)| !is_true(table, primary));
        found.extend(tables.iter().filter_map(|(_, t)| Some(given(t, key)?.value.clone())));
    }
    let mut addresses: Vec<Node<'a>> = Vec::with_capacity(found.len());
    for node in found {
        let shown = node.value.shown();
        if !addresses.iter().any(|known| known.value.shown() == shown) {
            addresses.push(node);
        }
    }
    let value = Node { place, value: Value::Array(addresses) };
    from.map(|entry| Entry { key: Cow::Borrowed("private_ip_addresses"), value, ..entry.clone() })
}

fn is_true(table: &Table<'_>, key: &str) -> bool {
    table.entry(key).is_some_and(|entry| matches!(entry.value.value, Value::Bool(true)))
}

/// The rules of both directions as one list.
pub(super) fn rules_of_filter<'a>(
    place: Place,
    object: &Table<'a>,
    out: &mut Collector<'_>,
) -> Entry<'a> {
    let mut rules = Vec::new();
    for (list, direction) in
        [("IngressFilterRules", Direction::Ingress), ("EgressFilterRules", Direction::Egress)]
    {
        let Some(entry) = given(object, list) else { continue };
        for (place, table) in tables_of(entry, out) {
            check_filter(object, table, out);
            let table = rule(place, table, Some(direction), out);
            rules.push(Node { place, value: Value::Table(table) });
        }
    }
    let value = Node { place, value: Value::Array(rules) };
    Entry { key: Cow::Borrowed("rule"), parent: object.path.clone(), place, value }
}

/// Refuses a rule that names another filter than the one that it is listed in.
fn check_filter(filter: &Table<'_>, rule: &Table<'_>, out: &mut Collector<'_>) {
    let key = "TrafficMirrorFilterId";
    let Some((own, named)) = given(filter, key).zip(given(rule, key)) else { return };
    let (own, value) = (own.value.value.shown(), named.value.value.shown());
    if own != value {
        out.refuse(named, &named.value, value, format!("{own}, the filter that lists the rule"));
    }
}

/// A rule, which may stand in the list of one direction.
pub(super) fn rule<'a>(
    place: Place,
    object: &Table<'a>,
    direction: Option<Direction>,
    out: &mut Collector<'_>,
) -> Table<'a> {
    let mut table = renamed(object, &RULE, out);
    for entry in &mut table.entries {
        if let Value::Table(range) = &entry.value.value
            && entry.key.ends_with("port_range")
        {
            entry.value.value = Value::Table(renamed(range, &PORT_RANGE, out));
        }
    }
    let Some(direction) = direction else { return table };
    match table.entry("traffic_direction") {
        None => {
            let value = Value::String(Cow::Borrowed(direction.as_str()));
            table.entries.push(Entry {
                key: Cow::Borrowed("traffic_direction"),
                parent: object.path.clone(),
                place,
                value: Node { place, value },
            });
        }
        Some(entry) => {
            let said = entry.value.value.shown();
            if Direction::parse(&said).is_ok_and(|said| said != direction) {
                let list = api_spelling(direction.as_str());
                let expected = format!("{direction}, as it stands in {list}FilterRules");
                out.refuse(entry, &entry.value, said, expected);
            }
        }
    }
    table
}

/// The entry of that key, if it says anything.
fn given<'n, 'a>(table: &'n Table<'a>, key: &str) -> Option<&'n Entry<'a>> {
    table.entry(key).filter(|entry| !matches!(entry.value.value, Value::Null))
}
