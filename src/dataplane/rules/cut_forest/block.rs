//! Blocks of eight rules, which are compared with a packet at once.

use super::terms::Terms;
use super::ternary::{Packet, Rule};
use crate::dataplane::rules::list::NO_MATCH;

/// The number of rules in a block.
pub(super) const LANES: usize = 8;

/// One word of each rule of a block.
pub(super) type Lanes = [u32; LANES];

/// Up to eight rules of a leaf, in the order of the list. It takes three cache lines for IPv4.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Block<const A: usize> {
    pub(super) addresses: [Lanes; A],
    pub(super) lowest_ports: Lanes,
    pub(super) highest_ports: Lanes,
    /// [`Terms`] of each rule.
    pub(super) terms: Lanes,
    /// The index of each rule in the list; [`NO_MATCH`] in empty lanes.
    pub(super) places: Lanes,
}

impl<const A: usize> Block<A> {
    const EMPTY: Self = Self {
        addresses: [[0; LANES]; A],
        lowest_ports: [0; LANES],
        highest_ports: [0; LANES],
        terms: [Terms::NO_RULE; LANES],
        places: [NO_MATCH; LANES],
    };

    /// A block of the first eight rules.
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a Rule<A>>, goes_on: bool) -> Self {
        let mut block = Self::EMPTY;
        for (lane, rule) in rules.take(LANES).enumerate() {
            let set = |lanes: &mut Lanes, word: u32| {
                if let Some(place) = lanes.get_mut(lane) {
                    *place = word;
                }
            };
            for (lanes, word) in block.addresses.iter_mut().zip(rule.addresses) {
                set(lanes, word);
            }
            set(&mut block.lowest_ports, rule.lowest_ports);
            set(&mut block.highest_ports, rule.highest_ports);
            set(&mut block.terms, rule.terms);
            set(&mut block.places, rule.place);
        }
        let [first, ..] = &mut block.terms;
        if goes_on {
            *first |= Terms::GOES_ON;
        }
        block
    }

    /// Whether the leaf continues in the next block.
    #[inline(always)]
    pub(super) const fn goes_on(&self) -> bool {
        let [first, ..] = self.terms;
        first & Terms::GOES_ON != 0
    }

    /// A bit for each lane whose rule matches and has index `floor` or higher, in portable code.
    #[inline(always)]
    pub(super) fn matching(&self, packet: &Packet<A>, floor: u32) -> u32 {
        let mut differs = [0; LANES];
        for ((part, lanes), word) in (0..).zip(&self.addresses).zip(packet.addresses) {
            for ((differs, value), terms) in differs.iter_mut().zip(lanes).zip(self.terms) {
                let free = free_bits::<A>(part, terms);
                *differs |= (word ^ value).checked_shr(free).unwrap_or(0);
            }
        }
        let ports = self.lowest_ports.iter().zip(&self.highest_ports);
        let lanes = (0..).zip(differs.iter().zip(self.terms)).zip(ports);
        lanes.zip(self.places).fold(0, |bits, (((lane, (differs, terms)), (low, high)), place)| {
            let matches = *differs == 0
                && place >= floor
                && terms & packet.refused == 0
                && (terms & Terms::ANY_PROTOCOL != 0 || terms & Terms::PROTOCOL == packet.protocol)
                && is_within(packet.ports, *low, *high);
            bits | u32::from(matches) << lane
        })
    }
}

/// The number of low bits of an address word that a rule does not restrict; 32 or more if it
/// restricts no bit of the word.
#[inline(always)]
const fn free_bits<const A: usize>(part: u32, terms: u32) -> u32 {
    let half = if A == 2 { 1 } else { 4 };
    let (part, len) = if part < half { (part, terms) } else { (part - half, terms >> 8) };
    (32 * (part + 1)).saturating_sub(len & 0xff)
}

/// Whether both ports are within their bounds.
#[inline(always)]
const fn is_within(ports: u32, low: u32, high: u32) -> bool {
    let (source, destination) = (ports >> 16, ports & 0xffff);
    source >= low >> 16
        && source <= high >> 16
        && destination >= low & 0xffff
        && destination <= high & 0xffff
}
