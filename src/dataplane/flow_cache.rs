//! A cache of the answers of slow rule sets, by flow.
//!
//! It is used only for rule sets that are slower than a memory access (large forests). A hit reads
//! one or two cache lines, the first of which is prefetched for the whole batch. The cache is
//! bounded and direct-mapped: each flow has one entry, and a new flow replaces the old one, so a
//! flood of new flows costs only their lookups. If fewer than two thirds of 8,192 lookups hit, the
//! cache is bypassed for 32,768 packets, then for twice as many each time, up to 2,097,152. Each
//! answer is stamped with its table and rule set, so another table does not find it.

use prefetch_index::prefetch_index;

use super::compiled_rules::InterfaceRuleSet;
use super::flow_key::FlowKey;
use super::frame::LOOKUP_BATCH_LEN;
use super::rules::Answer;

/// The number of entries; they take 3.5 MiB.
const CACHE_ENTRIES: usize = 1 << 16;

/// The number of packets after which the hit rate is evaluated.
const EVALUATION_LEN: u32 = 8192;

/// The number of packets for which the cache is bypassed: first value and maximum.
const BYPASS_LEN: (u32, u32) = (1 << 15, 1 << 21);

/// An answer with its flow, table and rule set.
#[derive(Debug, Clone, Copy)]
struct CacheEntry {
    key: FlowKey,
    /// The table and the rule set; zero if the entry is empty.
    stamp: u64,
    answer: Answer,
}

/// Answers by flow.
#[derive(Debug)]
pub(super) struct FlowCache {
    entries: Box<[CacheEntry]>,
    /// Since the last evaluation: the number of lookups and of hits.
    lookups: u32,
    hits: u32,
    /// Packets that still bypass the cache, and the length of the next bypass.
    bypass_left: u32,
    next_bypass: u32,
    /// The misses of a batch: keys, pairs of the index in the batch and of the entry, answers.
    misses: Vec<FlowKey>,
    miss_positions: Vec<(usize, usize)>,
    answers: Vec<Answer>,
}

impl FlowCache {
    pub(super) fn new() -> Self {
        let nothing = CacheEntry { key: FlowKey::EMPTY, stamp: 0, answer: Answer::NONE };
        Self {
            entries: vec![nothing; CACHE_ENTRIES].into_boxed_slice(),
            lookups: 0,
            hits: 0,
            bypass_left: 0,
            next_bypass: BYPASS_LEN.0,
            misses: Vec::with_capacity(LOOKUP_BATCH_LEN),
            miss_positions: Vec::with_capacity(LOOKUP_BATCH_LEN),
            answers: vec![Answer::NONE; LOOKUP_BATCH_LEN],
        }
    }

    /// Writes the answer for each key to `answers`, from the cache or from the rules. There are at
    /// most [`LOOKUP_BATCH_LEN`] keys.
    pub(super) fn classify(
        &mut self,
        stamp: u64,
        rules: &InterfaceRuleSet,
        keys: &[FlowKey],
        answers: &mut [Answer],
    ) {
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        if self.bypass_left > 0 || keys.len() > LOOKUP_BATCH_LEN {
            self.bypass_left = self.bypass_left.saturating_sub(count);
            return rules.classify(keys, answers);
        }
        let mut at = [0; LOOKUP_BATCH_LEN];
        for (slot, key) in at.iter_mut().zip(keys) {
            *slot = entry_index(key, stamp);
            prefetch_index(&self.entries, *slot);
        }
        self.misses.clear();
        self.miss_positions.clear();
        for (index, ((key, answer), at)) in keys.iter().zip(answers.iter_mut()).zip(at).enumerate()
        {
            match self.entries.get(at) {
                Some(entry) if entry.stamp == stamp && entry.key == *key => *answer = entry.answer,
                _ => {
                    self.misses.push(*key);
                    self.miss_positions.push((index, at));
                }
            }
        }
        rules.classify(&self.misses, &mut self.answers);
        let computed = self.misses.iter().zip(&self.miss_positions).zip(&self.answers);
        for ((key, (index, at)), computed) in computed {
            if let (Some(answer), Some(entry)) =
                (answers.get_mut(*index), self.entries.get_mut(*at))
            {
                *answer = *computed;
                *entry = CacheEntry { key: *key, stamp, answer: *computed };
            }
        }
        self.update_bypass(count, u32::try_from(self.misses.len()).unwrap_or(u32::MAX));
    }

    /// Counts lookups and hits, and bypasses the cache if fewer than two thirds of the lookups hit.
    fn update_bypass(&mut self, lookups: u32, misses: u32) {
        self.lookups += lookups;
        self.hits += lookups.saturating_sub(misses);
        if self.lookups < EVALUATION_LEN {
            return;
        }
        if self.hits / 2 < self.lookups / 3 {
            self.bypass_left = self.next_bypass;
            self.next_bypass = (2 * self.next_bypass).min(BYPASS_LEN.1);
        } else {
            self.next_bypass = BYPASS_LEN.0;
        }
        (self.lookups, self.hits) = (0, 0);
    }
}

/// The index of a flow's entry.
#[inline(always)]
fn entry_index(key: &FlowKey, stamp: u64) -> usize {
    let (words, _) = key.addresses.as_chunks::<8>();
    let rest = u64::from(key.source_port) << 32
        | u64::from(key.destination_port) << 16
        | u64::from(key.protocol);
    let mut hash = stamp ^ rest;
    for word in words {
        hash = (hash ^ u64::from_ne_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    usize::try_from(hash.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 48).unwrap_or_default()
}
