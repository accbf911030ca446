//! The properties of a resource, evaluated and converted to the types of the EC2 API.

use std::borrow::Cow;

use super::super::collector::ProblemCollector;
use super::super::document::{Node, Table, TableEntry, Value};
use super::scope::{FOR_EACH, Scope, Unresolved, function_of};
use super::types::{NAMED_PROPERTIES, NUMBERS, TYPES, TemplateType};
use crate::control::nearest::nearest;
use crate::model::ADDRESS_TAG;

/// Properties that have no effect on what is mirrored. If they cannot be evaluated, they are left
/// out with a warning.
const WITHOUT_EFFECT: [&str; 2] = ["Description", "OwnerId"];

/// The properties of a network interface that are read.
const INTERFACE: [&str; 5] =
    ["Description", "Ipv6Addresses", "PrivateIpAddress", "PrivateIpAddresses", "Tags"];

/// The properties of a traffic mirroring resource, with its id. Reports those that its type does
/// not have, and those that cannot be evaluated.
pub(super) fn properties_of<'a>(
    scope: Scope<'_, 'a>,
    (resource, body): (&TableEntry<'a>, &Table<'a>),
    (type_name, known): (&str, &[&str]),
    out: &mut ProblemCollector<'_>,
) -> Table<'a> {
    let mut object = Table { path: resource.parent.clone(), entries: Vec::new() };
    if let Some(properties) = body.entry("Properties") {
        match &properties.value.value {
            Value::Table(table) => {
                object.path = table.path.clone();
                for entry in given_properties(scope, table, out) {
                    if !known.contains(&&*entry.key) {
                        report_unknown(&entry, type_name, known, out);
                    } else if let Some(value) = property(scope, &entry, out) {
                        object.entries.push(TableEntry { value, ..entry });
                    }
                }
            }
            _ => out.report_wrong_type(properties, &properties.value, "a table"),
        }
    }
    coerce(&mut object);
    let id_key = TYPES.iter().find(|(name, ..)| *name == type_name).map(|(_, kind, _)| kind);
    match id_key {
        Some(TemplateType::One(_, key)) => put_id(&mut object, key, scope, resource),
        _ => put_id(&mut object, "TrafficMirrorFilterRuleId", scope, resource),
    }
    object
}

/// The entries of a table of properties, with loops repeated.
fn given_properties<'a>(
    scope: Scope<'_, 'a>,
    table: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> Vec<TableEntry<'a>> {
    let mut entries = Vec::with_capacity(table.entries.len());
    for entry in &table.entries {
        if !entry.key.starts_with(FOR_EACH) {
            entries.push(entry.clone());
            continue;
        }
        match scope.repeated(entry) {
            Ok(repeated) => entries.extend(repeated),
            Err(Unresolved { function, expected }) => {
                out.report_invalid(entry, &entry.value, function, expected);
            }
        }
    }
    entries
}

fn report_unknown(
    entry: &TableEntry<'_>,
    type_name: &str,
    known: &[&str],
    out: &mut ProblemCollector<'_>,
) {
    if entry.key == "Fn::Transform" {
        let expected = "a file beside the template to include, or AWS::Include".to_owned();
        return out.report_invalid(entry, &entry.value, entry.value.value.shown(), expected);
    }
    let hint = match nearest(&entry.key, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("expected a property of {type_name}: {}", known.join(", ")),
    };
    out.report_unknown_key(entry, hint);
}

/// The value of a property, or `None` if it is not set or cannot be evaluated.
fn property<'a>(
    scope: Scope<'_, 'a>,
    entry: &TableEntry<'a>,
    out: &mut ProblemCollector<'_>,
) -> Option<Node<'a>> {
    let key = &*entry.key;
    if key == "Tags" {
        return tags(scope, entry, out);
    }
    let has_effect = !WITHOUT_EFFECT.contains(&key);
    let scope = scope.accepting_names(!has_effect || NAMED_PROPERTIES.contains(&key));
    match evaluated(scope, &entry.value) {
        Ok(value) => value,
        Err(unresolved) if has_effect => {
            let Unresolved { function, expected } = unresolved;
            out.report_invalid_and_omit(entry, &entry.value, function, expected);
            None
        }
        Err(unresolved) => {
            warn_of_omission(entry, &unresolved, out);
            None
        }
    }
}

fn evaluated<'a>(scope: Scope<'_, 'a>, node: &Node<'a>) -> Result<Option<Node<'a>>, Unresolved> {
    let value = scope.value(node)?;
    value.map(|value| scope.with_dynamic_references(value)).transpose()
}

fn warn_of_omission(
    entry: &TableEntry<'_>,
    unresolved: &Unresolved,
    out: &mut ProblemCollector<'_>,
) {
    let Unresolved { function, expected } = unresolved;
    out.report_adjusted(entry, format!("left out: {function}: expected {expected}"));
}

