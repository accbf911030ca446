//! Walking a burst through all trees, level by level.
//!
//! Which packets go which way is hardly ever to be guessed, and a processor that guesses wrong
//! loses more time than the way takes. So sets of packets are words with a bit for each, made
//! without a branch.

use prefetch_index::prefetch_index;

use super::block::LANES;
use super::isa::Isa;
use super::ternary::Packet;
use super::{Branch, Fate, NOBODY, Next, Node, Search, Trees};
use crate::dataplane::flow_key::FlowKey;

/// How many packets walk together.
pub(super) const WIDTH: usize = 64;

/// A packet of the party, as its place there.
type Walker = usize;

/// Some packets of the party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Walkers(u64);

impl Walkers {
    const NONE: Self = Self(0);

    /// The first so many.
    #[inline(always)]
    fn first(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self(!u64::MAX.checked_shl(count).unwrap_or(0))
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Takes it in if so meant.
    #[inline(always)]
    fn add_if(&mut self, is_meant: bool, walker: Walker) {
        self.0 |= u64::from(is_meant) << (walker % WIDTH);
    }
}

impl Iterator for Walkers {
    type Item = Walker;

    #[inline(always)]
    fn next(&mut self) -> Option<Walker> {
        let walker = usize::try_from(self.0.trailing_zeros()).unwrap_or_default();
        let left = self.0 & self.0.checked_sub(1)?;
        self.0 = left;
        Some(walker % WIDTH)
    }
}

/// Packets that walk together.
struct Party<const A: usize, const N: usize> {
    packets: [Packet<A>; WIDTH],
    /// The same as [`Packet::words`].
    words: [[u64; N]; WIDTH],
    /// The first rule found so far.
    best: [u32; WIDTH],
    /// Rules before this one no longer count: their session has rejected.
    floor: [u32; WIDTH],
    /// The way that each is on.
    ways: [Next; WIDTH],
}

impl<const A: usize, const N: usize> Party<A, N> {
    const NONE: Self = Self {
        packets: [Packet::NONE; WIDTH],
        words: [[0; N]; WIDTH],
        best: [NOBODY; WIDTH],
        floor: [0; WIDTH],
        ways: [Next::leaf(0); WIDTH],
    };
}

impl<const A: usize, const N: usize> Trees<A, N> {
    /// Puts the place of the rule that is searched for into the answer for each key, or
    /// [`NOBODY`].
    #[inline(always)]
    pub(super) fn classify<I: Isa>(
        &self,
        isa: I,
        search: Search<'_>,
        keys: &[FlowKey],
        answers: &mut [u32],
    ) {
        let mut floors = match search {
            Search::Decides => [].as_slice(),
            Search::Matches(from) => from,
        }
        .chunks(WIDTH);
        let mut party = Party::NONE;
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            for ((packet, words), key) in party.packets.iter_mut().zip(&mut party.words).zip(keys) {
                *packet = Packet::new(key);
                *words = packet.words();
            }
            party.best = [NOBODY; WIDTH];
            party.floor = [0; WIDTH];
            for (floor, from) in party.floor.iter_mut().zip(floors.next().unwrap_or_default()) {
                *floor = *from;
            }
            let mut asking = Walkers::first(keys.len());
            while !asking.is_empty() {
                for root in &self.roots {
                    self.walk_tree(isa, *root, &mut party, asking);
                }
                asking = match search {
                    Search::Decides => self.ask_again(&mut party, asking),
                    Search::Matches(_) => Walkers::NONE,
                };
            }
            for (answer, best) in answers.iter_mut().zip(party.best) {
                *answer = best;
            }
        }
    }

    /// Those that found a rule which rejects, so that later sessions are asked.
    #[inline(always)]
    fn ask_again(&self, party: &mut Party<A, N>, asking: Walkers) -> Walkers {
        let mut again = Walkers::NONE;
        for walker in asking {
            let (Some(best), Some(floor)) =
                (party.best.get_mut(walker), party.floor.get_mut(walker))
            else {
                continue;
            };
            let fate = usize::try_from(*best).ok().and_then(|best| self.fates.get(best));
            let Some(Fate::Rejects(session_end)) = fate else { continue };
            *floor = *session_end;
            *best = NOBODY;
            again.add_if(true, walker);
        }
        again
    }

