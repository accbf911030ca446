//! Reads what templates name: nested stacks and included snippets in files beside them.

use super::super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::super::template_files::is_same_file;
use super::include::with_includes;
use super::loader::{Loader, MAX_DEPTH};
use super::references::type_of;
use super::scope::{Scope, Unresolved};
use super::section::Section;
use super::stack::{OuterStack, Stack, Stacks, UnknownCondition};
use super::types::NESTED_STACK;

/// Adds the stack of a template, and its nested stacks.
pub(super) fn load<'a>(root: Node<'a>, stacks: &mut Stacks<'_, 'a>, loader: &mut Loader<'_, '_>) {
    let file = loader.out.text_name(root.position).to_owned();
    let first = stacks.all.len();
    stacks.all.push(Stack::new(&root, file));
    complete(first, root, stacks, loader);
    let mut index = first;
    while index < stacks.all.len() {
        for nested in nested_stacks(index, stacks) {
            match load_nested(index, &nested, stacks, loader) {
                Ok(()) => {}
                Err(reason) => {
                    let NestedStack { name, position, location, .. } = nested;
                    let location = location.unwrap_or_else(|reason| reason);
                    loader.out.report_warning(
                        position,
                        format!("the nested stack `{name}` is not read: `{location}`: {reason}"),
                    );
                }
            }
        }
        index += 1;
    }
}

/// Replaces includes and loops of a stack.
fn complete<'a>(
    index: usize,
    root: Node<'a>,
    stacks: &mut Stacks<'_, 'a>,
    loader: &mut Loader<'_, '_>,
) {
    let Some(stack) = stacks.all.get(index) else { return };
    let scope = Scope::new(stacks, stack);
    let root = with_includes(root, scope, loader);
    if let Some(stack) = stacks.all.get_mut(index) {
        stack.set_sections(&root);
    }
    // Names of mappings and conditions are needed by the loops over resources.
    let Some(stack) = stacks.all.get(index) else { return };
    let scope = Scope::new(stacks, stack);
    let conditions = scope.with_loops(&stack.conditions.table);
    let resources = scope.with_loops(&stack.resources.table);
    let outputs = scope.with_loops(&stack.outputs.table);
    if let Some(stack) = stacks.all.get_mut(index) {
        stack.conditions = Section::new(conditions);
        stack.resources = Section::new(resources);
        stack.outputs = Section::new(outputs);
    }
}

/// A nested stack of a template.
struct NestedStack<'a> {
    name: String,
    position: SourcePosition,
    parameters: Option<Node<'a>>,
    unknown_condition: Option<UnknownCondition>,
    /// The location of the template, or why it is not known.
    location: Result<String, String>,
}

/// The nested stacks of a stack, except those whose condition is false.
fn nested_stacks<'a>(index: usize, stacks: &Stacks<'_, 'a>) -> Vec<NestedStack<'a>> {
    let Some(stack) = stacks.all.get(index) else { return Vec::new() };
    let scope = Scope::new(stacks, stack);
    let is_nested = |entry: &&TableEntry<'a>| type_of(entry) == Some(NESTED_STACK);
    let all = stack.resources.table.entries.iter().filter(is_nested);
    let nested = all.filter_map(|entry| {
        let unknown_condition = match scope.exists(entry) {
            Ok(true) => None,
            Ok(false) => return None,
            Err(unresolved) => Some(unknown_condition(entry, unresolved)),
        };
        let body = match &entry.value.value {
            Value::Table(body) => Some(body),
            _ => None,
        };
        let properties = body.and_then(|body| body.table("Properties"));
        let parameters = properties.and_then(|table| table.entry("Parameters"));
        Some(NestedStack {
            unknown_condition,
            name: entry.key.to_string(),
            position: entry.position,
            parameters: parameters.map(|entry| entry.value.clone()),
            location: location(scope, body, properties),
        })
    });
    nested.collect()
}

/// The error that the condition of a resource cannot be evaluated, at its position.
pub(super) fn unknown_condition(
    entry: &TableEntry<'_>,
    unresolved: Unresolved,
) -> UnknownCondition {
    let condition = match &entry.value.value {
        Value::Table(body) => body.entry("Condition").map(|one| one.value.position),
        _ => None,
    };
    let Unresolved { function, expected } = unresolved;
    let name = &entry.key;
    let message = format!("{name}.Condition cannot be evaluated: {function}: expected {expected}");
    UnknownCondition { position: condition.unwrap_or(entry.position), message }
}

/// The location of the template of a nested stack. CDK writes that of its file to the metadata.
fn location<'a>(
    scope: Scope<'_, 'a>,
    body: Option<&Table<'a>>,
    properties: Option<&Table<'a>>,
) -> Result<String, String> {
    let asset = body.and_then(|body| body.table("Metadata")?.string("aws:asset:path"));
    if let Some(path) = asset {
        return Ok(path.to_owned());
    }
    let entry = properties.and_then(|table| table.entry("TemplateURL"));
    let entry = entry.ok_or_else(|| "TemplateURL is missing".to_owned())?;
    scope
        .location("TemplateURL", &entry.value)
        .map_err(|unresolved| format!("{}: expected {}", unresolved.function, unresolved.expected))
}

fn load_nested<'a>(
    outer: usize,
    nested: &NestedStack<'a>,
    stacks: &mut Stacks<'_, 'a>,
    loader: &mut Loader<'_, '_>,
) -> Result<(), String> {
    let location = nested.location.as_ref().map_err(|_| "its location is not known".to_owned())?;
    let Some(stack) = stacks.all.get(outer) else { return Ok(()) };
    let ancestors = ancestors(outer, stacks);
    if ancestors.len() >= MAX_DEPTH {
        return Err(format!("expected stacks that are nested at most {MAX_DEPTH} levels deep"));
    }
    let (file, root) = loader.read(&stack.file, location)?;
    if ancestors.iter().any(|one| is_same_file(one, &file)) {
        return Err("it nests itself".to_owned());
    }
    let mut inner = Stack::new(&root, file);
    inner.name = format!("{}-{}", stack.name, nested.name);
    inner.prefix = format!("{}{}.", stack.prefix, nested.name);
    inner.outer = Some(OuterStack { index: outer, parameters: nested.parameters.clone() });
    inner.unknown_condition =
        stack.unknown_condition.clone().or_else(|| nested.unknown_condition.clone());
    let index = stacks.all.len();
    stacks.all.push(inner);
    if let Some(stack) = stacks.all.get_mut(outer) {
        stack.nested.insert(nested.name.clone(), index);
    }
    complete(index, root, stacks, loader);
    Ok(())
}

/// The files of a stack and of those that nest it.
fn ancestors<'n>(index: usize, stacks: &'n Stacks<'_, '_>) -> Vec<&'n str> {
    let mut files = Vec::new();
    let mut next = Some(index);
    while let Some(stack) = next.and_then(|index| stacks.all.get(index)) {
        files.push(&*stack.file);
        next = stack.outer.as_ref().map(|outer| outer.index);
    }
    files
}
