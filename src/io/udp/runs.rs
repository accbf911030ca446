//! Groups copies into runs of one flow and length. A run is one message, which the kernel or the
//! network card cuts (UDP segmentation offload, `UDP_SEGMENT` of `linux/udp.h`).
//!
//! In arrival order, a run consists of consecutive copies: the segments of a super-frame, or a
//! burst of one flow. In flow order, copies of one source port and length are gathered across the
//! burst. Copies of different flows may then be reordered, those of one flow never: a copy joins no
//! run that leaves before the run with the last copy of its flow.
//!
//! Example of flow order, copies with (length, flow) on one source port:
//!
//! ```text
//! burst   0:(72, a)  1:(1400, a)  2:(72, b)  3:(72, a)  4:(1400, b)
//! runs    72: 0 2    1400: 1 4    72: 3
//! sent    message of 0 and 2, message of 1, 4 and 3
//! ```
//!
//! Copy 3 cannot join the first run, because copy 1 of the same flow is in a later one. A message
//! may end with one shorter datagram, so copy 3 is appended to the message of 1 and 4.

use super::options::DepartureOrder;
use crate::io::sys::sendmmsg::MAX_SEGMENTS;

/// Number of slots for the run of each flow's last copy. Flows that share a slot may be put into
/// more runs than necessary.
const FLOW_SLOTS: usize = 256;

/// How many of the last runs are searched for one of the right length.
const LOOKBACK: usize = 8;

/// The maximum number of bytes in a message of several datagrams: the longest UDP payload of either
/// IP version.
const MAX_MESSAGE_LEN: usize = 65_487;

/// One copy that is queued for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueuedCopy {
    /// Index in the burst.
    pub(super) index: u32,
    /// Index of its path.
    pub(super) path: u32,
    /// Length of the UDP payload, in bytes.
    pub(super) len: u32,
    /// The same for all copies of a flow.
    pub(super) flow_tag: u16,
    /// The low seven bits of its UDP source port.
    pub(super) flow_hash: u8,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    len: u32,
    count: u32,
    bytes: u32,
}

/// The queued copies in the order of departure, and their runs.
#[derive(Debug)]
pub(super) struct Runs {
    queued: Vec<QueuedCopy>,
    /// Number of copies of each run, in the same order.
    counts: Vec<usize>,
    arranged: Vec<QueuedCopy>,
    runs: Vec<Run>,
    /// The run of each copy of a source port, in the order of arrival.
    run_of: Vec<u32>,
    last_of_flow: Box<[u32; FLOW_SLOTS]>,
}

impl Runs {
    pub(super) fn new() -> Self {
        Self {
            queued: Vec::new(),
            counts: Vec::new(),
            arranged: Vec::new(),
            runs: Vec::new(),
            run_of: Vec::new(),
            last_of_flow: Box::new([0; FLOW_SLOTS]),
        }
    }

    pub(super) fn clear(&mut self) {
        self.queued.clear();
        self.counts.clear();
    }

    pub(super) fn push(&mut self, queued: QueuedCopy) {
        self.queued.push(queued);
    }

    /// The copies in the order of departure.
    pub(super) fn queued(&self) -> &[QueuedCopy] {
        &self.queued
    }

    /// The same copies, mutable.
    pub(super) fn queued_mut(&mut self) -> &mut [QueuedCopy] {
        &mut self.queued
    }

    /// Number of copies of each run.
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Makes each copy a run of its own, starting with this run.
    pub(super) fn split_from(&mut self, run: usize) {
        let left = self.counts.iter().skip(run).sum();
        self.counts.truncate(run);
        self.counts.resize(run.saturating_add(left), 1);
    }

    /// Removes the unsent copies of a path: those from run `run` and copy `copy` on.
    pub(super) fn remove_path(&mut self, path: u32, (run, copy): (usize, usize)) {
        self.arranged.clear();
        self.arranged.extend_from_slice(self.queued.get(copy..).unwrap_or_default());
        self.queued.truncate(copy);
        let mut kept = run;
        let mut start = 0;
        for index in run..self.counts.len() {
            let count = self.counts.get(index).copied().unwrap_or_default();
            let copies = self.arranged.get(start..start + count).unwrap_or_default();
            start += count;
            if copies.first().is_some_and(|first| first.path != path) {
                self.queued.extend_from_slice(copies);
                if let Some(slot) = self.counts.get_mut(kept) {
                    *slot = count;
                }
                kept += 1;
            }
        }
        self.counts.truncate(kept);
    }

