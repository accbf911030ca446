//! The classes of the values of one field.

use super::class_ranges::class_ranges;
use super::interner::{ClassSets, flip};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::rules::list::RuleList;
use crate::model::{CidrBlock, FilterRule, PortRange};

use std::net::IpAddr;

/// 16 bits of a packet that rules can restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// 16 bits of an IPv4 address: 0 and 1 of the source, 8 and 9 of the destination.
    Address(u8),
    SourcePort,
    DestinationPort,
    Protocol,
}

/// The values of a field that a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    low: u16,
    high: u16,
    /// Whether a packet without the field is allowed.
    absent: bool,
}

const ANY: Span = Span { low: 0, high: u16::MAX, absent: true };

impl Field {
    /// The value of this field; parts of addresses in the byte order of the machine.
    #[inline(always)]
    pub(super) fn value(self, key: &FlowKey) -> u16 {
        match self {
            Self::Address(part) => {
                let place = usize::from(part & 15) * 2;
                let bytes = key.addresses.get(place..).and_then(<[u8]>::first_chunk);
                u16::from_ne_bytes(bytes.copied().unwrap_or_default())
            }
            Self::SourcePort => key.source_port,
            Self::DestinationPort => key.destination_port,
            Self::Protocol => key.protocol,
        }
    }

    const fn is_address(self) -> bool {
        matches!(self, Self::Address(_))
    }

    fn span(self, rule: &FilterRule) -> Span {
        let of_ports = |ports: Option<PortRange>| {
            ports.map(|ports| Span { low: ports.from_port(), high: ports.to_port(), absent: false })
        };
        let span = match self {
            Self::Address(part) if part < 8 => part_span(rule.source(), part),
            Self::Address(part) => part_span(rule.destination(), part - 8),
            Self::SourcePort => of_ports(rule.source_ports()),
            Self::DestinationPort => of_ports(rule.destination_ports()),
            Self::Protocol => rule.protocol().map(|wanted| {
                let number = u16::from(wanted.0);
                Span { low: number, high: number, absent: false }
            }),
        };
        span.unwrap_or(ANY)
    }
}

/// The values that a block allows for 16 bits of an address; `None` if it allows all.
fn part_span(block: CidrBlock, part: u8) -> Option<Span> {
    let fixed_bits = block.prefix_len().saturating_sub(part * 16).min(16);
    if fixed_bits == 0 {
        return None;
    }
    let place = usize::from(part) * 2;
    let low = match block.network() {
        IpAddr::V4(v4) => v4.octets().get(place..).and_then(<[u8]>::first_chunk).copied(),
        IpAddr::V6(v6) => v6.octets().get(place..).and_then(<[u8]>::first_chunk).copied(),
    };
    let low = low.map(u16::from_be_bytes)?;
    let free = u16::MAX.checked_shr(u32::from(fixed_bits)).unwrap_or(0);
    Some(Span { low, high: low | free, absent: false })
}

/// The class of each value of a field.
pub(super) type ByValue = [u16; 1 << 16];

/// The classes of one field, in an array with one entry for each value. A table of pages would be
/// smaller, but needs two lookups and took 1.5 times as long.
#[derive(Debug)]
pub(super) struct FieldClasses {
    /// By [`Field::value`]; `None` if all values have one class.
    by_value: Option<Box<ByValue>>,
    absent: u16,
}

impl FieldClasses {
    /// The classes of a field, with the rule set of each class.
    pub(super) fn new(field: Field, list: &RuleList<'_>) -> Option<(Self, ClassSets)> {
        let spans: Vec<Span> = list.rules().iter().map(|place| field.span(place.rule)).collect();
        let mut sets = ClassSets::new(spans.len());
        let absent = sets.class_of(&set_of(&spans, sets.words(), |span| span.absent))?;
        let mut by_value = classes_by_value(&spans, &mut sets)?;
        if field.is_address() {
            // Swapping the two bytes is its own inverse.
            let swapped = (0..=u16::MAX).map(|value| {
                let value = u16::from_ne_bytes(value.to_be_bytes());
                by_value.get(usize::from(value)).copied().unwrap_or_default()
            });
            by_value = swapped.collect();
        }
        let by_value =
            if sets.len() > 1 { by_value.into_boxed_slice().try_into().ok() } else { None };
        Some((Self { by_value, absent }, sets))
    }

    #[inline]
    pub(super) fn by_value(&self) -> Option<&ByValue> {
        self.by_value.as_deref()
    }

    /// The class of a key without this field.
    pub(super) const fn absent(&self) -> u16 {
        self.absent
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.by_value.as_deref().map_or(0, size_of_val)
    }
}

/// The class of a value.
#[inline(always)]
pub(super) fn class_of(by_value: &ByValue, value: u16) -> u16 {
    by_value.get(usize::from(value)).copied().unwrap_or_default()
}

fn set_of(spans: &[Span], words: usize, is_in: impl Fn(&Span) -> bool) -> Vec<u64> {
    let mut set = vec![0; words];
    for (rule, span) in spans.iter().enumerate() {
        if is_in(span) {
            flip(&mut set, rule);
        }
    }
    set
}

/// The class of each value.
fn classes_by_value(spans: &[Span], sets: &mut ClassSets) -> Option<Vec<u16>> {
    let spans = spans.iter().map(|span| (span.low.into(), span.high.into()));
    let ranges = class_ranges(spans, u16::MAX.into(), sets)?;
    let ends = ranges.iter().skip(1).map(|(first, _)| *first).chain([1 << 16]);
    let mut by_value = Vec::with_capacity(1 << 16);
    for ((_, class), end) in ranges.iter().zip(ends) {
        by_value.resize(usize::try_from(end).ok()?, *class);
    }
    Some(by_value)
}
