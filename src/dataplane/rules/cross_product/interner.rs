//! Sets of rules, each stored once and identified by a number. The sets are the classes of one or
//! more fields: all values with the same set have the same class.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The largest number of words of all sets: 64 MiB while tables are built.
const MAX_WORDS: usize = 8 << 20;

/// Distinct sets of rules, with a bit for each rule.
#[derive(Debug)]
pub(super) struct ClassSets {
    /// The number of words of a set.
    words: usize,
    sets: Vec<u64>,
    by_hash: HashMap<u64, u16>,
}

impl ClassSets {
    pub(super) fn new(rules: usize) -> Self {
        let words = rules.div_ceil(64).max(1);
        Self { words, sets: Vec::new(), by_hash: HashMap::new() }
    }

    /// An empty collection for the same number of rules.
    pub(super) fn empty(&self) -> Self {
        Self { words: self.words, sets: Vec::new(), by_hash: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len() / self.words
    }

    pub(super) const fn words(&self) -> usize {
        self.words
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u64]> {
        self.sets.chunks_exact(self.words)
    }

    /// The number of a set; a new number if the set is new; `None` if there are too many sets.
    pub(super) fn class_of(&mut self, set: &[u64]) -> Option<u16> {
        let mut hash = hash_of(set);
        loop {
            match self.by_hash.entry(hash) {
                Entry::Vacant(_) if self.sets.len() >= MAX_WORDS => return None,
                Entry::Vacant(free) => {
                    let class = u16::try_from(self.sets.len() / self.words).ok()?;
                    free.insert(class);
                    self.sets.extend_from_slice(set);
                    return Some(class);
                }
                Entry::Occupied(known) => {
                    let class = *known.get();
                    let start = usize::from(class) * self.words;
                    if self.sets.get(start..start + self.words) == Some(set) {
                        return Some(class);
                    }
                }
            }
            // Two sets have one hash: try the next hash.
            hash = hash.wrapping_add(1);
        }
    }
}

fn hash_of(set: &[u64]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    for word in set {
        hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
    }
    hash
}