/// Tags. A tag that cannot be evaluated is left out, except the one with the address of a target.
fn tags<'a>(
    scope: Scope<'_, 'a>,
    entry: &TableEntry<'a>,
    out: &mut ProblemCollector<'_>,
) -> Option<Node<'a>> {
    let scope = scope.accepting_names(true);
    let chosen = match scope.chosen(&entry.value) {
        Ok(chosen) => chosen?,
        Err(unresolved) => {
            warn_of_omission(entry, &unresolved, out);
            return None;
        }
    };
    let Value::Array(items) = &chosen.value else {
        return match evaluated(scope, chosen) {
            Ok(value) => value,
            Err(unresolved) => {
                warn_of_omission(entry, &unresolved, out);
                None
            }
        };
    };
    let mut tags = Vec::with_capacity(items.len());
    for item in items {
        let is_address = has_address(scope, item);
        match evaluated(scope.accepting_names(!is_address), item) {
            Ok(tag) => tags.extend(tag),
            Err(Unresolved { function, expected }) if is_address => {
                let expected = format!("in the tag {ADDRESS_TAG} {expected}");
                out.report_invalid(entry, item, function, expected);
            }
            Err(unresolved) => warn_of_omission(entry, &unresolved, out),
        }
    }
    Some(Node { position: chosen.position, value: Value::Array(tags) })
}

/// Whether a tag has the address of a target.
fn has_address<'a>(scope: Scope<'_, 'a>, item: &Node<'a>) -> bool {
    let Ok(Some(Node { value: Value::Table(tag), .. })) = scope.chosen(item) else { return false };
    let key = tag.entry("Key").and_then(|key| scope.text("Tags", &key.value).ok());
    key.as_deref() == Some(ADDRESS_TAG)
}

/// The properties of a network interface that can be evaluated.
pub(super) fn interface_properties<'a>(
    scope: Scope<'_, 'a>,
    resource: &TableEntry<'a>,
    body: &Table<'a>,
) -> Table<'a> {
    let mut object = Table { path: resource.parent.clone(), entries: Vec::new() };
    let Some(Value::Table(table)) = body.entry("Properties").map(|one| &one.value.value) else {
        return object;
    };
    object.path = table.path.clone();
    for entry in table.entries.iter().filter(|entry| INTERFACE.contains(&&*entry.key)) {
        let scope = scope.accepting_names(matches!(&*entry.key, "Description" | "Tags"));
        let value = match (&*entry.key, &entry.value.value) {
            // A list item that is not known is left out.
            (_, Value::Array(items)) => {
                let known = items.iter().filter_map(|item| evaluated(scope, item).ok().flatten());
                let value = Value::Array(known.collect());
                Some(Node { position: entry.value.position, value })
            }
            _ => evaluated(scope, &entry.value).ok().flatten(),
        };
        object.entries.extend(value.map(|value| TableEntry { value, ..entry.clone() }));
    }
    coerce(&mut object);
    object
}

/// Adds the logical id of a resource as its id.
pub(super) fn put_id<'a>(
    object: &mut Table<'a>,
    key: &'static str,
    scope: Scope<'_, 'a>,
    resource: &TableEntry<'a>,
) {
    let id = Cow::Owned(scope.stack.full_name(&resource.key));
    let (parent, position) = (resource.parent.clone(), resource.position);
    let value = Node { position, value: Value::String(id) };
    object.entries.push(TableEntry { key: Cow::Borrowed(key), parent, position, value });
}

/// Converts strings to numbers and numbers to strings as the properties need, as CloudFormation
/// does.
fn coerce(object: &mut Table<'_>) {
    object.entries.iter_mut().for_each(|entry| coerce_value(&entry.key, &mut entry.value.value));
}

fn coerce_value(key: &str, value: &mut Value<'_>) {
    let is_number = NUMBERS.contains(&key);
    let is_boolean = matches!(key, "Primary" | "IsPrimaryIpv6");
    match value {
        Value::Table(table) if function_of(table).is_none() => coerce(table),
        Value::Array(items) => {
            items.iter_mut().for_each(|item| coerce_value(key, &mut item.value));
        }
        Value::String(text) if is_boolean => match &*text.trim().to_ascii_lowercase() {
            "true" => *value = Value::Bool(true),
            "false" => *value = Value::Bool(false),
            _ => {}
        },
        Value::String(text) if is_number => {
            if let Ok(number) = text.trim().parse() {
                *value = Value::Integer(number);
            }
        }
        Value::Integer(_) | Value::OtherNumber(_) | Value::Bool(_) if !is_number && !is_boolean => {
            *value = Value::String(value.shown().into());
        }
        _ => {}
    }
}
