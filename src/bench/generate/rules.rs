//! Generated rules, by a shape and a seed.
//!
//! The rules are distinct and sorted from narrow to wide, because a rule after one that contains it
//! would never match.

use std::collections::HashSet;

use super::networks::{NetworkTree, Prefix};
use super::random::Random;
use super::rule_shape::{
    AddressFamily, PortPattern, ProtocolPattern, RuleShape, ShapeDistribution,
};
use crate::model::{
    Direction, FilterRule, InvalidValue, PortRange, Protocol, RuleAction, RuleNumber,
};

/// Ports of well-known services, the most frequent first.
const WELL_KNOWN_PORTS: [u16; 32] = [
    443, 80, 22, 53, 25, 3306, 5432, 8080, 123, 389, 445, 161, 3389, 21, 110, 143, 514, 993, 995,
    1433, 1521, 6379, 8443, 9092, 27017, 636, 88, 179, 500, 1812, 2049, 5060,
];

/// After this number of duplicates, a rule from host to host is drawn.
const MAX_TRIES: u32 = 32;

/// A network is narrow from this prefix length of IPv4 on (or its counterpart in IPv6).
const MIN_NARROW_LEN: u8 = 16;

/// Of the rules that are drawn wide on both sides, this share stays wide; others become narrow on
/// one side.
const WIDE_PER_MILLE: u64 = 10;

/// The prefix lengths of the side that becomes narrow, with weights.
const NARROW_LENS: [((u8, u8), u32); 3] = [((24, 56), 40), ((28, 64), 20), ((32, 128), 40)];

/// Generates distinct rules, the narrower first. All are ingress accept rules, numbered as the
/// rules of ClassBench files are: from 1, and again from 1 after 32,766.
///
/// # Errors
/// [`InvalidValue`] if a distribution gives an invalid field; the tests show that none does.
pub(in super::super) fn rules(
    count: usize,
    shape: RuleShape,
    family: AddressFamily,
    seed: u64,
) -> Result<Vec<FilterRule>, InvalidValue> {
    let mut generator = RuleGenerator::new(shape, family, seed, count);
    let mut all_fields: Vec<RuleFields> = (0..count).map(|_| generator.next_rule()).collect();
    all_fields.sort_by_key(|fields| std::cmp::Reverse(fields.narrowness()));
    let numbers = (1..=RuleNumber::MAX.value()).cycle();
    let rules = all_fields.iter().zip(numbers);
    rules.map(|(fields, number)| fields.rule(RuleNumber::new(number)?, generator.is_ipv4)).collect()
}

/// The fields of a rule, before it has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RuleFields {
    source: Prefix,
    destination: Prefix,
    protocol: Option<u8>,
    source_ports: Option<(u16, u16)>,
    destination_ports: Option<(u16, u16)>,
}

impl RuleFields {
    /// The order of the rules, the highest value first. A rule that contains another one has a
    /// smaller value, because none of its terms is larger and one is smaller.
    fn narrowness(&self) -> u32 {
        let span = |ports: Option<(u16, u16)>| {
            ports.map_or(65_535, |(low, high)| u32::from(high.saturating_sub(low)))
        };
        let bits = u32::from(self.source.len) + u32::from(self.destination.len);
        let protocol = if self.protocol.is_some() { 4 } else { 0 };
        let wide = span(self.source_ports) + span(self.destination_ports);
        // An exact port has the weight of eight bits of an address.
        ((bits + protocol) << 13) + (2 * 65_535 - wide)
    }

    const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_ports: self.destination_ports,
            destination_ports: self.source_ports,
        }
    }

    fn rule(&self, number: RuleNumber, is_ipv4: bool) -> Result<FilterRule, InvalidValue> {
        let (source, destination) = (self.source.cidr(is_ipv4)?, self.destination.cidr(is_ipv4)?);
        let (direction, action) = (Direction::Ingress, RuleAction::Accept);
        let mut rule = FilterRule::new(direction, number, action, source, destination)?;
        if let Some(protocol) = self.protocol {
            rule = rule.with_protocol(Protocol(protocol))?;
        }
        let range = |(low, high)| PortRange::new("port_range", i64::from(low), i64::from(high));
        if let Some(ports) = self.source_ports {
            rule = rule.with_source_ports(range(ports)?)?;
        }
        if let Some(ports) = self.destination_ports {
            rule = rule.with_destination_ports(range(ports)?)?;
        }
        Ok(rule)
    }
}

