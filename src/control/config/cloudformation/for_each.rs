//! `Fn::ForEach` of the transform AWS::LanguageExtensions: repeats entries for each item of a list.

use std::borrow::Cow;

use super::super::document::{Node, Table, TableEntry, Value, join};
use super::scope::{Evaluated, FOR_EACH, Scope, function_of, refuse};

impl<'s, 'a> Scope<'s, 'a> {
    /// The entries that a loop makes, with the loops inside it.
    pub(super) fn repeated(self, entry: &TableEntry<'a>) -> Evaluated<Vec<TableEntry<'a>>> {
        let function = &*entry.key;
        let inner = self.deeper(0)?;
        let Value::Array(arguments) = &entry.value.value else {
            return refuse(function, EXPECTED);
        };
        let [name, collection, Node { value: Value::Table(body), .. }] = &**arguments else {
            return refuse(function, EXPECTED);
        };
        let Value::String(name) = &name.value else { return refuse(function, EXPECTED) };
        let mut repeated = Vec::new();
        for item in inner.accepting_names(false).list(function, collection)? {
            let variable = LoopVariable::new(name, item.value.shown());
            for template in &body.entries {
                let entry = inner.entry_with(template, &variable, &entry.parent)?;
                match entry.key.starts_with(FOR_EACH) {
                    true => repeated.extend(inner.repeated(&entry)?),
                    false => repeated.push(entry),
                }
            }
        }
        Ok(repeated)
    }

    /// The entries of a section with its loops repeated. A loop that cannot be evaluated stays.
    pub(super) fn with_loops(self, section: &Table<'a>) -> Table<'a> {
        let mut entries = Vec::with_capacity(section.entries.len());
        for entry in &section.entries {
            match entry.key.starts_with(FOR_EACH).then(|| self.repeated(entry)) {
                Some(Ok(repeated)) => entries.extend(repeated),
                _ => entries.push(entry.clone()),
            }
        }
        Table { path: section.path.clone(), entries }
    }

    fn entry_with(
        self,
        template: &TableEntry<'a>,
        variable: &LoopVariable<'_>,
        parent: &std::sync::Arc<str>,
    ) -> Evaluated<TableEntry<'a>> {
        let key = variable.replaced(&template.key);
        let mut value = self.node_with(&template.value, variable)?;
        value.relocate(&join(parent, &key));
        let key = Cow::Owned(key);
        Ok(TableEntry { key, parent: parent.clone(), position: template.position, value })
    }

    /// A node with a value in place of the variable of a loop.
    fn node_with(self, node: &Node<'a>, variable: &LoopVariable<'_>) -> Evaluated<Node<'a>> {
        let inner = self.deeper(0)?;
        let value = match &node.value {
            Value::String(text) if variable.is_in(text) => {
                Value::String(Cow::Owned(variable.replaced(text)))
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| inner.node_with(item, variable));
                Value::Array(items.collect::<Evaluated<_>>()?)
            }
            Value::Table(table) if variable.is_referenced_by(table) => {
                Value::String(Cow::Owned(variable.value.clone()))
            }
            Value::Table(table) => {
                let mut entries = Vec::with_capacity(table.entries.len());
                for entry in &table.entries {
                    let value = inner.node_with(&entry.value, variable)?;
                    let key = match variable.is_in(&entry.key) {
                        true => Cow::Owned(variable.replaced(&entry.key)),
                        false => entry.key.clone(),
                    };
                    entries.push(TableEntry { key, value, ..entry.clone() });
                }
                Value::Table(Table { path: table.path.clone(), entries })
            }
            other => other.clone(),
        };
        Ok(Node { position: node.position, value })
    }
}

const EXPECTED: &str = "a list with the name of a variable, a list of values, and a table";

/// The variable of a loop with its value in one round.
struct LoopVariable<'n> {
    name: &'n str,
    value: String,
    /// `${NAME}`, which is replaced by the value.
    as_is: String,
    /// `&{NAME}`, which is replaced by the letters and digits of the value.
    alphanumeric: String,
}

impl<'n> LoopVariable<'n> {
    fn new(name: &'n str, value: String) -> Self {
        let (as_is, alphanumeric) = (format!("${{{name}}}"), format!("&{{{name}}}"));
        Self { name, value, as_is, alphanumeric }
    }

    fn is_in(&self, text: &str) -> bool {
        text.contains(&self.as_is) || text.contains(&self.alphanumeric)
    }

    fn replaced(&self, text: &str) -> String {
        let letters: String = self.value.chars().filter(|one| one.is_alphanumeric()).collect();
        text.replace(&self.as_is, &self.value).replace(&self.alphanumeric, &letters)
    }

    fn is_referenced_by(&self, table: &Table<'_>) -> bool {
        function_of(table).is_some_and(|function| {
            let is_name = matches!(&function.value.value, Value::String(name) if name == self.name);
            function.key == "Ref" && is_name
        })
    }
}
