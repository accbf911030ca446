//! Rules as conditions on nibbles (four bits), because a vector instruction can look up many
//! nibbles at once.
//!
//! A CIDR block is a separate condition on each nibble of an address, and a rule matches if all of
//! its nibbles match. Example: 10.32.0.0/11 needs the nibbles 0, a, then 2 or 3; the other nibbles
//! may have any value. A protocol, and a port range that is a binary prefix (such as 1024-2047),
//! are such conditions too. Any other port range is compared as a whole; the results of four
//! comparisons form a nibble.

use super::fields::byte_range;
use crate::model::{FilterRule, PortRange};

/// Four bits that are computed from a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nibble {
    /// One half of a byte of the key.
    HalfByte(HalfByte),
    /// The results of up to four port conditions.
    PortConditions([Option<PortCondition>; 4]),
}

/// One half of a byte of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HalfByte {
    pub(super) place: KeyByte,
    pub(super) is_upper: bool,
}

/// A byte of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyByte {
    /// A byte of [`FlowKey::addresses`](crate::dataplane::flow_key::FlowKey).
    Address(u8),
    /// A byte of a port.
    Port {
        is_destination: bool,
        is_upper: bool,
    },
    Protocol,
    /// 1 if the protocol is unknown, else 0.
    Unknown,
    /// 1 if the packet has ports, else 0.
    HasPorts,
}

/// A range of source or destination ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortCondition {
    pub(super) is_destination: bool,
    pub(super) ports: PortRange,
}

impl Nibble {
    /// All nibbles that some rule restricts.
    pub(super) fn all(rules: &[&FilterRule]) -> Vec<Self> {
        let addresses = (0..32).map(KeyByte::Address);
        let ports = [(false, false), (false, true), (true, false), (true, true)];
        let ports =
            ports.map(|(is_destination, is_upper)| KeyByte::Port { is_destination, is_upper });
        let places =
            addresses.chain(ports).chain([KeyByte::Protocol, KeyByte::Unknown, KeyByte::HasPorts]);
        let halves = places.flat_map(|place| {
            [false, true].map(|is_upper| Self::HalfByte(HalfByte { place, is_upper }))
        });
        let asked = |nibble: &Self| {
            rules.iter().any(|rule| (0..16).any(|value| !nibble.allows(rule, value)))
        };
        let mut ranges: Vec<PortCondition> =
            rules.iter().flat_map(|rule| non_prefix_ranges(rule)).collect();
        ranges.sort_by_key(|range| {
            (range.is_destination, range.ports.from_port(), range.ports.to_port())
        });
        ranges.dedup();
        let ranges = ranges.chunks(4).map(|group| {
            let mut four = [None; 4];
            four.iter_mut().zip(group).for_each(|(slot, range)| *slot = Some(*range));
            Self::PortConditions(four)
        });
        halves.filter(asked).chain(ranges).collect()
    }

    /// Whether a packet with this value of the nibble can match the rule.
    pub(super) fn allows(&self, rule: &FilterRule, value: u8) -> bool {
        match self {
            Self::HalfByte(half) => half.allows(rule, value),
            Self::PortConditions(four) => (0..4).zip(four).all(|(bit, range)| {
                let asks =
                    range.is_some_and(|range| non_prefix_ranges(rule).any(|own| own == range));
                !asks || value >> bit & 1 != 0
            }),
        }
    }
}

impl HalfByte {
    fn allows(&self, rule: &FilterRule, value: u8) -> bool {
        match self.place {
            KeyByte::Address(place) => self.is_within(byte_range(rule, place), value),
            KeyByte::Port { is_destination, is_upper } => {
                let ports = ports(rule, is_destination).filter(|ports| is_prefix(*ports));
                let bytes = ports.map(|ports| {
                    let ends = (ports.from_port().to_be_bytes(), ports.to_port().to_be_bytes());
                    let ([low_upper, low], [high_upper, high]) = ends;
                    if is_upper { (low_upper, high_upper) } else { (low, high) }
                });
                self.is_within(bytes, value)
            }
            KeyByte::Protocol => {
                let protocol = rule.protocol().map(|protocol| (protocol.0, protocol.0));
                self.is_within(protocol, value)
            }
            KeyByte::Unknown => self.is_upper || rule.protocol().is_none() || value & 1 == 0,
            KeyByte::HasPorts => {
                let ports = [rule.source_ports(), rule.destination_ports()];
                self.is_upper || ports == [None, None] || value & 1 == 1
            }
        }
    }

    /// Whether these four bits can belong to a byte within the bounds. The bounds are those of a
    /// prefix.
    fn is_within(&self, bounds: Option<(u8, u8)>, value: u8) -> bool {
        let Some((low, high)) = bounds else { return true };
        if self.is_upper {
            return (low >> 4..=high >> 4).contains(&value);
        }
        low >> 4 != high >> 4 || (low & 15..=high & 15).contains(&value)
    }
}

fn ports(rule: &FilterRule, is_destination: bool) -> Option<PortRange> {
    if is_destination { rule.destination_ports() } else { rule.source_ports() }
}

/// The port ranges of a rule that are not prefixes.
fn non_prefix_ranges(rule: &FilterRule) -> impl Iterator<Item = PortCondition> {
    let ranges = [false, true].map(|is_destination| {
        ports(rule, is_destination).map(|ports| PortCondition { is_destination, ports })
    });
    ranges.into_iter().flatten().filter(|range| !is_prefix(range.ports))
}

/// Whether the range has exactly the ports with some binary prefix.
fn is_prefix(ports: PortRange) -> bool {
    let (low, high) = (ports.from_port(), ports.to_port());
    let free = low ^ high;
    free & free.wrapping_add(1) == 0 && low & free == 0 && high & free == free
}
