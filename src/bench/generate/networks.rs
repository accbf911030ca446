//! A tree of networks from which addresses are drawn; some networks occur much more often.
//!
//! The prefixes of real rule lists nest, and a few networks occur in many rules. A tree gives both:
//! a rule follows a random path from the root, and the children of each node are ranked by Zipf's
//! law. For example, 10.0.0.0/8, 10.7.0.0/16 and 10.7.32.0/20 are nodes of one path; a rule with a
//! prefix length of 18 has the first 18 bits of the last one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::random::Random;
use crate::model::{CidrBlock, InvalidValue};

/// The leading bits of an address, left-aligned; all other bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Prefix {
    pub(super) bits: u128,
    pub(super) len: u8,
}

impl Prefix {
    const ANY: Self = Self { bits: 0, len: 0 };

    pub(super) fn cidr(self, is_ipv4: bool) -> Result<CidrBlock, InvalidValue> {
        CidrBlock::new(address(self.bits, is_ipv4), self.len)
    }
}

/// The address with these bits; IPv4 uses the first 32.
pub(super) fn address(bits: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap_or(0)))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}

/// The levels of the tree, each with the prefix length of its networks and two numbers of doublings
/// d: for few rules and for very many. A node has `2^(d + 1) - 1` children on the next level:
/// [`Random::rank`].
type Levels = [(u8, usize, usize); 6];

const LEVELS_IPV4: Levels = [(8, 3, 6), (16, 4, 8), (20, 2, 3), (24, 2, 3), (28, 3, 3), (32, 3, 3)];
const LEVELS_IPV6: Levels =
    [(32, 3, 7), (40, 4, 8), (48, 2, 5), (56, 2, 5), (64, 3, 4), (128, 3, 5)];

/// The smallest tree is used for fewer than four times this number of rules.
const FEW_RULES: usize = 64;

/// The tree. It is not stored: a hash of the parent and the rank gives the bits of a child.
pub(super) struct NetworkTree {
    is_ipv4: bool,
    seed: u64,
    /// Additional doublings of the ranks: one for each factor of four in the number of rules.
    growth: usize,
}

impl NetworkTree {
    /// A tree for this number of rules.
    pub(super) fn new(is_ipv4: bool, seed: u64, rules: usize) -> Self {
        let growth = (rules / FEW_RULES).checked_ilog2().unwrap_or(0) / 2;
        Self { is_ipv4, seed, growth: usize::try_from(growth).unwrap_or(0) }
    }

    /// Draws a network with a prefix of `len` bits on the path to a random host.
    pub(super) fn draw(&self, random: &mut Random, len: u8) -> Prefix {
        if len == 0 {
            return Prefix::ANY;
        }
        let (levels, mut at) = if self.is_ipv4 {
            (LEVELS_IPV4, Prefix::ANY)
        } else {
            // 2000::/3, the global unicast addresses that IANA assigns.
            (LEVELS_IPV6, Prefix { bits: 1 << 125, len: 3 })
        };
        for (end, few, many) in levels {
            if at.len >= len {
                break;
            }
            at = self.child(at, end, random.rank(many.min(few + self.growth)));
        }
        let len = len.min(at.len);
        Prefix { bits: at.bits & u128::MAX << (128 - u32::from(len)), len }
    }

    fn child(&self, parent: Prefix, end: u8, rank: u64) -> Prefix {
        let [high, low] = [parent.bits >> 64, parent.bits]
            .map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
        let seed = [high, low, u64::from(end), rank].into_iter();
        let mut word = seed.fold(self.seed, |seed, word| Random::new(seed ^ word).next());
        if end == 8 {
            // 1.0.0.0/8 to 126.0.0.0/8.
            word = (1 + word % 126) << 56;
        }
        let bits = u128::from(word) << 64 >> parent.len;
        let bits = (parent.bits | bits) & u128::MAX << (128 - u32::from(end));
        Prefix { bits, len: end }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn drawn_networks_nest_and_repeat() {
        for is_ipv4 in [true, false] {
            let networks = NetworkTree::new(is_ipv4, 1, 1000);
            let mut random = Random::new(1);
            let (short, long) = if is_ipv4 { (16, 32) } else { (40, 128) };
            let around: HashSet<Prefix> =
                (0..500).map(|_| networks.draw(&mut random, short)).collect();
            assert!(around.len() > 20 && around.len() < 400, "{}", around.len());
            let inside = (0..500).map(|_| networks.draw(&mut random, long));
            let blocks: Vec<CidrBlock> =
                around.iter().map(|one| one.cidr(is_ipv4).unwrap()).collect();
            let nested = inside.filter(|one| {
                let host = address(one.bits, is_ipv4);
                blocks.iter().any(|block| block.contains(host))
            });
            let nested = nested.count();
            assert!(nested > 150, "{nested}");
        }
    }

    #[test]
    fn networks_of_every_prefix_length_can_be_drawn() {
        for (is_ipv4, longest) in [(true, 32), (false, 128)] {
            let networks = NetworkTree::new(is_ipv4, 9, 1);
            let mut random = Random::new(9);
            for len in 0..=longest {
                let block = networks.draw(&mut random, len);
                let cidr = block.cidr(is_ipv4).unwrap();
                assert_eq!(
                    (cidr.prefix_len(), cidr.network()),
                    (len, address(block.bits, is_ipv4))
                );
            }
        }
    }
}
