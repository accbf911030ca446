//! A document as a tree in which every value has its position, independent of the file format.

use std::borrow::Cow;
use std::sync::Arc;

/// The position where a key or value begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourcePosition {
    /// The index of the text.
    pub(super) text: usize,
    /// The offset in the text, in bytes.
    pub(super) offset: usize,
}

/// A value and its position.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) position: SourcePosition,
    pub(super) value: Value<'a>,
}

/// A value of TOML, JSON or YAML.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    String(Cow<'a, str>),
    Integer(i64),
    /// A number that is not a 64-bit integer, as it is written.
    OtherNumber(Cow<'a, str>),
    Bool(bool),
    /// A date or time of TOML, which no field accepts.
    Datetime(String),
    Null,
    Array(Vec<Node<'a>>),
    Table(Table<'a>),
}

impl Value<'_> {
    /// The type of the value in messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a number",
            Self::OtherNumber(_) => "a number that is not a 64-bit integer",
            Self::Bool(_) => "true or false",
            Self::Datetime(_) => "a date or time",
            Self::Null => "null",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The value in messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::String(text) => text.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::OtherNumber(text) => text.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Datetime(text) => text.clone(),
            Self::Null => String::from("null"),
            Self::Array(_) => String::from("[...]"),
            Self::Table(_) => String::from("{...}"),
        }
    }
}

impl Node<'_> {
    /// The same node, independent of the text.
    pub(super) fn into_static(self) -> Node<'static> {
        let value = match self.value {
            Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Value::Integer(number) => Value::Integer(number),
            Value::OtherNumber(text) => Value::OtherNumber(Cow::Owned(text.into_owned())),
            Value::Bool(value) => Value::Bool(value),
            Value::Datetime(text) => Value::Datetime(text),
            Value::Null => Value::Null,
            Value::Array(items) => Value::Array(items.into_iter().map(Self::into_static).collect()),
            Value::Table(table) => {
                let entries = table.entries.into_iter().map(|entry| TableEntry {
                    key: Cow::Owned(entry.key.into_owned()),
                    parent: entry.parent,
                    position: entry.position,
                    value: entry.value.into_static(),
                });
                Value::Table(Table { path: table.path, entries: entries.collect() })
            }
        };
        Node { position: self.position, value }
    }

    /// Makes `path` the path of the node.
    pub(super) fn relocate(&mut self, path: &str) {
        match &mut self.value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.relocate(&format!("{path}[{index}]"));
                }
            }
            Value::Table(table) => {
                table.path = Arc::from(path);
                for entry in &mut table.entries {
                    entry.parent = table.path.clone();
                    entry.value.relocate(&join(path, &entry.key));
                }
            }
            _ => {}
        }
    }
}

/// Keys and values.
#[derive(Debug, Clone)]
pub(super) struct Table<'a> {
    /// The path of the table, such as `traffic_mirror_session[2]`; empty at the root.
    pub(super) path: Arc<str>,
    /// In the order of the file.
    pub(super) entries: Vec<TableEntry<'a>>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct TableEntry<'a> {
    /// The key, spelled as in a TOML file.
    pub(super) key: Cow<'a, str>,
    /// The path of the table in which it is written. After a TOML table was merged into a JSON
    /// table, this is not the table that contains the entry.
    pub(super) parent: Arc<str>,
    /// The position of the key.
    pub(super) position: SourcePosition,
    pub(super) value: Node<'a>,
}

impl<'a> Table<'a> {
    /// The entry of that key. If JSON repeats a key, the last entry counts, as in other readers.
    pub(super) fn entry(&self, key: &str) -> Option<&TableEntry<'a>> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// Whether there is an entry of that key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The table of that key, or `None` if there is no table.
    pub(super) fn table(&self, key: &str) -> Option<&Self> {
        match &self.entry(key)?.value.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The tables in the list of that key; values of other types are skipped.
    pub(super) fn tables(&self, key: &str) -> impl Iterator<Item = &Self> {
        let items = match self.entry(key).map(|entry| &entry.value.value) {
            Some(Value::Array(items)) => &**items,
            _ => &[],
        };
        items.iter().filter_map(|item| match &item.value {
            Value::Table(table) => Some(table),
            _ => None,
        })
    }

    /// The value of that key, if it is a string.
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.value.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// The path of `key` in the table at `parent`.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}
