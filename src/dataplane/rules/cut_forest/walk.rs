//! Searches a batch of packets in all trees, level by level.
//!
//! The processor cannot predict the path of a packet, and a wrong branch prediction takes longer
//! than the step itself. Therefore sets of packets are words with one bit for each packet, which
//! are computed without branch instructions.

use prefetch_index::prefetch_index;

use super::block::LANES;
use super::isa::Isa;
use super::ternary::Packet;
use super::trees::{BATCH_LEN, Branch, ChildRef, MatchAction, Node, Search, Trees};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::rules::answer::Answer;
use crate::dataplane::rules::list::NO_MATCH;

/// Index of a packet in the batch.
type Lane = usize;

/// A set of packets of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LaneMask(u64);

impl LaneMask {
    const NONE: Self = Self(0);

    /// The first `count` packets.
    #[inline(always)]
    fn first(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self(!u64::MAX.checked_shl(count).unwrap_or(0))
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds the lane if the condition is true.
    #[inline(always)]
    fn insert_if(&mut self, condition: bool, lane: Lane) {
        self.0 |= u64::from(condition) << (lane % BATCH_LEN);
    }
}

impl Iterator for LaneMask {
    type Item = Lane;

    #[inline(always)]
    fn next(&mut self) -> Option<Lane> {
        let lane = usize::try_from(self.0.trailing_zeros()).unwrap_or_default();
        let left = self.0 & self.0.checked_sub(1)?;
        self.0 = left;
        Some(lane % BATCH_LEN)
    }
}

/// The packets of a batch and the state of their searches.
struct PacketBatch<const A: usize, const N: usize> {
    packets: [Packet<A>; BATCH_LEN],
    /// The [`Packet::words`] of each packet.
    words: [[u64; N]; BATCH_LEN],
    /// The index of the first rule found so far.
    best: [u32; BATCH_LEN],
    /// Rules before this index are ignored, because their session has rejected the packet.
    floor: [u32; BATCH_LEN],
    /// The node or leaf that each packet has reached.
    positions: [ChildRef; BATCH_LEN],
}

impl<const A: usize, const N: usize> PacketBatch<A, N> {
    const NONE: Self = Self {
        packets: [Packet::NONE; BATCH_LEN],
        words: [[0; N]; BATCH_LEN],
        best: [NO_MATCH; BATCH_LEN],
        floor: [0; BATCH_LEN],
        positions: [ChildRef::leaf(0); BATCH_LEN],
    };
}

impl<const A: usize, const N: usize> Trees<A, N> {
    /// Writes to `answers` the index of the rule that each search finds, or [`Answer::NONE`].
    #[inline(always)]
    pub(super) fn classify<I: Isa>(
        &self,
        isa: I,
        search: Search<'_>,
        keys: &[FlowKey],
        answers: &mut [Answer],
    ) {
        let mut floors = match search {
            Search::Decides => [].as_slice(),
            Search::Matches(from) => from,
        }
        .chunks(BATCH_LEN);
        let mut batch = PacketBatch::NONE;
        for (keys, answers) in keys.chunks(BATCH_LEN).zip(answers.chunks_mut(BATCH_LEN)) {
            for ((packet, words), key) in batch.packets.iter_mut().zip(&mut batch.words).zip(keys) {
                *packet = Packet::new(key);
                *words = packet.words();
            }
            batch.best = [NO_MATCH; BATCH_LEN];
            batch.floor = [0; BATCH_LEN];
            for (floor, from) in batch.floor.iter_mut().zip(floors.next().unwrap_or_default()) {
                *floor = *from;
            }
            let mut active = LaneMask::first(keys.len());
            while !active.is_empty() {
                for root in &self.roots {
                    self.walk_tree(isa, *root, &mut batch, active);
                }
                active = match search {
                    Search::Decides => self.restart_rejected(&mut batch, active),
                    Search::Matches(_) => LaneMask::NONE,
                };
            }
            for (answer, best) in answers.iter_mut().zip(batch.best) {
                *answer = Answer::new(best);
            }
        }
    }

    /// Restarts the packets that found a rejecting rule, so that later sessions are searched.
    /// Returns these packets.
    #[inline(always)]
    fn restart_rejected(&self, batch: &mut PacketBatch<A, N>, active: LaneMask) -> LaneMask {
        let mut again = LaneMask::NONE;
        for lane in active {
            let (Some(best), Some(floor)) = (batch.best.get_mut(lane), batch.floor.get_mut(lane))
            else {
                continue;
            };
            let action = usize::try_from(*best).ok().and_then(|best| self.actions.get(best));
            let Some(MatchAction::Rejects(session_end)) = action else { continue };
            *floor = *session_end;
            *best = NO_MATCH;
            again.insert_if(true, lane);
        }
        again
    }

