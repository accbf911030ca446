//! What an account knows of a resource beside the resource: whose it is, and which came first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// Whose a resource is and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Resources are told in ascending order of this: that of their creation.
    pub sequence: u64,
    /// The account that owns it, twelve digits.
    pub owner: Arc<str>,
    /// Whether it is from a configuration file, which alone may change it.
    pub is_of_file: bool,
}

/// Resources of one kind.
#[derive(Debug, Clone)]
pub struct Shelf<Id> {
    entries: HashMap<Id, Entry>,
    order: BTreeMap<u64, Id>,
    /// How many each account owns.
    counts: HashMap<Arc<str>, usize>,
}

impl<Id> Default for Shelf<Id> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), counts: HashMap::new() }
    }
}

impl<Id: Clone + Eq + Hash> Shelf<Id> {
    /// Puts a resource behind all others.
    pub(super) fn put(&mut self, id: Id, entry: Entry) {
        self.order.insert(entry.sequence, id.clone());
        *self.counts.entry(Arc::clone(&entry.owner)).or_default() += 1;
        self.entries.insert(id, entry);
    }

    /// Takes one away.
    pub(super) fn take(&mut self, id: &Id) {
        if let Some(entry) = self.entries.remove(id) {
            self.order.remove(&entry.sequence);
            if let Some(count) = self.counts.get_mut(&entry.owner) {
                *count -= 1;
            }
        }
    }

    /// What is known of one.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Those behind a place in the order of creation, with their places.
    pub fn behind(&self, sequence: u64) -> impl Iterator<Item = (u64, &Id, &Entry)> {
        let later = self.order.range(sequence.saturating_add(1)..);
        later.filter_map(|(sequence, id)| Some((*sequence, id, self.entries.get(id)?)))
    }

    /// How many an account owns.
    #[must_use]
    pub fn owned_by(&self, owner: &str) -> usize {
        self.counts.get(owner).copied().unwrap_or_default()
    }
}
