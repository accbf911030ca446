//! Converts CloudFormation templates to the output of the EC2 API. A template has no ids yet, so
//! the logical id of a resource is used as its id.
//!
//! Templates are evaluated as CloudFormation does, but lazily: only the conditions and properties
//! of traffic mirroring resources and their network interfaces are evaluated, with everything that
//! these refer to. Work and depth are limited, because functions can repeat and double texts.

mod conditions;
mod for_each;
mod include;
mod lists;
mod load;
mod loader;
mod parameters;
mod properties;
mod references;
mod scope;
mod section;
mod stack;
mod strings;
mod types;

use super::aws::resource;
use super::collector::ProblemCollector;
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::parameter_values::ParameterValues;
use super::resource::{Kind, Resource};
use super::resource_set::ResourceSet;
use super::standalone_rules::StandaloneRule;
use super::template_files::TemplateFiles;
use load::{load, unknown_condition};
use loader::Loader;
use properties::{interface_properties, properties_of, put_id};
use references::type_of;
use scope::{FOR_EACH, Scope, Unresolved};
use stack::Stacks;
use types::{NETWORK_INTERFACE, TYPES, TemplateType, is_unread_template};

/// The maximum number of resources of all templates. CloudFormation permits 500 in one stack.
const MAX_RESOURCES: usize = 20_000;

/// Whether a document is a CloudFormation template.
pub(super) fn is_template(root: &Node<'_>) -> bool {
    let Value::Table(table) = &root.value else { return false };
    let has_resources = table.entry("Resources").map(|entry| &entry.value.value);
    matches!(has_resources, Some(Value::Table(_))) || table.has("AWSTemplateFormatVersion")
}

/// Reads the resources of templates and of the stacks that they nest.
pub(super) fn read<'a>(
    templates: Vec<Node<'a>>,
    (values, files): (&ParameterValues, &TemplateFiles),
    into: &mut ResourceSet<'a>,
    out: &mut ProblemCollector<'_>,
) {
    let mut stacks = Stacks::new(values);
    for root in templates {
        load(root, &mut stacks, &mut Loader { files, out });
    }
    let mut resources_left = MAX_RESOURCES + 1;
    for stack in &stacks.all {
        let scope = Scope::new(&stacks, stack);
        let resources = &stack.resources.table;
        if resources.entries.is_empty() && resources.path.is_empty() {
            out.report_error(stack.position, "expected a CloudFormation template with Resources");
        }
        if let Some(unknown) = &stack.unknown_condition {
            if resources.entries.iter().any(|entry| has_mirroring_type(&entry.value)) {
                out.report_error(unknown.position, unknown.message.clone());
            }
            continue;
        }
        check_given_parameters(scope, out);
        resources_left = resources_left.saturating_sub(resources.entries.len());
        if resources_left == 0 {
            let message = format!("expected templates with at most {MAX_RESOURCES} resources");
            return out.report_error(stack.position, message);
        }
        for entry in &resources.entries {
            read_resource(scope, entry, into, out);
        }
    }
    let first = stacks.all.first().map(|stack| stack.position);
    for (name, value) in stacks.assumed() {
        let message = format!(
            "{name} determines what is mirrored and is not given: using {value}; give it with \
             --parameter {name}=VALUE"
        );
        out.report_warning(first.unwrap_or(SourcePosition { text: 0, offset: 0 }), message);
    }
}

/// Reports given values that their parameters do not accept, even if nothing needs them.
fn check_given_parameters(scope: Scope<'_, '_>, out: &mut ProblemCollector<'_>) {
    for entry in &scope.stack.parameters.table.entries {
        if scope.stacks.values.value(&scope.stack.full_name(&entry.key)).is_none() {
            continue;
        }
        if let Err(Unresolved { expected, .. }) = scope.parameter(entry) {
            out.report_error(entry.position, format!("--parameter: expected {expected}"));
        }
    }
}

fn read_resource<'a>(
    scope: Scope<'_, 'a>,
    entry: &TableEntry<'a>,
    into: &mut ResourceSet<'a>,
    out: &mut ProblemCollector<'_>,
) {
    if entry.key.starts_with(FOR_EACH) {
        return report_loop(scope, entry, out);
    }
    let Value::Table(body) = &entry.value.value else {
        if entry.key != "Fn::Transform" {
            out.report_wrong_type(entry, &entry.value, "a resource with Type and Properties");
        }
        return;
    };
    let kind = type_of(entry).unwrap_or_default();
    if is_unread_template(kind) {
        let message = format!("`{}` is not read: {kind} deploys another template", entry.key);
        out.report_warning(entry.position, message);
    }
    let known = TYPES.iter().find(|(name, ..)| *name == kind);
    if known.is_none() && kind != NETWORK_INTERFACE {
        return;
    }
    match (scope.exists(entry), known) {
        (Ok(false), _) => {}
        (_, None) => into.known_interfaces.push(interface(scope, entry, body, out)),
        (Ok(true), Some((name, template_type, known))) => {
            let object = properties_of(scope, (entry, body), (name, known), out);
            push(*template_type, (entry, &object), into, out);
        }
        (Err(unresolved), Some(_)) => {
            let unknown = unknown_condition(entry, unresolved);
            out.report_error(unknown.position, unknown.message);
        }
    }
}

fn push<'a>(
    template_type: TemplateType,
    (entry, object): (&TableEntry<'a>, &Table<'a>),
    into: &mut ResourceSet<'a>,
    out: &mut ProblemCollector<'_>,
) {
    let position = entry.position;
    match template_type {
        TemplateType::Rule => {
            into.standalone_rules.extend(StandaloneRule::read(position, object, out));
        }
        TemplateType::One(kind, _) => {
            let table = resource(kind, position, object, out);
            into.imply_interface(&table);
            into.push(kind, Resource { position, table });
        }
    }
}

/// A network interface of the template, with the values that are known before deployment.
fn interface<'a>(
    scope: Scope<'_, 'a>,
    entry: &TableEntry<'a>,
    body: &Table<'a>,
    out: &mut ProblemCollector<'_>,
) -> Resource<'a> {
    let mut object = interface_properties(scope, entry, body);
    put_id(&mut object, "NetworkInterfaceId", scope, entry);
    let position = entry.position;
    Resource { position, table: resource(Kind::NetworkInterface, position, &object, out) }
}

/// Reports a loop that cannot be evaluated, if traffic mirroring resources are in it.
fn report_loop(scope: Scope<'_, '_>, entry: &TableEntry<'_>, out: &mut ProblemCollector<'_>) {
    if let Err(Unresolved { function, expected }) = scope.repeated(entry)
        && has_mirroring_type(&entry.value)
    {
        out.report_invalid(entry, &entry.value, function, expected);
    }
}

fn has_mirroring_type(node: &Node<'_>) -> bool {
    match &node.value {
        Value::String(text) => types::is_mirroring_type(text),
        Value::Array(items) => items.iter().any(has_mirroring_type),
        Value::Table(table) => table.entries.iter().any(|entry| has_mirroring_type(&entry.value)),
        _ => false,
    }
}
