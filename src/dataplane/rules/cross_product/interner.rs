//! Sets of rules, each stored once and identified by a number. The sets are the classes of one or
//! more fields: all values with the same set have the same class.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// The largest number of words of all sets: 64 MiB while tables are built.
const MAX_WORDS: usize = 8 << 20;

/// Distinct sets of rules, with a bit for each rule.
#[derive(Debug)]
pub(super) struct ClassSets {
    /// The number of words of a set.
    words: usize,
    sets: Vec<u64>,
    by_hash: HashMap<u64, u16, BuildHasherDefault<SetHasher>>,
}

impl ClassSets {
    pub(super) fn new(rules: usize) -> Self {
        let words = rules.div_ceil(64).max(1);
        Self { words, sets: Vec::new(), by_hash: HashMap::default() }
    }

    /// An empty collection for the same number of rules.
    pub(super) fn empty(&self) -> Self {
        Self { words: self.words, sets: Vec::new(), by_hash: HashMap::default() }
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
        let hashes = set.iter().enumerate().map(|(place, word)| word_hash(place, *word));
        let hash = hashes.fold(0_u64, u64::wrapping_add);
        self.class_of_hashed(set, hash)
    }

    /// The same, if the sum of the [`word_hash`] of all words is known.
    pub(super) fn class_of_hashed(&mut self, set: &[u64], sum: u64) -> Option<u16> {
        let mut hash = mixed(sum);
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

/// Adds a rule to a set, or removes it.
pub(super) fn flip(set: &mut [u64], rule: usize) {
    if let Some(word) = set.get_mut(rule / 64) {
        *word ^= 1 << (rule % 64);
    }
}

/// The indices of the set bits of a word, ascending.
pub(super) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = usize::try_from(word.trailing_zeros()).ok().filter(|_| word != 0)?;
        word &= word - 1;
        Some(bit)
    })
}

/// The part of a word in the hash of a set. It is 0 for a word without rules, so that such words can
/// be omitted.
#[inline(always)]
pub(super) fn word_hash(place: usize, word: u64) -> u64 {
    let place = u64::try_from(place).unwrap_or(u64::MAX);
    // An odd factor that differs for each place.
    let factor = place.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ 0x9e37_79b9_7f4a_7c15;
    (word ^ word >> 32).wrapping_mul(factor | 1)
}

/// Makes all bits depend on the upper bits of the sum, which depend on all words.
fn mixed(sum: u64) -> u64 {
    let hash = (sum ^ sum >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

/// Uses a number that is already a hash.
#[derive(Debug, Default)]
struct SetHasher(u64);

impl Hasher for SetHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
