//! Converts the parts of the EC2 API that differ from a TOML file: names of keys, lists of tags,
//! addresses in several places, rules by direction.

use std::borrow::Cow;

use super::collector::{ProblemCollector, api_spelling};
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::fields::tables_of;
use super::filters::{PORT_RANGE, RULE};
use crate::model::Direction;

/// The entries of `object` for these TOML keys, which the API spells in its own way, and the tags.
pub(super) fn rename_keys<'a>(
    object: &Table<'a>,
    keys: &[&'static str],
    out: &mut ProblemCollector<'_>,
) -> Table<'a> {
    let mut entries: Vec<TableEntry<'a>> = keys
        .iter()
        .filter(|key| **key != "tags")
        .filter_map(|key| Some((*key, object.entry(&api_spelling(key))?)))
        .filter(|(key, entry)| is_set(key, &entry.value.value))
        .map(|(key, entry)| TableEntry { key: Cow::Borrowed(key), ..entry.clone() })
        .collect();
    entries.extend(list_to_tags(object, out));
    Table { path: object.path.clone(), entries }
}

/// Whether a value is set. EC2 prints an empty description if there is none.
fn is_set(key: &str, value: &Value<'_>) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => key != "description" || !text.is_empty(),
        _ => true,
    }
}

/// `[{"Key": k, "Value": v}]` as a table. Network interfaces call it `TagSet`.
fn list_to_tags<'a>(object: &Table<'a>, out: &mut ProblemCollector<'_>) -> Option<TableEntry<'a>> {
    let list = given(object, "Tags").or_else(|| given(object, "TagSet"))?;
    let mut entries = Vec::new();
    for (position, tag) in tables_of(list, out) {
        let Some(key) = tag.entry("Key") else {
            out.report_missing("key", &tag.path, position, "the key of a tag");
            continue;
        };
        let Value::String(name) = &key.value.value else {
            out.report_wrong_type(key, &key.value, "a string");
            continue;
        };
        let value = match given(tag, "Value") {
            None => Node { position, value: Value::String(Cow::Borrowed("")) },
            Some(value) if matches!(value.value.value, Value::String(_)) => value.value.clone(),
            Some(value) => {
                out.report_wrong_type(value, &value.value, "a string");
                continue;
            }
        };
        entries.push(TableEntry { key: name.clone(), value, ..key.clone() });
    }
    let table = Table { path: list.parent.clone(), entries };
    let value = Node { position: list.value.position, value: Value::Table(table) };
    Some(TableEntry { key: Cow::Borrowed("tags"), value, ..list.clone() })
}

/// `PrivateIpAddress`, `PrivateIpAddresses` and `Ipv6Addresses` as one list without duplicates:
/// IPv4 before IPv6, and the primary address of each family first.
pub(super) fn private_addresses<'a>(
    position: SourcePosition,
    object: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> Option<TableEntry<'a>> {
    let mut found: Vec<Node<'a>> = Vec::new();
    // The first entry with addresses, whose position the list has in messages.
    let mut from: Option<&TableEntry<'a>> = None;
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
        found.extend(tables.iter().filter_map(|(_, one)| Some(given(one, key)?.value.clone())));
    }
    let mut addresses: Vec<Node<'a>> = Vec::with_capacity(found.len());
    for node in found {
        let shown = node.value.shown();
        if !addresses.iter().any(|known| known.value.shown() == shown) {
            addresses.push(node);
        }
    }
    let value = Node { position, value: Value::Array(addresses) };
    from.map(|entry| TableEntry {
        key: Cow::Borrowed("private_ip_addresses"),
        value,
        ..entry.clone()
    })
}

fn is_true(table: &Table<'_>, key: &str) -> bool {
    table.entry(key).is_some_and(|entry| matches!(entry.value.value, Value::Bool(true)))
}

/// The rules of both directions as one list.
pub(super) fn rules_of_filter<'a>(
    position: SourcePosition,
    object: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> TableEntry<'a> {
    let mut rules = Vec::new();
    for (list, direction) in
        [("IngressFilterRules", Direction::Ingress), ("EgressFilterRules", Direction::Egress)]
    {
        let Some(entry) = given(object, list) else { continue };
        for (position, table) in tables_of(entry, out) {
            check_filter(object, table, out);
            let table = rule(position, table, Some(direction), out);
            rules.push(Node { position, value: Value::Table(table) });
        }
    }
    let value = Node { position, value: Value::Array(rules) };
    TableEntry { key: Cow::Borrowed("rule"), parent: object.path.clone(), position, value }
}

/// Reports a rule that names a filter other than the one that lists it.
fn check_filter(filter: &Table<'_>, rule: &Table<'_>, out: &mut ProblemCollector<'_>) {
    let key = "TrafficMirrorFilterId";
    let Some((own, named)) = given(filter, key).zip(given(rule, key)) else { return };
    let (own, value) = (own.value.value.shown(), named.value.value.shown());
    if own != value {
        out.report_invalid(
            named,
            &named.value,
            value,
            format!("{own}, the filter that lists the rule"),
        );
    }
}

/// A rule. `direction` is that of the list that contains it, if any.
pub(super) fn rule<'a>(
    position: SourcePosition,
    object: &Table<'a>,
    direction: Option<Direction>,
    out: &mut ProblemCollector<'_>,
) -> Table<'a> {
    let mut table = rename_keys(object, &RULE, out);
    for entry in &mut table.entries {
        if let Value::Table(range) = &entry.value.value
            && entry.key.ends_with("port_range")
        {
            entry.value.value = Value::Table(rename_keys(range, &PORT_RANGE, out));
        }
    }
    let Some(direction) = direction else { return table };
    match table.entry("traffic_direction") {
        None => {
            let value = Value::String(Cow::Borrowed(direction.as_str()));
            table.entries.push(TableEntry {
                key: Cow::Borrowed("traffic_direction"),
                parent: object.path.clone(),
                position,
                value: Node { position, value },
            });
        }
        Some(entry) => {
            let value = entry.value.value.shown();
            if Direction::parse(&value).is_ok_and(|given| given != direction) {
                let list = api_spelling(direction.as_str());
                let expected = format!("{direction}, because it is listed in {list}FilterRules");
                out.report_invalid(entry, &entry.value, value, expected);
            }
        }
    }
    table
}

/// The entry of that key, if it is not null.
fn given<'n, 'a>(table: &'n Table<'a>, key: &str) -> Option<&'n TableEntry<'a>> {
    table.entry(key).filter(|entry| !matches!(entry.value.value, Value::Null))
}
