//! What an account knows of a resource beside the resource: whose it is, and which came first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// Whose a resource is and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Resources are told in ascending order of this: that of their creation.
    pub sequence: u64,
    /// The account that owns it, twelve digits.
    pub owner: Arc<str>,
    /// Whether it is from a configuration file, which alone may change it.
    pub is_from_file: bool,
}

/// Resources of one kind.
#[derive(Debug, Clone)]
pub struct OwnershipIndex<Id> {
    entries: HashMap<Id, Ownership>,
    order: BTreeMap<u64, Id>,
    /// How many each account owns.
    counts: HashMap<Arc<str>, usize>,
}

impl<Id> Default for OwnershipIndex<Id> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), counts: HashMap::new() }
    }
}

impl<Id: Clone + Eq + Hash> OwnershipIndex<Id> {
    /// Puts a resource behind all others.
    pub(super) fn insert(&mut self, id: Id, ownership: Ownership) {
        self.order.insert(ownership.sequence, id.clone());
        *self.counts.entry(Arc::clone(&ownership.owner)).or_default() += 1;
        self.entries.insert(id, ownership);
    }

    /// Takes one away.
    pub(super) fn remove(&mut self, id: &Id) {
        if let Some(ownership) = self.entries.remove(id) {
            self.order.remove(&ownership.sequence);
            if let Some(count) = self.counts.get_mut(&ownership.owner) {
                *count -= 1;
            }
        }
    }

    /// What is known of one.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Ownership> {
        self.entries.get(id)
    }

    /// Those behind a place in the order of creation, with their places.
    pub fn after(&self, sequence: u64) -> impl Iterator<Item = (u64, &Id, &Ownership)> {
        let later = self.order.range(sequence.saturating_add(1)..);
        later.filter_map(|(sequence, id)| Some((*sequence, id, self.entries.get(id)?)))
    }

    /// How many an account owns.
    #[must_use]
    pub fn count_owned_by(&self, owner: &str) -> usize {
        self.counts.get(owner).copied().unwrap_or_default()
    }
}
