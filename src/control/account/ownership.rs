//! The owner of each resource, and the order in which resources were created.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// The owner of a resource, and its place in the order of creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Describe calls list resources in ascending order of this number, the order of creation.
    pub sequence: u64,
    /// The account that owns it, twelve digits.
    pub owner: Arc<str>,
    /// Whether it comes from a configuration file, so that requests cannot change it.
    pub is_from_file: bool,
}

impl Ownership {
    /// Whether an account can see the resource: its owner can, and for a resource of a
    /// configuration file every account.
    #[must_use]
    pub fn is_visible_to(&self, account: &str) -> bool {
        self.is_from_file || *self.owner == *account
    }
}

/// The ownership of all resources of one kind.
#[derive(Debug, Clone)]
pub struct OwnershipIndex<Id> {
    entries: HashMap<Id, Ownership>,
    order: BTreeMap<u64, Id>,
    /// The number of resources that each account owns.
    counts: HashMap<Arc<str>, usize>,
}

impl<Id> Default for OwnershipIndex<Id> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), counts: HashMap::new() }
    }
}

impl<Id: Clone + Eq + Hash> OwnershipIndex<Id> {
    /// Adds a resource.
    pub(super) fn insert(&mut self, id: Id, ownership: Ownership) {
        self.order.insert(ownership.sequence, id.clone());
        *self.counts.entry(Arc::clone(&ownership.owner)).or_default() += 1;
        self.entries.insert(id, ownership);
    }

    /// Removes a resource.
    pub(super) fn remove(&mut self, id: &Id) {
        if let Some(ownership) = self.entries.remove(id) {
            self.order.remove(&ownership.sequence);
            if let Some(count) = self.counts.get_mut(&ownership.owner) {
                *count -= 1;
            }
        }
    }

    /// The ownership of a resource.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Ownership> {
        self.entries.get(id)
    }

    /// Whether an account owns the resource of this id.
    pub(super) fn is_owned_by(&self, id: &Id, owner: &str) -> bool {
        self.get(id).is_some_and(|ownership| *ownership.owner == *owner)
    }

    /// Whether an account can see the resource of this id.
    pub(super) fn is_visible_to(&self, id: &Id, account: &str) -> bool {
        self.get(id).is_some_and(|ownership| ownership.is_visible_to(account))
    }

    /// The resources after a sequence number, in the order of creation.
    pub fn after(&self, sequence: u64) -> impl Iterator<Item = (u64, &Id, &Ownership)> {
        let later = self.order.range(sequence.saturating_add(1)..);
        later.filter_map(|(sequence, id)| Some((*sequence, id, self.entries.get(id)?)))
    }

    /// The number of resources that an account owns.
    #[must_use]
    pub fn count_owned_by(&self, owner: &str) -> usize {
        self.counts.get(owner).copied().unwrap_or_default()
    }
}
