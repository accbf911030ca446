//! The classes of IPv6 addresses whose upper half has a known class, if rules restrict the lower half
//! only to single hosts.
//!
//! A hash table has the hosts of the rules. All other addresses have a class that depends only on
//! the class of the upper half. A table with a row for each upper and a column for each lower half
//! would have mostly equal cells, and would be larger than the caches.

use super::eight_keys::{CompareKeys, KEYS, KeyBlock};
use super::interner::{ClassSets, bits, flip};
use super::wide_field::WideSpan;

/// A hash table of hosts. A lookup reads one bucket.
#[derive(Debug)]
pub(super) struct HostTable {
    buckets: Vec<Bucket>,
    /// By class of the upper half: the class of an address that is in no bucket.
    other_hosts: Vec<u16>,
    factor: u64,
    /// The right shift that makes the index of a bucket from a 64-bit hash.
    shift: u32,
}

/// Up to eight hosts.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    lower_halves: KeyBlock,
    /// The classes of the upper halves.
    upper_classes: [u16; KEYS],
    /// The classes of the hosts.
    classes: [u16; KEYS],
}

impl Bucket {
    const EMPTY: Self = Self {
        lower_halves: KeyBlock([0; KEYS]),
        upper_classes: [UNUSED; KEYS],
        classes: [0; KEYS],
    };
}

/// A host: its lower half, the class of its upper half, and its own class.
type Host = (u64, u16, u16);

/// A random odd number.
const CLASS_FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// The upper class of an unused place, which no address has.
const UNUSED: u16 = u16::MAX;

impl HostTable {
    /// The classes of addresses, with the rule set of each class. `upper` are the classes of the
    /// upper half, `spans` the values that each rule allows for the lower half. `None` if a rule
    /// allows neither one value nor all values, if there are too many classes, or if the table would
    /// have more than `max_bytes` bytes.
    pub(super) fn new(
        upper: &ClassSets,
        spans: &[WideSpan],
        max_bytes: usize,
    ) -> Option<(Self, ClassSets)> {
        let is_any = |span: &WideSpan| *span == (0, u64::MAX);
        if upper.len() >= usize::from(UNUSED)
            || !spans.iter().all(|span| is_any(span) || span.0 == span.1)
        {
            return None;
        }
        let mut restricting = vec![0; upper.words()];
        let restricted = (0..).zip(spans).filter(|(_, span)| !is_any(span));
        restricted.for_each(|(rule, _)| flip(&mut restricting, rule));
        let mut sets = upper.empty();
        let mut hosts: Vec<Host> = Vec::new();
        let mut other_hosts = Vec::with_capacity(upper.len());
        for (upper_class, set) in (0..).zip(upper.iter()) {
            let every_host: Vec<u64> =
                set.iter().zip(&restricting).map(|(set, restricting)| set & !restricting).collect();
            let single = set.iter().zip(&restricting).map(|(set, restricting)| set & restricting);
            let rules = (0..).zip(single).flat_map(|(place, word): (usize, u64)| {
                bits(word).map(move |bit| place * 64 + bit)
            });
            let mut rules: Vec<(u64, usize)> =
                rules.filter_map(|rule| Some((spans.get(rule)?.0, rule))).collect();
            rules.sort_unstable();
            for host in rules.chunk_by(|a, b| a.0 == b.0) {
                let mut own = every_host.clone();
                host.iter().for_each(|(_, rule)| flip(&mut own, *rule));
                hosts.push((host.first()?.0, upper_class, sets.class_of(&own)?));
            }
            other_hosts.push(sets.class_of(&every_host)?);
        }
        Some((Self::of_hosts(&hosts, other_hosts, max_bytes)?, sets))
    }

    fn of_hosts(hosts: &[Host], other_hosts: Vec<u16>, max_bytes: usize) -> Option<Self> {
        let fewest = (hosts.len() / 3).next_power_of_two().max(2);
        // Each size is tried with several hash functions.
        (0..24)
            .find_map(|attempt: u32| {
                let buckets = fewest.checked_shl(attempt / 4)?;
                if buckets > max_bytes / size_of::<Bucket>() {
                    return None;
                }
                let mut table = Self {
                    buckets: vec![Bucket::EMPTY; buckets],
                    other_hosts: Vec::new(),
                    factor: 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(2 * attempt + 1)),
                    shift: 64 - buckets.ilog2(),
                };
                hosts.iter().try_for_each(|host| table.insert(*host))?;
                Some(table)
            })
            .map(|table| Self { other_hosts, ..table })
    }

    /// Adds a host; `None` if its bucket is full.
    fn insert(&mut self, (lower_half, upper_class, class): Host) -> Option<()> {
        let index = self.bucket_index(lower_half, upper_class);
        let bucket = self.buckets.get_mut(index)?;
        let place = bucket.upper_classes.iter().position(|class| *class == UNUSED)?;
        *bucket.upper_classes.get_mut(place)? = upper_class;
        *bucket.lower_halves.0.get_mut(place)? = lower_half;
        *bucket.classes.get_mut(place)? = class;
        Some(())
    }

    #[inline(always)]
    fn bucket_index(&self, lower_half: u64, upper_class: u16) -> usize {
        // Lower halves often differ only in a few of the first or of the last bits, and often repeat
        // the number of the network, as its class does.
        let class_hash = u64::from(upper_class).wrapping_mul(CLASS_FACTOR);
        let hash = (lower_half ^ lower_half >> 32 ^ class_hash).wrapping_mul(self.factor);
        usize::try_from((hash ^ hash << 32) >> self.shift).unwrap_or_default()
    }

    /// The class of an address.
    #[inline(always)]
    pub(super) fn class_of<I: CompareKeys>(
        &self,
        isa: I,
        lower_half: u64,
        upper_class: u16,
    ) -> u16 {
        let other = self.other_hosts.get(usize::from(upper_class)).copied().unwrap_or_default();
        let index = self.bucket_index(lower_half, upper_class);
        let Some(bucket) = self.buckets.get(index) else { return other };
        let place = isa.find(&bucket.lower_halves, &bucket.upper_classes, lower_half, upper_class);
        let own = bucket.classes.get(place % KEYS).copied().unwrap_or_default();
        // No branch, because the processor could not predict it.
        let mask = u16::from(place < KEYS).wrapping_neg();
        other ^ (other ^ own) & mask
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.buckets) + size_of_val(&*self.other_hosts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::eight_keys::Portable;
    use super::*;

    /// Each /64 `i` has the host `::i:1`, so that all lower halves resemble the networks.
    #[test]
    fn hosts_that_repeat_the_number_of_their_network_are_distributed() {
        let hosts: Vec<Host> = (0..4000).map(|i| (u64::from(i) << 16 | 1, i, i + 1)).collect();
        let table = HostTable::of_hosts(&hosts, vec![0; 4000], 1 << 20).unwrap();
        for (lower_half, upper_class, class) in hosts {
            assert_eq!(table.class_of(Portable, lower_half, upper_class), class);
            assert_eq!(table.class_of(Portable, lower_half + 1, upper_class), 0);
            assert_eq!(table.class_of(Portable, lower_half, (upper_class + 1) % 4000), 0);
        }
    }

    #[test]
    fn a_table_that_would_be_too_large_is_not_built() {
        let hosts: Vec<Host> = (0..4000).map(|i| (u64::from(i), 0, i)).collect();
        assert!(HostTable::of_hosts(&hosts, vec![0], 64 << 10).is_none());
    }
}
