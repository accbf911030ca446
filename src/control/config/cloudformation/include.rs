//! Includes snippets of templates: the transform `AWS::Include`.

use std::collections::BTreeSet;

use super::super::collector::ProblemCollector;
use super::super::document::{Node, Table, TableEntry, Value};
use super::super::template_files::is_same_file;
use super::loader::{Loader, MAX_DEPTH};
use super::scope::{Evaluated, Scope, refuse};

const INCLUDE: &str = "AWS::Include";

/// The template `root` with the content of the files that it includes. A file that cannot be read
/// gives a warning.
pub(super) fn with_includes<'a>(
    root: Node<'a>,
    scope: Scope<'_, 'a>,
    loader: &mut Loader<'_, '_>,
) -> Node<'a> {
    let file = scope.stack.file.clone();
    let mut includer = Includer { scope, loader, files: vec![file], reported: BTreeSet::new() };
    let root = includer.node(root);
    includer.with_global_transforms(root)
}

struct Includer<'i, 's, 'a, 'l, 't> {
    scope: Scope<'s, 'a>,
    loader: &'i mut Loader<'l, 't>,
    /// The file and those that include it.
    files: Vec<String>,
    /// The warnings that were reported.
    reported: BTreeSet<String>,
}

impl<'a> Includer<'_, '_, 'a, '_, '_> {
    fn node(&mut self, node: Node<'a>) -> Node<'a> {
        let Node { position, value } = node;
        let value = match value {
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.node(item)).collect())
            }
            Value::Table(table) => {
                return self.table(Node { position, value: Value::Table(table) });
            }
            value => value,
        };
        Node { position, value }
    }

    fn table(&mut self, node: Node<'a>) -> Node<'a> {
        let Node { position, value: Value::Table(table) } = node else { return node };
        let path = table.path.clone();
        let mut entries = Vec::with_capacity(table.entries.len());
        let is_alone = table.entries.len() == 1;
        for entry in table.entries {
            if entry.key != "Fn::Transform" {
                let value = self.node(entry.value);
                entries.push(TableEntry { value, ..entry });
                continue;
            }
            let mut included = match self.included(&entry.value) {
                Some(included) => included,
                None => {
                    entries.push(entry);
                    continue;
                }
            };
            included.relocate(&path);
            match included.value {
                Value::Table(inner) => entries.extend(inner.entries),
                _ if is_alone => return included,
                _ => {}
            }
        }
        Node { position, value: Value::Table(Table { path, entries }) }
    }

    /// The content of the file that an argument of `Fn::Transform` names.
    fn included(&mut self, transform: &Node<'a>) -> Option<Node<'a>> {
        let Value::Table(table) = &transform.value else { return None };
        if table.string("Name") != Some(INCLUDE) {
            return None;
        }
        let location = location(self.scope, table);
        let read = match location {
            Ok(location) => self.read(&location).map_err(|reason| (location, reason)),
            Err(refused) => Err((refused.function, format!("expected {}", refused.expected))),
        };
        match read {
            Ok(included) => Some(included),
            Err((location, reason)) => {
                let message = format!("the include `{location}` is not read: {reason}");
                if self.reported.insert(message.clone()) {
                    self.loader.out.report_warning(transform.position, message);
                }
                None
            }
        }
    }

    fn read(&mut self, location: &str) -> Result<Node<'a>, String> {
        if self.files.len() > MAX_DEPTH {
            return Err(format!("expected includes at most {MAX_DEPTH} levels deep"));
        }
        let from = self.files.last().cloned().unwrap_or_default();
        let (file, root) = self.loader.read(&from, location)?;
        if self.files.iter().any(|one| is_same_file(one, &file)) {
            return Err("it includes itself".to_owned());
        }
        self.files.push(file);
        let root = self.node(root);
        self.files.pop();
        Ok(root)
    }

    /// Adds the content of the files that the section `Transform` includes, and warns about macros.
    fn with_global_transforms(&mut self, root: Node<'a>) -> Node<'a> {
        let Node { position, value: Value::Table(mut table) } = root else { return root };
        let transforms = match table.entry("Transform").map(|entry| &entry.value) {
            Some(Node { value: Value::Array(items), .. }) => items.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        for transform in transforms {
            warn_of_macro(&transform, self.loader.out);
            let Some(Node { value: Value::Table(included), .. }) = self.included(&transform) else {
                continue;
            };
            for section in included.entries {
                add_section(&mut table, section);
            }
        }
        Node { position, value: Value::Table(table) }
    }
}

/// Adds a section, or its entries to the section that the template has.
fn add_section<'a>(table: &mut Table<'a>, section: TableEntry<'a>) {
    let known = table.entries.iter_mut().rfind(|entry| entry.key == section.key);
    match (known.map(|entry| &mut entry.value.value), section.value.value) {
        (Some(Value::Table(known)), Value::Table(added)) => known.entries.extend(added.entries),
        (_, value) => {
            let value = Node { position: section.value.position, value };
            table.entries.push(TableEntry { value, ..section });
        }
    }
}

/// Warns about a macro of the account, which may change resources.
fn warn_of_macro(transform: &Node<'_>, out: &mut ProblemCollector<'_>) {
    let name = match &transform.value {
        Value::String(name) => &**name,
        Value::Table(table) => table.string("Name").unwrap_or_default(),
        _ => "",
    };
    if !name.starts_with("AWS::") {
        let message = format!("the macro `{name}` is not run: what it changes is not read");
        out.report_warning(transform.position, message);
    }
}

fn location<'a>(scope: Scope<'_, 'a>, transform: &Table<'a>) -> Evaluated<String> {
    match transform.table("Parameters").and_then(|table| table.entry("Location")) {
        Some(entry) => scope.location("Location", &entry.value),
        None => refuse("Fn::Transform", "Parameters with a Location"),
    }
}
