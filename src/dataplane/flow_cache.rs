//! What rules answered for the flows that came last, so that not every packet asks them.
//!
//! Only for rules that are dearer to ask than memory is (a forest): a hit costs one line of the
//! cache's memory, and those of a burst are asked for together. The cache is bounded and direct: a
//! flow has one place, and the flow that came last has it, so a flood of new flows costs their
//! look-ups and nothing else. Where most look-ups miss it rests, twice as long each time. Every
//! answer is stamped with the table that gave it; another table knows none of them.

use prefetch_index::prefetch_index;

use super::docket::PART_LEN;
use super::flow_key::FlowKey;
use super::rules::RuleSet;
use super::rulings::Ruling;

/// How many flows have a place: 3.5 MiB.
const PLACES: usize = 1 << 16;

/// How many packets are watched before it is judged.
const WATCHED: u32 = 8192;

/// How many packets it rests at first, and at the most.
const REST: (u32, u32) = (1 << 15, 1 << 21);

/// An answer and what it is of.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: FlowKey,
    /// Number of the table and of the rules there; zero where there is nothing yet.
    stamp: u64,
    answer: u32,
}

/// Answers by flow.
#[derive(Debug)]
pub(super) struct FlowCache {
    places: Box<[Place]>,
    /// Of the packets that are watched: how many there were, and how many were known.
    asked: u32,
    known: u32,
    /// How many more packets go by it, and how many will next time.
    resting: u32,
    rest: u32,
    /// Those of a burst that were not known: keys, their places in the burst, answers.
    missed: Vec<FlowKey>,
    missed_at: Vec<(usize, usize)>,
    answers: Vec<u32>,
}

impl FlowCache {
    pub(super) fn new() -> Self {
        let nothing = Place { key: FlowKey::EMPTY, stamp: 0, answer: RuleSet::NOBODY };
        Self {
            places: vec![nothing; PLACES].into_boxed_slice(),
            asked: 0,
            known: 0,
            resting: 0,
            rest: REST.0,
            missed: Vec::with_capacity(PART_LEN),
            missed_at: Vec::with_capacity(PART_LEN),
            answers: vec![0; PART_LEN],
        }
    }

    /// Puts the answer for each key, of which there are no more than a part of a burst has frames,
    /// into `answers`: what is known, or what the rules say.
    pub(super) fn classify(
        &mut self,
        stamp: u64,
        rules: &Ruling,
        keys: &[FlowKey],
        answers: &mut [u32],
    ) {
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        if self.resting > 0 || keys.len() > PART_LEN {
            self.resting = self.resting.saturating_sub(count);
            return rules.classify(keys, answers);
        }
        let mut at = [0; PART_LEN];
        for (place, key) in at.iter_mut().zip(keys) {
            *place = place_of(key, stamp);
            prefetch_index(&self.places, *place);
        }
        self.missed.clear();
        self.missed_at.clear();
        for (index, ((key, answer), at)) in keys.iter().zip(answers.iter_mut()).zip(at).enumerate()
        {
            match self.places.get(at) {
                Some(place) if place.stamp == stamp && place.key == *key => *answer = place.answer,
                _ => {
                    self.missed.push(*key);
                    self.missed_at.push((index, at));
                }
            }
        }
        rules.classify(&self.missed, &mut self.answers);
        let told = self.missed.iter().zip(&self.missed_at).zip(&self.answers);
        for ((key, (index, at)), told) in told {
            if let (Some(answer), Some(place)) = (answers.get_mut(*index), self.places.get_mut(*at))
            {
                *answer = *told;
                *place = Place { key: *key, stamp, answer: *told };
            }
        }
        self.judge(count, u32::try_from(self.missed.len()).unwrap_or(u32::MAX));
    }

    /// Whether it pays: two thirds of the packets must be known.
    fn judge(&mut self, asked: u32, missed: u32) {
        self.asked += asked;
        self.known += asked.saturating_sub(missed);
        if self.asked < WATCHED {
            return;
        }
        if self.known / 2 < self.asked / 3 {
            self.resting = self.rest;
            self.rest = (2 * self.rest).min(REST.1);
        } else {
            self.rest = REST.0;
        }
        (self.asked, self.known) = (0, 0);
    }
}

/// Where a flow has its place.
#[inline(always)]
fn place_of(key: &FlowKey, stamp: u64) -> usize {
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
