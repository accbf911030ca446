//! The fields of one table: reads known fields and reports unknown ones.

use super::collector::ProblemCollector;
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::texts::Format;
use crate::control::nearest::nearest;
use crate::model::InvalidValue;

/// A table whose fields are read one by one.
///
/// Every method returns nothing if the field is absent or invalid; an invalid field is reported.
pub(super) struct Fields<'n, 'a, 'c, 't> {
    table: &'n Table<'a>,
    position: SourcePosition,
    pub(super) out: &'c mut ProblemCollector<'t>,
}

impl<'n, 'a, 'c, 't> Fields<'n, 'a, 'c, 't> {
    /// The fields of `table` at `position`. Reports keys that are not in `known`.
    pub(super) fn new(
        table: &'n Table<'a>,
        position: SourcePosition,
        known: &[&str],
        out: &'c mut ProblemCollector<'t>,
    ) -> Self {
        for entry in &table.entries {
            if !known.contains(&&*entry.key) {
                let hint = match nearest(&entry.key, known.iter().copied()) {
                    Some(key) => format!("did you mean `{key}`?"),
                    None => format!("expected one of {}", known.join(", ")),
                };
                out.report_unknown_key(entry, hint);
            }
        }
        Self { table, position, out }
    }

    /// The position of the table.
    pub(super) const fn position(&self) -> SourcePosition {
        self.position
    }

    /// Whether the field is given, valid or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.has(key)
    }

    /// Whether the field was given, but was omitted after an error.
    pub(super) fn is_omitted(&self, key: &str) -> bool {
        self.out.is_omitted(key, &self.table.path, self.position)
    }

    /// The entry of the field.
    pub(super) fn entry(&self, key: &str) -> Option<&'n TableEntry<'a>> {
        self.table.entry(key)
    }

    /// Reports the field if it is absent.
    pub(super) fn require(&mut self, key: &str, expected: &str) {
        if !self.has(key) {
            self.out.report_missing(key, &self.table.path, self.position, expected);
        }
    }

    /// A string, parsed by `read`.
    pub(super) fn text<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        self.read_text(entry, &entry.value, read)
    }

    /// A list of strings, each parsed by `read`; invalid ones are left out.
    pub(super) fn texts<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&str) -> Result<T, InvalidValue>,
    ) -> Vec<T> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Value::Array(items) = &entry.value.value else {
            self.out.report_wrong_type(entry, &entry.value, "a list of strings");
            return Vec::new();
        };
        items.iter().filter_map(|item| self.read_text(entry, item, &mut read)).collect()
    }

    fn read_text<T>(
        &mut self,
        entry: &TableEntry<'_>,
        node: &Node<'_>,
        read: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let Value::String(text) = &node.value else {
            self.out.report_wrong_type(entry, node, "a string");
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.out.report_invalid(entry, node, invalid.value, invalid.expected);
                None
            }
        }
    }

    /// An integer, parsed by `read`.
    pub(super) fn number<T>(
        &mut self,
        key: &str,
        read: impl Fn(i64) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        let node = &entry.value;
        let invalid = match &node.value {
            Value::Integer(number) => match read(*number) {
                Ok(value) => return Some(value),
                Err(invalid) => invalid,
            },
            Value::OtherNumber(text) if has_leading_zero(text) => InvalidValue::new(
                "",
                text,
                "a number without a leading zero, which some parsers read as octal",
            ),
            // An integer beyond 64 bits gets the same error as the largest one.
            Value::OtherNumber(text) if is_whole(text) => read(saturated(text)).err()?,
            Value::OtherNumber(text) => InvalidValue::new("", text, "a whole number"),
            _ => {
                self.out.report_wrong_type(entry, node, "a number");
                return None;
            }
        };
        self.out.report_invalid(entry, node, node.value.shown(), invalid.expected);
        None
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let entry = self.entry(key)?;
        if let Value::Bool(value) = entry.value.value {
            return Some(value);
        }
        self.out.report_wrong_type(entry, &entry.value, "true or false");
        None
    }

    /// A table.
    pub(super) fn table(&mut self, key: &str) -> Option<(&'n TableEntry<'a>, &'n Table<'a>)> {
        let entry = self.entry(key)?;
        if let Value::Table(table) = &entry.value.value {
            return Some((entry, table));
        }
        self.out.report_wrong_type(entry, &entry.value, "a table");
        None
    }

    /// A list of tables, each with its position.
    pub(super) fn tables(&mut self, key: &str) -> Vec<(SourcePosition, &'n Table<'a>)> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        tables_of(entry, self.out)
    }

    /// Reports the field that `invalid` names, or that it is missing.
    pub(super) fn report_invalid(&mut self, invalid: InvalidValue) {
        match self.table.entry(invalid.field) {
            Some(entry) => {
                self.out.report_invalid(entry, &entry.value, invalid.value, invalid.expected);
            }
            None => self.require(invalid.field, &invalid.expected),
        }
    }
}

/// The tables of a list of tables. Reports items that are not tables.
pub(super) fn tables_of<'n, 'a>(
    entry: &'n TableEntry<'a>,
    out: &mut ProblemCollector<'_>,
) -> Vec<(SourcePosition, &'n Table<'a>)> {
    let Value::Array(items) = &entry.value.value else {
        let expected = list_of_tables(entry, out);
        out.report_wrong_type(entry, &entry.value, &expected);
        return Vec::new();
    };
    let table = |item: &'n Node<'a>| match &item.value {
        Value::Table(table) => Some((item.position, table)),
        _ => {
            out.report_wrong_type(entry, item, "a table");
            None
        }
    };
    items.iter().filter_map(table).collect()
}

fn list_of_tables(entry: &TableEntry<'_>, out: &ProblemCollector<'_>) -> String {
    let is_toml = out.format(entry.position) == Format::Toml;
    if is_toml && matches!(entry.value.value, Value::Table(_)) {
        return format!("a list of tables, each headed [[{}]]", entry_header(entry));
    }
    String::from("a list of tables")
}

/// The header of a list of tables in TOML, which contains no indices.
fn entry_header(entry: &TableEntry<'_>) -> String {
    let above = entry.parent.split('[').next().unwrap_or_default();
    super::document::join(above, &entry.key)
}

/// Whether a number has a leading zero: it is octal in YAML 1.1 and decimal in YAML 1.2.
pub(super) fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|one| one.is_ascii_digit())
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && !digits.contains(['.', 'e', 'E', 'i', 'n']) || digits.starts_with("0x")
}

fn saturated(text: &str) -> i64 {
    if text.starts_with('-') { i64::MIN } else { i64::MAX }
}
