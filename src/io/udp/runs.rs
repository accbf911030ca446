//! Which datagrams of one socket leave together: runs of one length, in an order that no flow
//! notices.
//!
//! The kernel cuts a message into datagrams of one length (`UDP_SEGMENT`), so copies of one
//! length are gathered. Copies of different flows may change places for that; those of one flow
//! never do: a copy joins no run that leaves before the run which holds the last copy of its flow.

use crate::io::sys::sendmmsg::MAX_SEGMENTS;

/// Flows share so many notes of where their last copy is. A shared note only keeps copies apart
/// that might have left together.
const NOTES: usize = 256;

/// How far back a run of the right length is looked for.
const LOOKED_AT: usize = 8;

/// What a message of several datagrams holds at the most, in bytes: the longest UDP payload over
/// either family.
const MAX_MESSAGE_LEN: usize = 65_487;

/// One copy that waits for its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Index in the burst.
    pub(super) index: u32,
    /// Length of the datagram.
    pub(super) len: u32,
    /// Copies of one flow have the same.
    pub(super) flow_tag: u16,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    len: u32,
    count: u32,
    bytes: u32,
}

/// Gathers the copies of one socket into runs.
#[derive(Debug)]
pub(super) struct Runs {
    runs: Vec<Run>,
    /// The run of each copy, in the order in which the copies came.
    run_of: Vec<u32>,
    last_of_flow: Box<[u32; NOTES]>,
    indices: Vec<u32>,
    counts: Vec<usize>,
}

impl Runs {
    pub(super) fn new() -> Self {
        Self {
            runs: Vec::new(),
            run_of: Vec::new(),
            last_of_flow: Box::new([0; NOTES]),
            indices: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// Puts copies that came in this order into the order in which they leave.
    pub(super) fn gather(&mut self, waiting: &[Waiting]) {
        self.runs.clear();
        self.run_of.clear();
        if waiting.len() > 1 {
            self.last_of_flow.fill(0);
        }
        for copy in waiting {
            let run = self.run_for(copy);
            self.run_of.push(u32::try_from(run).unwrap_or(u32::MAX));
        }
        self.put_in_order(waiting);
    }

    /// Leaves each copy alone, in the order in which it came.
    pub(super) fn keep_apart(&mut self, waiting: &[Waiting]) {
        self.indices.clear();
        self.indices.extend(waiting.iter().map(|copy| copy.index));
        self.counts.clear();
        self.counts.resize(waiting.len(), 1);
    }

    /// Indices in the burst, in the order of leaving.
    pub(super) fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// How many copies each run has, in the same order.
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts
    }

    fn run_for(&mut self, copy: &Waiting) -> usize {
        let note = usize::from(copy.flow_tag) % NOTES;
        let floor = self.last_of_flow.get(note).map_or(0, |run| to_index(*run));
        let first = floor.max(self.runs.len().saturating_sub(LOOKED_AT));
        let open = self.runs.iter_mut().enumerate().skip(first).find(|(_, run)| run.takes(copy));
        let index = match open {
            Some((index, run)) => {
                run.count += 1;
                run.bytes += copy.len;
                index
            }
            None => {
                self.runs.push(Run { len: copy.len, count: 1, bytes: copy.len });
                self.runs.len() - 1
            }
        };
        if let Some(place) = self.last_of_flow.get_mut(note) {
            *place = u32::try_from(index).unwrap_or(u32::MAX);
        }
        index
    }

    /// The last datagram of a message may be a shorter one: so ends the run of a long transfer.
    fn count_messages(&mut self) {
        self.counts.clear();
        let mut may_end: Option<Run> = None;
        for run in &self.runs {
            let ends = may_end.is_some_and(|one| run.count == 1 && one.may_end_with(run));
            match self.counts.last_mut() {
                Some(count) if ends => *count += 1,
                _ => self.counts.push(to_index(run.count)),
            }
            may_end = (!ends).then_some(*run);
        }
    }

    /// A counting sort by run.
    fn put_in_order(&mut self, waiting: &[Waiting]) {
        self.count_messages();
        self.indices.clear();
        self.indices.resize(waiting.len(), 0);
        let mut start = 0;
        for run in &mut self.runs {
            // From here on it is the place of the next copy of the run.
            (run.bytes, start) = (start, start + run.count);
        }
        for (copy, run) in waiting.iter().zip(&self.run_of) {
            let Some(run) = self.runs.get_mut(to_index(*run)) else { continue };
            if let Some(place) = self.indices.get_mut(to_index(run.bytes)) {
                *place = copy.index;
            }
            run.bytes += 1;
        }
    }
}

impl Run {
    fn takes(&self, copy: &Waiting) -> bool {
        self.len == copy.len && self.has_room_for(copy.len)
    }

    fn may_end_with(&self, shorter: &Self) -> bool {
        shorter.len < self.len && self.has_room_for(shorter.len)
    }

    fn has_room_for(&self, len: u32) -> bool {
        to_index(self.count) < MAX_SEGMENTS && to_index(self.bytes + len) <= MAX_MESSAGE_LEN
    }
}

fn to_index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn waiting(copies: &[(u32, u16)]) -> Vec<Waiting> {
        let numbered = (0..).zip(copies);
        numbered.map(|(index, &(len, flow_tag))| Waiting { index, len, flow_tag }).collect()
    }

    #[test]
    fn copies_of_one_length_leave_together_where_no_flow_notices() {
        let mut runs = Runs::new();
        // Flows 1, 2, 3: the long copy of flow 1 must not be overtaken by its second short one.
        runs.gather(&waiting(&[(72, 1), (1400, 1), (72, 2), (72, 1), (1400, 3)]));
        assert_eq!(runs.indices(), [0, 2, 1, 4, 3]);
        assert_eq!(runs.counts(), [2, 3]);
        runs.keep_apart(&waiting(&[(72, 1), (72, 2)]));
        assert_eq!((runs.indices(), runs.counts()), (&[0, 1][..], &[1, 1][..]));
    }

    #[test]
    fn runs_end_where_a_message_is_full() {
        let mut runs = Runs::new();
        runs.gather(&waiting(&vec![(72, 1); 150]));
        assert_eq!(runs.counts(), [64, 64, 22]);
        runs.gather(&waiting(&[(9_000, 1); 15]));
        assert_eq!(runs.counts(), [7, 7, 1]);
        runs.gather(&waiting(&[(1400, 1), (1400, 1), (500, 1), (200, 1), (200, 1)]));
        assert_eq!(runs.counts(), [3, 2]);
        runs.gather(&waiting(&[(65_000, 1); 2]));
        assert_eq!(runs.counts(), [1, 1]);
    }

    proptest::proptest! {
        #[test]
        fn every_flow_keeps_its_order(
            copies in proptest::collection::vec((1..5_u32, 0..6_u16), 0..300),
        ) {
            let waiting = waiting(&copies);
            let mut runs = Runs::new();
            runs.gather(&waiting);
            let mut sorted = runs.indices().to_vec();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(waiting.iter().map(|copy| copy.index)));
            let mut last = HashMap::new();
            let mut rest = runs.indices();
            for count in runs.counts() {
                let (run, behind) = rest.split_at(*count);
                rest = behind;
                let first = waiting[to_index(run[0])];
                for (place, index) in run.iter().enumerate() {
                    let copy = waiting[to_index(*index)];
                    let is_last = place + 1 == run.len();
                    assert!(copy.len == first.len || is_last && copy.len < first.len);
                    assert!(last.insert(copy.flow_tag, *index).is_none_or(|one| one < *index));
                }
            }
            assert!(rest.is_empty());
        }
    }
}