    #[inline(always)]
    fn walk_tree<I: Isa>(
        &self,
        isa: I,
        root: Branch,
        batch: &mut PacketBatch<A, N>,
        active: LaneMask,
    ) {
        let entering = LaneMask(active.0 & isa.later(&batch.best, root.best));
        let mut leaves = LaneMask::NONE;
        if let Some(node) = self.nodes.get(root.next.index()).filter(|_| root.next.is_node()) {
            let mut deeper = self.step(batch, entering, &mut leaves, |_| Some(node));
            while !deeper.is_empty() {
                deeper = self.step(batch, deeper, &mut leaves, |next| self.nodes.get(next.index()));
            }
        } else {
            entering.for_each(|lane| set(&mut batch.positions, lane, root.next));
            leaves = entering;
        }
        while !leaves.is_empty() {
            leaves = self.scan(isa, batch, leaves);
        }
    }

    /// Descends one level. Returns the packets that reach another node, and adds those that reach a
    /// leaf to `leaves`. The next memory of all packets is prefetched before the first is used.
    #[inline(always)]
    fn step<'a>(
        &self,
        batch: &mut PacketBatch<A, N>,
        lanes: LaneMask,
        leaves: &mut LaneMask,
        node_at: impl Fn(ChildRef) -> Option<&'a Node<N>>,
    ) -> LaneMask {
        let mut branches = [(0, 0); BATCH_LEN];
        for lane in lanes {
            let (Some(position), Some(words), Some(branch)) =
                (batch.positions.get(lane), batch.words.get(lane), branches.get_mut(lane))
            else {
                continue;
            };
            let Some(node) = node_at(*position) else { continue };
            let (place, mark) = node.branch(words);
            *branch = (usize::try_from(node.first).unwrap_or(usize::MAX) + place, mark);
            prefetch_index(&self.branches, branch.0);
        }
        let (mut deeper, mut ended) = (LaneMask::NONE, LaneMask::NONE);
        for lane in lanes {
            let (Some(position), Some(best), Some((branch, mark))) =
                (batch.positions.get_mut(lane), batch.best.get(lane), branches.get(lane))
            else {
                continue;
            };
            let Some(branch) = self.branches.get(*branch) else { continue };
            *position = branch.next;
            let goes_on = (branch.marks & mark != 0) & (branch.best < *best);
            deeper.insert_if(goes_on & branch.next.is_node(), lane);
            ended.insert_if(goes_on & !branch.next.is_node(), lane);
        }
        for next in deeper.filter_map(|lane| batch.positions.get(lane)) {
            prefetch_index(&self.nodes, next.index());
        }
        self.prefetch_blocks(batch, ended);
        leaves.0 |= ended.0;
        deeper
    }

    #[inline(always)]
    fn prefetch_blocks(&self, batch: &PacketBatch<A, N>, leaves: LaneMask) {
        for leaf in leaves.filter_map(|lane| batch.positions.get(lane)) {
            let Some(block) = self.blocks.get(leaf.index()) else { continue };
            block.addresses.iter().step_by(2).for_each(|lanes| prefetch_index(lanes, 0));
            prefetch_index(block.lowest_ports.as_slice(), 0);
            prefetch_index(block.terms.as_slice(), 0);
        }
    }

    /// Compares one block of each leaf. Returns the packets that found no rule and continue in the
    /// next block.
    #[inline(always)]
    fn scan<I: Isa>(&self, isa: I, batch: &mut PacketBatch<A, N>, leaves: LaneMask) -> LaneMask {
        let mut longer = LaneMask::NONE;
        for lane in leaves {
            let (Some(packet), Some(best), Some(floor), Some(position)) = (
                batch.packets.get(lane),
                batch.best.get_mut(lane),
                batch.floor.get(lane),
                batch.positions.get_mut(lane),
            ) else {
                continue;
            };
            let Some(block) = self.blocks.get(position.index()) else { continue };
            let hits = isa.matching(block, packet, *floor);
            let rule_lane = usize::try_from(hits.trailing_zeros()).unwrap_or_default() % LANES;
            let place = block.places.get(rule_lane).copied().unwrap_or(NO_MATCH);
            let place = if hits == 0 { NO_MATCH } else { place };
            let [.., last] = block.places;
            longer.insert_if(block.goes_on() & (hits == 0) & (last < *best), lane);
            *best = place.min(*best);
            *position = position.next_block();
        }
        self.prefetch_blocks(batch, longer);
        longer
    }
}

#[inline(always)]
fn set<T>(all: &mut [T], place: usize, value: T) {
    if let Some(one) = all.get_mut(place) {
        *one = value;
    }
}