    /// Arranges the queued copies. `may_segment` returns whether runs of a path and a length leave
    /// as one message; it is called once for each run, in the order of departure.
    pub(super) fn arrange(
        &mut self,
        order: DepartureOrder,
        may_segment: impl FnMut(u32, u32) -> bool,
    ) {
        match order {
            DepartureOrder::Arrival => self.join_adjacent(may_segment),
            DepartureOrder::Flow => self.gather_all(may_segment),
        }
    }

    fn join_adjacent(&mut self, mut may_segment: impl FnMut(u32, u32) -> bool) {
        // The run that the next copy may join, and its first copy.
        let mut open: Option<(Run, QueuedCopy)> = None;
        for copy in &self.queued {
            let joined = open.as_mut().is_some_and(|(run, first)| {
                let is_same = (first.path, first.flow_hash) == (copy.path, copy.flow_hash);
                is_same && copy.len <= run.len && run.has_room_for(copy.len)
            });
            match (&mut open, self.counts.last_mut()) {
                (Some((run, _)), Some(count)) if joined => {
                    *count += 1;
                    run.count += 1;
                    run.bytes += copy.len;
                    // Only the last datagram of a message may be shorter.
                    if copy.len < run.len {
                        open = None;
                    }
                }
                _ => {
                    self.counts.push(1);
                    let run = Run { len: copy.len, count: 1, bytes: copy.len };
                    open = may_segment(copy.path, copy.len).then_some((run, *copy));
                }
            }
        }
    }

    fn gather_all(&mut self, mut may_segment: impl FnMut(u32, u32) -> bool) {
        let mut queued = std::mem::take(&mut self.queued);
        self.arranged.clear();
        // The index breaks ties, so the order within a source port is that of the burst.
        queued.sort_unstable_by_key(|copy| (copy.path, copy.flow_hash, copy.index));
        for port in queued.chunk_by(|a, b| (a.path, a.flow_hash) == (b.path, b.flow_hash)) {
            match port.iter().max_by_key(|copy| copy.len) {
                Some(longest) if may_segment(longest.path, longest.len) => self.gather(port),
                _ => {
                    self.arranged.extend_from_slice(port);
                    self.counts.resize(self.counts.len() + port.len(), 1);
                }
            }
        }
        self.queued = std::mem::replace(&mut self.arranged, queued);
    }

    /// Gathers the copies of one source port.
    fn gather(&mut self, port: &[QueuedCopy]) {
        self.runs.clear();
        self.run_of.clear();
        self.last_of_flow.fill(0);
        for copy in port {
            let run = self.find_or_add_run(copy);
            self.run_of.push(u32::try_from(run).unwrap_or(u32::MAX));
        }
        self.sort_by_run(port);
    }

    fn find_or_add_run(&mut self, copy: &QueuedCopy) -> usize {
        let slot = usize::from(copy.flow_tag) % FLOW_SLOTS;
        let floor = self.last_of_flow.get(slot).map_or(0, |run| to_index(*run));
        let first = floor.max(self.runs.len().saturating_sub(LOOKBACK));
        let open = self.runs.iter_mut().enumerate().skip(first).find(|(_, run)| run.accepts(copy));
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
        if let Some(last_run) = self.last_of_flow.get_mut(slot) {
            *last_run = u32::try_from(index).unwrap_or(u32::MAX);
        }
        index
    }

    /// Counts the copies of each message. The last datagram of a message may be shorter, as at the
    /// end of a long transfer.
    fn count_messages(&mut self) {
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
    fn sort_by_run(&mut self, port: &[QueuedCopy]) {
        self.count_messages();
        let mut start = u32::try_from(self.arranged.len()).unwrap_or(u32::MAX);
        self.arranged.extend_from_slice(port);
        for run in &mut self.runs {
            // From here on it is the index of the next copy of the run.
            (run.bytes, start) = (start, start.saturating_add(run.count));
        }
        for (copy, run) in port.iter().zip(&self.run_of) {
            let Some(run) = self.runs.get_mut(to_index(*run)) else { continue };
            if let Some(slot) = self.arranged.get_mut(to_index(run.bytes)) {
                *slot = *copy;
            }
            run.bytes += 1;
        }
    }
}

impl Run {
    fn accepts(&self, copy: &QueuedCopy) -> bool {
        self.len == copy.len && self.has_room_for(copy.len)
    }

    fn may_end_with(&self, shorter: &Self) -> bool {
        shorter.len < self.len && self.has_room_for(shorter.len)
    }