/// Draws rules without duplicates.
struct RuleGenerator {
    distribution: &'static ShapeDistribution,
    is_ipv4: bool,
    random: Random,
    sources: NetworkTree,
    destinations: NetworkTree,
    last: Option<RuleFields>,
    drawn: HashSet<RuleFields>,
}

impl RuleGenerator {
    fn new(shape: RuleShape, family: AddressFamily, seed: u64, count: usize) -> Self {
        let is_ipv4 = family == AddressFamily::Ipv4;
        let mut random = Random::new(seed);
        let [source_seed, destination_seed] = [random.next(), random.next()];
        // Rules of both directions need the same networks on both sides.
        let destination_seed = if shape == RuleShape::Ipc { source_seed } else { destination_seed };
        Self {
            distribution: shape.distribution(),
            is_ipv4,
            random,
            sources: NetworkTree::new(is_ipv4, source_seed, count),
            destinations: NetworkTree::new(is_ipv4, destination_seed, count),
            last: None,
            drawn: HashSet::new(),
        }
    }

    fn next_rule(&mut self) -> RuleFields {
        let mut tries = 0;
        loop {
            let fields = match self.last {
                Some(last) if self.random.chance(self.distribution.reverse_percent) => {
                    last.reversed()
                }
                _ => self.draw_fields(tries > MAX_TRIES),
            };
            tries += 1;
            if self.drawn.insert(fields) {
                self.last = Some(fields);
                return fields;
            }
        }
    }

    fn draw_fields(&mut self, is_narrow: bool) -> RuleFields {
        let distribution = self.distribution;
        let lens = if is_narrow { [(32, 128); 2] } else { self.prefix_lens() };
        let [source, destination] = lens.map(|(ipv4, ipv6)| if self.is_ipv4 { ipv4 } else { ipv6 });
        let ends = [
            self.sources.draw(&mut self.random, source),
            self.destinations.draw(&mut self.random, destination),
        ];
        if are_wide(lens) {
            return self.service(ends);
        }
        let [source, destination] = ends;
        let protocol =
            match self.random.pick(distribution.protocols).unwrap_or(ProtocolPattern::Any) {
                ProtocolPattern::Tcp => Some(6),
                ProtocolPattern::Udp => Some(17),
                ProtocolPattern::Icmp => Some(if self.is_ipv4 { 1 } else { 58 }),
                ProtocolPattern::Any => None,
            };
        let has_ports = protocol.is_some_and(|number| Protocol(number).has_ports());
        let [source_ports, destination_ports] =
            [distribution.source_ports, distribution.destination_ports]
                .map(|distribution| if has_ports { self.ports(distribution) } else { None });
        RuleFields { source, destination, protocol, source_ports, destination_ports }
    }

    /// In real lists few rules are wide on both sides: those of services open to all hosts.
    fn prefix_lens(&mut self) -> [(u8, u8); 2] {
        let random = &mut self.random;
        let [source, destination] = [self.distribution.sources, self.distribution.destinations]
            .map(|lens| random.pick(lens));
        let [source, destination] = [source.unwrap_or_default(), destination.unwrap_or_default()];
        if !are_wide([source, destination]) || random.below(1000) < WIDE_PER_MILLE {
            return [source, destination];
        }
        let narrow = random.pick(&NARROW_LENS).unwrap_or_default();
        if random.chance(50) { [source, narrow] } else { [narrow, destination] }
    }

    /// A rule with one destination port between wide networks.
    fn service(&mut self, [source, destination]: [Prefix; 2]) -> RuleFields {
        let port = self.ports(&[(PortPattern::WellKnown, 50), (PortPattern::One, 50)]);
        let protocol = if self.random.chance(75) { 6 } else { 17 };
        RuleFields {
            source,
            destination,
            protocol: Some(protocol),
            source_ports: None,
            destination_ports: port,
        }
    }

    fn ports(&mut self, distribution: &[(PortPattern, u32)]) -> Option<(u16, u16)> {
        let random = &mut self.random;
        let one = match random.pick(distribution)? {
            PortPattern::Any => return None,
            PortPattern::Low => return Some((0, 1023)),
            PortPattern::High => return Some((1024, u16::MAX)),
            PortPattern::ShortRange => {
                let low = random.port(1, 60_000);
                return Some((low, low + random.port(1, 1000)));
            }
            PortPattern::WellKnown => {
                let rank = usize::try_from(random.rank(4)).unwrap_or(0);
                WELL_KNOWN_PORTS.get(rank).copied().unwrap_or(443)
            }
            PortPattern::One => random.port(1, u16::MAX),
        };
        Some((one, one))
    }
}

