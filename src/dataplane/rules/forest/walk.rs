//! Walking a burst through all trees, level by level.

use arrayvec::ArrayVec;
use prefetch_index::prefetch_index;

use super::isa::Isa;
use super::ternary::Packet;
use super::{Branch, Fate, NOBODY, Next, Search, Trees};
use crate::dataplane::flow_key::FlowKey;

/// How many packets walk together.
const WIDTH: usize = 32;

/// A packet of the burst, as its place there.
type Walker = usize;

/// Packets with the way that each is on.
type Ways = ArrayVec<(Walker, Next), WIDTH>;

/// Packets that walk together.
struct Party<const A: usize> {
    packets: [Packet<A>; WIDTH],
    /// The first rule found so far.
    best: [u32; WIDTH],
    /// Rules before this one no longer count: their session has rejected.
    floor: [u32; WIDTH],
}

impl<const A: usize> Party<A> {
    /// Whether a packet may find an earlier rule there than it has.
    #[inline(always)]
    fn may_better(&self, walker: Walker, branch: Branch) -> bool {
        self.best.get(walker).is_some_and(|best| branch.best < *best)
    }
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
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            let mut party =
                Party { packets: [Packet::NONE; WIDTH], best: [NOBODY; WIDTH], floor: [0; WIDTH] };
            for (packet, key) in party.packets.iter_mut().zip(keys) {
                *packet = Packet::new(key);
            }
            for (floor, from) in party.floor.iter_mut().zip(floors.next().unwrap_or_default()) {
                *floor = *from;
            }
            let mut asking: ArrayVec<Walker, WIDTH> = (0..keys.len().min(WIDTH)).collect();
            while !asking.is_empty() {
                for root in &self.roots {
                    self.walk_tree(isa, *root, &mut party, &asking);
                }
                match search {
                    Search::Decides => {
                        asking.retain(|walker| self.must_ask_again(&mut party, *walker));
                    }
                    Search::Matches(_) => asking.clear(),
                }
            }
            for (answer, best) in answers.iter_mut().zip(party.best) {
                *answer = best;
            }
        }
    }

    /// Whether the rule that was found rejects, so that later sessions are asked.
    #[inline(always)]
    fn must_ask_again(&self, party: &mut Party<A>, walker: Walker) -> bool {
        let (Some(best), Some(floor)) = (party.best.get_mut(walker), party.floor.get_mut(walker))
        else {
            return false;
        };
        let fate = usize::try_from(*best).ok().and_then(|best| self.fates.get(best));
        let Some(Fate::Rejects(session_end)) = fate else { return false };
        *floor = *session_end;
        *best = NOBODY;
        true
    }

    #[inline(always)]
    fn walk_tree<I: Isa>(&self, isa: I, root: Branch, party: &mut Party<A>, asking: &[Walker]) {
        let entering = asking.iter().copied().filter(|walker| party.may_better(*walker, root));
        let mut ways: Ways = entering.map(|walker| (walker, root.next)).collect();
        let mut leaves = Ways::new();
        if !root.next.is_node() {
            std::mem::swap(&mut ways, &mut leaves);
        }
        while !ways.is_empty() {
            self.step(party, &mut ways, &mut leaves);
        }
        for (walker, leaf) in leaves {
            self.scan(isa, party, walker, leaf);
        }
    }

    /// One level down. What is needed next is asked for from memory for all packets before the
    /// first of them goes on.
    #[inline(always)]
    fn step(&self, party: &Party<A>, ways: &mut Ways, leaves: &mut Ways) {
        let mut branches = [0; WIDTH];
        for ((walker, next), branch) in ways.iter().zip(&mut branches) {
            let (Some(node), Some(packet)) =
                (self.nodes.get(next.index()), party.packets.get(*walker))
            else {
                continue;
            };
            *branch =
                usize::try_from(node.first).unwrap_or(usize::MAX) + node.branch(&packet.words());
            prefetch_index(&self.branches, *branch);
        }
        let mut deeper = Ways::new();
        for ((walker, _), branch) in ways.iter().zip(branches) {
            let Some(branch) = self.branches.get(branch) else { continue };
            if !party.may_better(*walker, *branch) {
                continue;
            }
            if branch.next.is_node() {
                prefetch_index(&self.nodes, branch.next.index());
                deeper.push((*walker, branch.next));
            } else {
                if let Some(block) = self.blocks.get(branch.next.index()) {
                    block.addresses.iter().step_by(2).for_each(|lanes| prefetch_index(lanes, 0));
                    prefetch_index(block.lowest_ports.as_slice(), 0);
                    prefetch_index(block.terms.as_slice(), 0);
                }
                leaves.push((*walker, branch.next));
            }
        }
        *ways = deeper;
    }

    /// The first rule of a leaf that matches.
    #[inline(always)]
    fn scan<I: Isa>(&self, isa: I, party: &mut Party<A>, walker: Walker, leaf: Next) {
        let (Some(packet), Some(best), Some(floor)) =
            (party.packets.get(walker), party.best.get_mut(walker), party.floor.get(walker))
        else {
            return;
        };
        for block in self.blocks.iter().skip(leaf.index()) {
            let [first, ..] = block.places;
            if first >= *best {
                return;
            }
            let mut hits = isa.matching(block, packet);
            while hits != 0 {
                let lane = usize::try_from(hits.trailing_zeros()).unwrap_or_default();
                let place = block.places.get(lane).copied().unwrap_or(NOBODY);
                if place >= *floor {
                    *best = place.min(*best);
                    return;
                }
                hits &= hits - 1;
            }
            if !block.goes_on() {
                return;
            }
        }
    }
}
