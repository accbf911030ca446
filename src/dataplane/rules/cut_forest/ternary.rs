//! Rules and packets as words of bits; a bit of a rule may be a wildcard.
//!
//! Example: the ports 1024-2047 are `000001` and ten wildcards. The ports 1000-1100 share only the
//! leading bits `00000`; the other bits are wildcards when bits are selected for cuts, and the
//! bounds of the range are compared in the leaf.

use super::terms::Terms;
use crate::dataplane::flow_key::FlowKey;
use crate::model::{CidrBlock, FilterRule, PortRange};

use std::net::IpAddr;

/// A bit of the last word: the packet has ports, or the rule restricts ports.
const HAS_PORTS: u32 = 1 << 15;

/// A packet: its addresses in words of 32 bits, both ports in one word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<const A: usize> {
    pub(super) addresses: [u32; A],
    pub(super) ports: u32,
    /// The protocol in the bits of [`Terms::PROTOCOL`]; a higher bit if it is unknown.
    pub(super) protocol: u32,
    /// The flags of rules that cannot match.
    pub(super) refused: u32,
}

/// A rule: the required bits of addresses and protocol, and the ranges of the ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<const A: usize> {
    pub(super) addresses: [u32; A],
    masks: [u32; A],
    pub(super) lowest_ports: u32,
    pub(super) highest_ports: u32,
    pub(super) terms: u32,
    pub(super) place: u32,
}

/// The bits of a rule: `cares` has a one for each bit that is not a wildcard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ternary<const N: usize> {
    pub(super) values: [u64; N],
    pub(super) cares: [u64; N],
}

impl<const A: usize> Packet<A> {
    pub(super) const NONE: Self = Self { addresses: [0; A], ports: 0, protocol: 0, refused: 0 };

    #[inline]
    pub(super) fn new(key: &FlowKey) -> Self {
        let mut addresses = [0; A];
        let (source, destination) = key.addresses.split_at(16);
        let halves = source.as_chunks::<4>().0.iter().take(A / 2);
        let words = halves.chain(destination.as_chunks::<4>().0);
        addresses.iter_mut().zip(words).for_each(|(to, word)| *to = u32::from_be_bytes(*word));
        Self {
            addresses,
            ports: pair(key.source_port, key.destination_port),
            protocol: u32::from(key.protocol) << 16,
            refused: Terms::NO_RULE | if key.has_ports { 0 } else { Terms::NEEDS_PORTS },
        }
    }

    /// The packet as words of 64 bits, from which cuts select bits.
    #[inline]
    pub(super) fn words<const N: usize>(&self) -> [u64; N] {
        let has_ports = if self.refused & Terms::NEEDS_PORTS == 0 { HAS_PORTS } else { 0 };
        words(&self.addresses, self.ports, self.protocol >> 16 | has_ports)
    }
}

#[inline]
fn words<const A: usize, const N: usize>(
    addresses: &[u32; A],
    ports: u32,
    service: u32,
) -> [u64; N] {
    let mut words = [0; N];
    let pairs = addresses.as_chunks::<2>().0.iter().map(|[high, low]| join(*high, *low));
    words.iter_mut().zip(pairs.chain([join(ports, service)])).for_each(|(to, word)| *to = word);
    words
}

#[inline]
fn join(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[inline]
fn pair(source: u16, destination: u16) -> u32 {
    u32::from(source) << 16 | u32::from(destination)
}

impl<const A: usize> Rule<A> {
    pub(super) fn new(rule: &FilterRule, place: u32) -> Self {
        let half = A / 2;
        let (mut addresses, mut masks) = ([0; A], [0; A]);
        for (block, start) in [(rule.source(), 0), (rule.destination(), half)] {
            let places = addresses.iter_mut().zip(&mut masks).skip(start).take(half);
            for ((value, mask), (v, m)) in places.zip(block_words(block)) {
                (*value, *mask) = (v, m);
            }
        }
        let named = |ports: Option<PortRange>| {
            ports.map_or((0, u16::MAX), |ports| (ports.from_port(), ports.to_port()))
        };
        let source = named(rule.source_ports());
        let destination = named(rule.destination_ports());
        let ports_named = rule.source_ports().is_some() || rule.destination_ports().is_some();
        let lens =
            u32::from(rule.source().prefix_len()) | u32::from(rule.destination().prefix_len()) << 8;
        let protocol = rule.protocol();
        let protocol = protocol.map_or(Terms::ANY_PROTOCOL, |own| u32::from(own.0) << 16);
        Self {
            addresses,
            masks,
            lowest_ports: pair(source.0, destination.0),
            highest_ports: pair(source.1, destination.1),
            terms: lens | protocol | if ports_named { Terms::NEEDS_PORTS } else { 0 },
            place,
        }
    }

    /// The bits of the rule. Of a range of ports, only the bits that all its ports share.
    pub(super) fn ternary<const N: usize>(&self) -> Ternary<N> {
        let shared = shared_bits(self.lowest_ports, self.highest_ports);
        let is_any = self.terms & Terms::ANY_PROTOCOL != 0;
        let has_ports = if self.terms & Terms::NEEDS_PORTS == 0 { 0 } else { HAS_PORTS };
        let protocol = (self.terms & Terms::PROTOCOL) >> 16;
        Ternary {
            values: words(&self.addresses, self.lowest_ports & shared, protocol | has_ports),
            cares: words(&self.masks, shared, has_ports | if is_any { 0 } else { 0x1ff }),
        }
    }
}

/// The words of a CIDR block with their masks.
fn block_words(block: CidrBlock) -> impl Iterator<Item = (u32, u32)> {
    let (bits, len) = match block.network() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, block.prefix_len()),
        IpAddr::V6(v6) => (v6.to_bits(), block.prefix_len()),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
    let in_words = |bits: u128| {
        bits.to_be_bytes().as_chunks::<4>().0.iter().map(|w| u32::from_be_bytes(*w)).collect()
    };
    let (values, masks): (Vec<u32>, Vec<u32>) = (in_words(bits), in_words(mask));
    values.into_iter().zip(masks)
}

/// The leading bits of each half in which both words agree.
fn shared_bits(low: u32, high: u32) -> u32 {
    let differ = low ^ high;
    let [a, b, c, d] = differ.to_be_bytes();
    let leading = |half: [u8; 2]| {
        let zeros = u16::from_be_bytes(half).leading_zeros();
        u32::from(!u16::MAX.checked_shr(zeros).unwrap_or(0))
    };
    leading([a, b]) << 16 | leading([c, d])
}