    fn has_room_for(&self, len: u32) -> bool {
        to_index(self.count) < MAX_SEGMENTS && to_index(self.bytes + len) <= MAX_MESSAGE_LEN
    }
}

pub(super) fn to_index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Arranges copies of one path, given by length and flow. The source port of a flow is its
    /// number halved.
    fn arranged(copies: &[(u32, u16)], order: DepartureOrder) -> Runs {
        let mut runs = Runs::new();
        for (index, &(len, flow_tag)) in (0..).zip(copies) {
            let flow_hash = u8::try_from(flow_tag / 2).unwrap();
            runs.push(QueuedCopy { index, path: 0, len, flow_tag, flow_hash });
        }
        runs.arrange(order, |_, _| true);
        runs
    }

    fn indices(runs: &Runs) -> Vec<u32> {
        runs.queued().iter().map(|copy| copy.index).collect()
    }

    #[test]
    fn in_flow_order_copies_of_equal_length_form_one_run() {
        // The second short copy of flow 0 must not overtake its long one.
        let copies = [(72, 0), (1400, 0), (72, 1), (72, 0), (1400, 1)];
        let runs = arranged(&copies, DepartureOrder::Flow);
        assert_eq!((indices(&runs), runs.counts()), (vec![0, 2, 1, 4, 3], &[2, 3][..]));
    }

    #[test]
    fn in_arrival_order_copies_are_not_reordered() {
        let copies = [(72, 0), (72, 0), (1400, 0), (72, 2), (72, 2), (20, 2), (20, 2), (72, 0)];
        let runs = arranged(&copies, DepartureOrder::Arrival);
        assert_eq!(indices(&runs), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(runs.counts(), [2, 1, 3, 1, 1]);
    }

    #[test]
    fn runs_end_where_a_message_is_full() {
        for order in [DepartureOrder::Arrival, DepartureOrder::Flow] {
            let counts = |copies: &[(u32, u16)]| arranged(copies, order).counts().to_vec();
            assert_eq!(counts(&vec![(72, 1); 150]), [64, 64, 22]);
            assert_eq!(counts(&[(9_000, 1); 15]), [7, 7, 1]);
            assert_eq!(counts(&[(1400, 1), (1400, 1), (500, 1), (200, 1), (200, 1)]), [3, 2]);
            assert_eq!(counts(&[(65_000, 1); 2]), [1, 1]);
        }
    }

    #[test]
    fn an_unsent_run_can_be_split() {
        let mut runs = arranged(&vec![(72, 1); 130], DepartureOrder::Arrival);
        runs.split_from(1);
        assert_eq!(runs.counts().len(), 67);
        assert_eq!(runs.counts().iter().sum::<usize>(), 130);
    }

    #[test]
    fn the_copies_of_one_path_can_be_removed() {
        let mut runs = Runs::new();
        for index in 0..9 {
            let copy = QueuedCopy { index, path: index / 2 % 2, len: 9, flow_tag: 0, flow_hash: 0 };
            runs.push(copy);
        }
        runs.arrange(DepartureOrder::Arrival, |_, _| true);
        assert_eq!(runs.counts(), [2, 2, 2, 2, 1]);
        runs.remove_path(0, (1, 2));
        assert_eq!((indices(&runs), runs.counts()), (vec![0, 1, 2, 3, 6, 7], &[2, 2, 2][..]));
    }

    proptest::proptest! {
        #[test]
        fn flows_keep_their_order_and_messages_their_limits(
            copies in proptest::collection::vec((1..5_u32, 0..6_u16), 0..300),
            is_by_flow in proptest::bool::ANY,
        ) {
            let order = if is_by_flow { DepartureOrder::Flow } else { DepartureOrder::Arrival };
            let runs = arranged(&copies, order);
            let mut sorted = indices(&runs);
            if is_by_flow {
                sorted.sort_unstable();
            }
            assert!(sorted.iter().copied().eq(0..u32::try_from(copies.len()).unwrap()));
            let mut last = HashMap::new();
            let mut rest = runs.queued();
            for count in runs.counts() {
                let (run, others) = rest.split_at(*count);
                rest = others;
                for (position, copy) in run.iter().enumerate() {
                    let is_last = position + 1 == run.len();
                    assert!(copy.len == run[0].len || is_last && copy.len < run[0].len);
                    assert_eq!(copy.flow_hash, run[0].flow_hash);
                    let before = last.insert(copy.flow_tag, copy.index);
                    assert!(before.is_none_or(|one| one < copy.index));
                }
            }
            assert!(rest.is_empty());
        }
    }
}