    #[inline(always)]
    fn walk_tree<I: Isa>(&self, isa: I, root: Branch, party: &mut Party<A, N>, asking: Walkers) {
        let entering = Walkers(asking.0 & isa.later(&party.best, root.best));
        let mut leaves = Walkers::NONE;
        if let Some(node) = self.nodes.get(root.next.index()).filter(|_| root.next.is_node()) {
            let mut deeper = self.step(party, entering, &mut leaves, |_| Some(node));
            while !deeper.is_empty() {
                deeper = self.step(party, deeper, &mut leaves, |next| self.nodes.get(next.index()));
            }
        } else {
            entering.for_each(|walker| set(&mut party.ways, walker, root.next));
            leaves = entering;
        }
        while !leaves.is_empty() {
            leaves = self.scan(isa, party, leaves);
        }
    }

    /// One level down: those that come to another node, beside those that come to a leaf. What is
    /// needed next is asked for from memory for all packets before the first of them goes on.
    #[inline(always)]
    fn step<'a>(
        &self,
        party: &mut Party<A, N>,
        walkers: Walkers,
        leaves: &mut Walkers,
        node_at: impl Fn(Next) -> Option<&'a Node<N>>,
    ) -> Walkers {
        let mut branches = [(0, 0); WIDTH];
        for walker in walkers {
            let (Some(way), Some(words), Some(branch)) =
                (party.ways.get(walker), party.words.get(walker), branches.get_mut(walker))
            else {
                continue;
            };
            let Some(node) = node_at(*way) else { continue };
            let (place, mark) = node.branch(words);
            *branch = (usize::try_from(node.first).unwrap_or(usize::MAX) + place, mark);
            prefetch_index(&self.branches, branch.0);
        }
        let (mut deeper, mut ended) = (Walkers::NONE, Walkers::NONE);
        for walker in walkers {
            let (Some(way), Some(best), Some((branch, mark))) =
                (party.ways.get_mut(walker), party.best.get(walker), branches.get(walker))
            else {
                continue;
            };
            let Some(branch) = self.branches.get(*branch) else { continue };
            *way = branch.next;
            let goes_on = (branch.marks & mark != 0) & (branch.best < *best);
            deeper.add_if(goes_on & branch.next.is_node(), walker);
            ended.add_if(goes_on & !branch.next.is_node(), walker);
        }
        for next in deeper.filter_map(|walker| party.ways.get(walker)) {
            prefetch_index(&self.nodes, next.index());
        }
        self.ask_for_blocks(party, ended);
        leaves.0 |= ended.0;
        deeper
    }

    #[inline(always)]
    fn ask_for_blocks(&self, party: &Party<A, N>, leaves: Walkers) {
        for leaf in leaves.filter_map(|walker| party.ways.get(walker)) {
            let Some(block) = self.blocks.get(leaf.index()) else { continue };
            block.addresses.iter().step_by(2).for_each(|lanes| prefetch_index(lanes, 0));
            prefetch_index(block.lowest_ports.as_slice(), 0);
            prefetch_index(block.terms.as_slice(), 0);
        }
    }

    /// One block of each leaf: the first rule that matches. Those that found none go on with the
    /// next block.
    #[inline(always)]
    fn scan<I: Isa>(&self, isa: I, party: &mut Party<A, N>, leaves: Walkers) -> Walkers {
        let mut longer = Walkers::NONE;
        for walker in leaves {
            let (Some(packet), Some(best), Some(floor), Some(way)) = (
                party.packets.get(walker),
                party.best.get_mut(walker),
                party.floor.get(walker),
                party.ways.get_mut(walker),
            ) else {
                continue;
            };
            let Some(block) = self.blocks.get(way.index()) else { continue };
            let hits = isa.matching(block, packet, *floor);
            let lane = usize::try_from(hits.trailing_zeros()).unwrap_or_default() % LANES;
            let place = block.places.get(lane).copied().unwrap_or(NOBODY);
            let place = if hits == 0 { NOBODY } else { place };
            let [.., last] = block.places;
            longer.add_if(block.goes_on() & (hits == 0) & (last < *best), walker);
            *best = place.min(*best);
            *way = way.following();
        }
        self.ask_for_blocks(party, longer);
        longer
    }
}

#[inline(always)]
fn set<T>(all: &mut [T], place: usize, value: T) {
    if let Some(one) = all.get_mut(place) {
        *one = value;
    }
}
