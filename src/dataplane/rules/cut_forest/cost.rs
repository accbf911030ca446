//! The cost of lookups in a forest, by which the best of several forests is chosen.

use super::isa::{Isa, Portable};
use super::terms::Terms;
use super::ternary::{Packet, Rule};
use super::trees::{Branch, Trees};
use crate::dataplane::rules::list::NO_MATCH;

/// The number of rules and of random packets in the sample.
const SAMPLE_LEN: usize = 512;

/// The relative costs of a cut and of the comparison with a block.
const CUT_COST: usize = 3;
const BLOCK_COST: usize = 4;

impl<const A: usize, const N: usize> Trees<A, N> {
    /// The cost of the cuts and blocks that a sample of packets reads. One half of the packets
    /// matches some rule, the other half is random.
    pub(super) fn cost(&self, rules: &[Rule<A>]) -> usize {
        let step = rules.len().div_ceil(SAMPLE_LEN).max(1);
        let matching = rules.iter().step_by(step).map(Rule::matching_packet);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let random = std::iter::repeat_with(|| Packet::random(&mut state)).take(SAMPLE_LEN);
        matching.chain(random).map(|packet| self.lookup_cost(&packet)).sum()
    }

    fn lookup_cost(&self, packet: &Packet<A>) -> usize {
        let words = packet.words();
        let (mut cost, mut best) = (0, NO_MATCH);
        for root in &self.roots {
            let mut position = *root;
            while position.best < best && position.next.is_node() {
                cost += CUT_COST;
                let branch = self.nodes.get(position.next.index()).and_then(|node| {
                    let (place, mark) = node.branch(&words);
                    let branch = self.branches.get(usize::try_from(node.first).ok()? + place)?;
                    (branch.marks & mark != 0).then_some(*branch)
                });
                position = branch.unwrap_or(Branch { best: NO_MATCH, ..position });
            }
            if position.best >= best {
                continue;
            }
            for block in self.blocks.iter().skip(position.next.index()) {
                cost += BLOCK_COST;
                let lane = Portable.matching(block, packet, 0).trailing_zeros();
                let place = usize::try_from(lane).ok().and_then(|lane| block.places.get(lane));
                best = place.copied().unwrap_or(NO_MATCH).min(best);
                if place.is_some() || !block.goes_on() {
                    break;
                }
            }
        }
        cost
    }
}

impl<const A: usize> Rule<A> {
    /// A packet that the rule matches.
    fn matching_packet(&self) -> Packet<A> {
        let protocol = if self.terms & Terms::ANY_PROTOCOL == 0 { self.terms } else { 6 << 16 };
        Packet {
            addresses: self.addresses,
            ports: self.highest_ports,
            protocol: protocol & Terms::PROTOCOL,
            refused: Terms::NO_RULE,
        }
    }
}

impl<const A: usize> Packet<A> {
    /// A TCP or UDP packet with pseudo-random addresses and ports.
    fn random(state: &mut u64) -> Self {
        let mut draw = || {
            *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            u32::try_from(*state >> 32).unwrap_or_default()
        };
        Self {
            addresses: [(); A].map(|()| draw()),
            ports: draw(),
            protocol: if draw() & 1 == 0 { 6 << 16 } else { 17 << 16 },
            refused: Terms::NO_RULE,
        }
    }
}
