//! A section of a template, such as `Resources`, with an index of its keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::document::{Table, TableEntry};

/// A section of a template.
pub(super) struct Section<'a> {
    pub(super) table: Table<'a>,
    index: HashMap<String, usize>,
}

impl<'a> Section<'a> {
    pub(super) fn new(table: Table<'a>) -> Self {
        let keys = table.entries.iter().enumerate();
        let index = keys.map(|(index, entry)| (entry.key.to_string(), index)).collect();
        Self { table, index }
    }

    /// A section that the template does not have.
    pub(super) fn empty() -> Self {
        Self::new(Table { path: Arc::from(""), entries: Vec::new() })
    }

    /// The entry of that key. The last one counts, as in [`Table::entry`].
    pub(super) fn entry(&self, key: &str) -> Option<&TableEntry<'a>> {
        self.table.entries.get(*self.index.get(key)?)
    }

    /// Whether there is an entry of that key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.index.contains_key(key)
    }
}
