//! The class of an IPv6 address.
//!
//! The class of the upper half of 64 bits is found in a search tree. If the rules restrict the lower
//! half only to single hosts, a hash table has the addresses of the hosts; otherwise another search
//! tree finds the class of the lower half, and a table combines both.

use super::cross_table::{BATCH_LEN, CrossTable, Row, TableBuilder};
use super::eight_keys::{CompareKeys, Portable};
use super::host_table::HostTable;
use super::interner::ClassSets;
use super::wide_field::{WideClasses, WideSpan};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::rules::list::ListedRule;
use crate::model::CidrBlock;

use std::net::IpAddr;

/// The classes of source or destination addresses.
#[derive(Debug)]
pub(super) struct Ipv6Classes {
    is_destination: bool,
    upper: WideClasses,
    lower: LowerHalf,
}

#[derive(Debug)]
enum LowerHalf {
    Hosts(HostTable),
    Ranges(WideClasses, CrossTable),
}

impl Ipv6Classes {
    pub(super) fn new(
        builder: &mut TableBuilder<'_>,
        is_destination: bool,
    ) -> Option<(Self, ClassSets)> {
        let block = |place: &ListedRule<'_>| match is_destination {
            true => place.rule.destination(),
            false => place.rule.source(),
        };
        let spans = |is_lower| -> Vec<WideSpan> {
            builder.rules().iter().map(|place| half_span(block(place), is_lower)).collect()
        };
        let (upper_spans, lower_spans) = (spans(false), spans(true));
        let (upper, upper_sets) = WideClasses::new(&upper_spans)?;
        builder.reserve(upper.memory())?;
        if let Some((hosts, sets)) = HostTable::new(&upper_sets, &lower_spans, builder.bytes_left())
        {
            builder.reserve(hosts.memory())?;
            return Some((Self { is_destination, upper, lower: LowerHalf::Hosts(hosts) }, sets));
        }
        let (lower, lower_sets) = WideClasses::new(&lower_spans)?;
        builder.reserve(lower.memory())?;
        let (cross, sets) = builder.cross(&upper_sets, &lower_sets)?;
        Some((Self { is_destination, upper, lower: LowerHalf::Ranges(lower, cross) }, sets))
    }

    /// Writes the class of each key to `row`.
    #[inline]
    pub(super) fn look_up(&self, keys: &[FlowKey], row: &mut Row) {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = pulp::x86::V4::try_new() {
                return isa.vectorize(x86::LookUpCall { isa, classes: self, keys, row });
            }
            if let Some(isa) = pulp::x86::V3::try_new() {
                return isa.vectorize(x86::LookUpCall { isa, classes: self, keys, row });
            }
        }
        self.look_up_with(Portable, keys, row);
    }

    #[inline(always)]
    fn look_up_with<I: CompareKeys>(&self, isa: I, keys: &[FlowKey], row: &mut Row) {
        let first = if self.is_destination { 16 } else { 0 };
        let (mut upper, mut lower) = ([0; BATCH_LEN], [0; BATCH_LEN]);
        for ((upper, lower), key) in upper.iter_mut().zip(&mut lower).zip(keys) {
            (*upper, *lower) = (half(key, first), half(key, first + 8));
        }
        let upper = upper.get(..keys.len()).unwrap_or_default();
        let lower = lower.get(..keys.len()).unwrap_or_default();
        self.upper.look_up(isa, upper, row);
        match &self.lower {
            LowerHalf::Hosts(hosts) => {
                for (class, lower) in row.iter_mut().zip(lower) {
                    *class = hosts.class_of(isa, *lower, *class);
                }
            }
            LowerHalf::Ranges(classes, cross) => {
                let mut columns = [0; BATCH_LEN];
                classes.look_up(isa, lower, &mut columns);
                for ((class, column), _) in row.iter_mut().zip(columns).zip(lower) {
                    *class = cross.cell(*class, column);
                }
            }
        }
    }

    /// The number of lookups for a packet.
    pub(super) const fn depth(&self) -> usize {
        self.upper.depth()
            + match &self.lower {
                LowerHalf::Hosts(_) => 1,
                LowerHalf::Ranges(classes, _) => classes.depth() + 1,
            }
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.upper.memory()
            + match &self.lower {
                LowerHalf::Hosts(hosts) => hosts.memory(),
                LowerHalf::Ranges(classes, cross) => classes.memory() + cross.memory(),
            }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CompareKeys, FlowKey, Ipv6Classes, Row};

    pub(super) struct LookUpCall<'a, I> {
        pub(super) isa: I,
        pub(super) classes: &'a Ipv6Classes,
        pub(super) keys: &'a [FlowKey],
        pub(super) row: &'a mut Row,
    }

    impl<I: CompareKeys> pulp::NullaryFnOnce for LookUpCall<'_, I> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.classes.look_up_with(self.isa, self.keys, self.row);
        }
    }
}

/// 64 bits of the addresses of a key, from the byte at `first` on.
#[inline(always)]
fn half(key: &FlowKey, first: usize) -> u64 {
    let bytes = key.addresses.get(first..).and_then(<[u8]>::first_chunk);
    u64::from_be_bytes(bytes.copied().unwrap_or_default())
}

/// The values that a block allows for one half of an address.
fn half_span(block: CidrBlock, is_lower: bool) -> WideSpan {
    let bits = match block.network() {
        IpAddr::V6(v6) => v6.to_bits(),
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
    };
    let len = u32::from(block.prefix_len());
    let (bits, len) =
        if is_lower { (bits, len.saturating_sub(64)) } else { (bits >> 64, len.min(64)) };
    let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    (low, low | u64::MAX.checked_shr(len).unwrap_or(0))
}
