//! Converts CloudFormation templates to the output of the EC2 API. A template has no ids yet, so
//! the logical id of a resource is used as its id.

use std::borrow::Cow;

use super::aws::resource;
use super::cloudformation_types::{NETWORK_INTERFACE, NUMBERS, TYPES, TemplateType};
use super::collector::ProblemCollector;
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::functions::TemplateScope;
use super::resource::{Kind, Resource};
use super::resource_set::ResourceSet;
use super::standalone_rules::StandaloneRule;
use crate::control::nearest::nearest;

/// Whether a document is a CloudFormation template.
pub(super) fn is_template(root: &Node<'_>) -> bool {
    let Value::Table(table) = &root.value else { return false };
    let has_resources = table.entry("Resources").map(|entry| &entry.value.value);
    matches!(has_resources, Some(Value::Table(_))) || table.has("AWSTemplateFormatVersion")
}

/// Reads the resources of a template.
pub(super) fn read<'a>(
    root: &Node<'a>,
    into: &mut ResourceSet<'a>,
    out: &mut ProblemCollector<'_>,
) {
    let table_of = |key: &str| match &root.value {
        Value::Table(table) => match &table.entry(key)?.value.value {
            Value::Table(table) => Some(table),
            _ => None,
        },
        _ => None,
    };
    let Some(resources) = table_of("Resources") else {
        return out
            .report_error(root.position, "expected a CloudFormation template with Resources");
    };
    let scope = TemplateScope { resources, parameters: table_of("Parameters") };
    for entry in &resources.entries {
        let Value::Table(body) = &entry.value.value else {
            out.report_wrong_type(entry, &entry.value, "a resource with Type and Properties");
            continue;
        };
        let kind = body.string("Type").unwrap_or_default();
        if let Some((name, template_type, properties)) =
            TYPES.iter().find(|(name, ..)| *name == kind)
        {
            let resource_reader = TemplateResource { scope: &scope, name, properties };
            resource_reader.read(entry, body, *template_type, (into, out));
        } else if kind == NETWORK_INTERFACE {
            into.known_interfaces.push(interface(&scope, entry, body, out));
        }
    }
}

struct TemplateResource<'t, 'n, 'a> {
    scope: &'t TemplateScope<'n, 'a>,
    name: &'static str,
    properties: &'static [&'static str],
}

impl<'a> TemplateResource<'_, '_, 'a> {
    fn read(
        &self,
        entry: &TableEntry<'a>,
        body: &Table<'a>,
        template_type: TemplateType,
        (into, out): (&mut ResourceSet<'a>, &mut ProblemCollector<'_>),
    ) {
        if let Some(condition) = body.entry("Condition") {
            let name = condition.value.value.shown();
            let note = "is not evaluated: the resource is always used";
            out.report_warning(condition.position, format!("the condition `{name}` {note}"));
        }
        let mut object = properties(self.scope, entry, body, out);
        for property in &object.entries {
            if !self.properties.contains(&&*property.key) {
                let hint = match nearest(&property.key, self.properties.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!(
                        "expected a property of {}: {}",
                        self.name,
                        self.properties.join(", ")
                    ),
                };
                out.report_unknown_key(property, hint);
            }
        }
        coerce(&mut object);
        let position = entry.position;
        match template_type {
            TemplateType::Rule => {
                put_id(&mut object, "TrafficMirrorFilterRuleId", entry);
                into.standalone_rules.extend(StandaloneRule::read(position, &object, out));
            }
            TemplateType::One(kind, key) => {
                put_id(&mut object, key, entry);
                let table = resource(kind, position, &object, out);
                into.imply_interface(&table);
                into.push(kind, Resource { position, table });
            }
        }
    }
}

/// The properties of a resource, with functions resolved.
fn properties<'a>(
    scope: &TemplateScope<'_, 'a>,
    entry: &TableEntry<'a>,
    body: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> Table<'a> {
    let empty = || Table { path: entry.parent.clone(), entries: Vec::new() };
    let Some(properties) = body.entry("Properties") else { return empty() };
    match &properties.value.value {
        Value::Table(table) => scope.resolved(table, out),
        _ => {
            out.report_wrong_type(properties, &properties.value, "a table");
            empty()
        }
    }
}

/// A network interface of the template, with the values that are known before deployment.
fn interface<'a>(
    scope: &TemplateScope<'_, 'a>,
    entry: &TableEntry<'a>,
    body: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> Resource<'a> {
    let empty = Table { path: entry.parent.clone(), entries: Vec::new() };
    let mut object = match body.entry("Properties").map(|entry| &entry.value.value) {
        Some(Value::Table(table)) => scope.known(table),
        _ => empty,
    };
    put_id(&mut object, "NetworkInterfaceId", entry);
    let position: SourcePosition = entry.position;
    Resource { position, table: resource(Kind::NetworkInterface, position, &object, out) }
}

fn put_id<'a>(object: &mut Table<'a>, key: &'static str, entry: &TableEntry<'a>) {
    let value = Node { position: entry.position, value: Value::String(entry.key.clone()) };
    let (parent, position) = (entry.parent.clone(), entry.position);
    object.entries.push(TableEntry { key: Cow::Borrowed(key), parent, position, value });
}

/// Converts strings to numbers and numbers to strings as the properties need, as CloudFormation
/// does.
fn coerce(object: &mut Table<'_>) {
    object.entries.iter_mut().for_each(|entry| coerce_value(&entry.key, &mut entry.value.value));
}

fn coerce_value(key: &str, value: &mut Value<'_>) {
    let is_number = NUMBERS.contains(&key);
    match value {
        Value::Table(table) => coerce(table),
        Value::Array(items) => {
            items.iter_mut().for_each(|item| coerce_value(key, &mut item.value));
        }
        Value::String(text) if is_number => {
            if let Ok(number) = text.parse() {
                *value = Value::Integer(number);
            }
        }
        Value::Integer(_) | Value::OtherNumber(_) | Value::Bool(_) if !is_number => {
            *value = Value::String(value.shown().into());
        }
        _ => {}
    }
}