/// Whether both prefixes are wide. The length for IPv4 decides for both families.
fn are_wide(lens: [(u8, u8); 2]) -> bool {
    lens.iter().all(|(ipv4, _)| *ipv4 < MIN_NARROW_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [RuleShape; 3] = [RuleShape::Acl, RuleShape::Fw, RuleShape::Ipc];
    const FAMILIES: [AddressFamily; 2] = [AddressFamily::Ipv4, AddressFamily::Ipv6];

    /// The fields of a rule without its number.
    fn rule_text(rule: &FilterRule) -> String {
        let ports = [rule.source_ports(), rule.destination_ports()];
        format!("{} {} {:?} {ports:?}", rule.source(), rule.destination(), rule.protocol())
    }

    #[test]
    fn the_requested_number_of_distinct_rules_is_generated() {
        for (shape, family) in SHAPES.into_iter().flat_map(|one| FAMILIES.map(|two| (one, two))) {
            for count in [0, 1, 2, 3000] {
                let rules = rules(count, shape, family, 1).unwrap();
                let distinct: HashSet<String> = rules.iter().map(rule_text).collect();
                assert_eq!((rules.len(), distinct.len()), (count, count), "{shape} {family}");
                let is_ipv4 = family == AddressFamily::Ipv4;
                assert!(rules.iter().all(|rule| rule.source().is_ipv4() == is_ipv4));
            }
        }
    }

    #[test]
    fn equal_seeds_give_equal_rules() {
        let [one, again, other] =
            [1, 1, 2].map(|seed| rules(200, RuleShape::Fw, AddressFamily::Ipv6, seed).unwrap());
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn generated_rules_are_stable_across_versions() {
        // Measurements of two versions are comparable only while these digests are the same. State
        // a change in the changelog.
        let digest = |shape, family| {
            let bytes = rules(500, shape, family, 1).unwrap();
            let bytes = bytes.iter().flat_map(|rule| rule_text(rule).into_bytes());
            bytes.fold(7_u32, |word, byte| word.wrapping_mul(31).wrapping_add(u32::from(byte)))
        };
        let digests = SHAPES.map(|shape| FAMILIES.map(|family| digest(shape, family)));
        assert_eq!(
            digests,
            [
                [1_029_859_753, 2_229_973_332],
                [2_458_345_123, 3_408_020_687],
                [3_833_287_052, 1_606_693_459]
            ]
        );
    }

    #[test]
    fn rule_numbers_restart_at_1_after_32766() {
        let rules = rules(32_768, RuleShape::Acl, AddressFamily::Ipv4, 1).unwrap();
        let numbers = [32_765, 32_766, 32_767].map(|index| rules[index].number().value());
        assert_eq!(numbers, [32_766, 1, 2]);
    }

    #[test]
    fn shapes_differ_in_their_share_of_wildcards() {
        let wild = |shape| {
            let rules = rules(2000, shape, AddressFamily::Ipv4, 3).unwrap();
            let any = |rule: &&FilterRule| rule.source().prefix_len() == 0;
            rules.iter().filter(any).count()
        };
        let [acl, fw, ipc] = SHAPES.map(wild);
        assert!(acl * 3 < ipc && ipc * 3 < fw * 2, "{acl} {ipc} {fw}");
    }

    #[test]
    fn no_rule_is_hidden_by_an_earlier_wider_rule() {
        let rules = rules(400, RuleShape::Fw, AddressFamily::Ipv4, 5).unwrap();
        for (index, rule) in rules.iter().enumerate() {
            let hides = |before: &&FilterRule| {
                before.source().contains(rule.source().network())
                    && before.source().prefix_len() <= rule.source().prefix_len()
                    && before.destination().contains(rule.destination().network())
                    && before.destination().prefix_len() <= rule.destination().prefix_len()
                    && before.protocol().is_none_or(|one| rule.protocol() == Some(one))
                    && (before.source_ports().is_none() && before.destination_ports().is_none())
            };
            let before = rules[..index].iter().find(hides);
            assert!(before.is_none(), "{} before {}", rule_text(before.unwrap()), rule_text(rule));
        }
    }
}
