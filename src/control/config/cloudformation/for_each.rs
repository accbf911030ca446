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
        let key = self.replaced(variable, &template.key)?;
        if key.len() > MAX_KEY_LEN {
            return refuse("Fn::ForEach", format!("keys of at most {MAX_KEY_LEN} bytes"));
        }
        let mut value = self.node_with(&template.value, variable)?;
        value.relocate(&join(parent, &key));
        let key = Cow::Owned(key);
        Ok(TableEntry { key, parent: parent.clone(), position: template.position, value })
    }

    /// A node with a value in place of the variable of a loop.
    fn node_with(self, node: &Node<'a>, variable: &LoopVariable<'_>) -> Evaluated<Node<'a>> {
        let inner = self.deeper(0)?;
        let value = match &node.value {
            Value::String(text) => Value::String(Cow::Owned(self.replaced(variable, text)?)),
            Value::Array(items) => {
                let items = items.iter().map(|item| inner.node_with(item, variable));
                Value::Array(items.collect::<Evaluated<_>>()?)
            }
            Value::Table(table) if variable.is_referenced_by(table) => {
                self.charge_text(variable.value.len())?;
                Value::String(Cow::Owned(variable.value.clone()))
            }
            Value::Table(table) => {
                let mut entries = Vec::with_capacity(table.entries.len());
                for entry in &table.entries {
                    let value = inner.node_with(&entry.value, variable)?;
                    let key = Cow::Owned(self.replaced(variable, &entry.key)?);
                    let (parent, position) = (entry.parent.clone(), entry.position);
                    entries.push(TableEntry { key, parent, position, value });
                }
                Value::Table(Table { path: table.path.clone(), entries })
            }
            other => other.clone(),
        };
        Ok(Node { position: node.position, value })
    }

    /// A text with the value in place of the variable.
    fn replaced(self, variable: &LoopVariable<'_>, text: &str) -> Evaluated<String> {
        let whole = self.replaced_one(text, &variable.as_is, &variable.value)?;
        self.replaced_one(&whole, &variable.alphanumeric, &variable.letters)
    }

    fn replaced_one(self, text: &str, from: &str, to: &str) -> Evaluated<String> {
        let added = text.matches(from).count().saturating_mul(to.len());
        self.charge_text(text.len().saturating_add(added))?;
        Ok(text.replace(from, to))
    }
}

/// The maximum length of the key of a repeated entry. CloudFormation permits 255 characters.
const MAX_KEY_LEN: usize = 1024;

const EXPECTED: &str = "a list with the name of a variable, a list of values, and a table";

/// The variable of a loop with its value in one round.
struct LoopVariable<'n> {
    name: &'n str,
    value: String,
    /// The letters and digits of the value.
    letters: String,
    /// `${NAME}`, which is replaced by the value.
    as_is: String,
    /// `&{NAME}`, which is replaced by the letters.
    alphanumeric: String,
}

impl<'n> LoopVariable<'n> {
    fn new(name: &'n str, value: String) -> Self {
        let (as_is, alphanumeric) = (format!("${{{name}}}"), format!("&{{{name}}}"));
        let letters = value.chars().filter(|one| one.is_alphanumeric()).collect();
        Self { name, value, letters, as_is, alphanumeric }
    }

    fn is_referenced_by(&self, table: &Table<'_>) -> bool {
        function_of(table).is_some_and(|function| {
            let is_name = matches!(&function.value.value, Value::String(name) if name == self.name);
            function.key == "Ref" && is_name
        })
    }
}
