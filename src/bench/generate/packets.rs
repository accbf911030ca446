//! Headers of generated packets, by a mix and a seed.

use std::net::IpAddr;

use super::mix::Mix;
use super::networks::address;
use super::random::Random;
use crate::dataplane::FlowKey;
use crate::model::{CidrBlock, FilterRule, PortRange, Protocol};

/// How packets are generated.
#[derive(Debug, Clone, Copy)]
pub struct PacketOptions {
    /// The number of packets.
    pub packets: usize,
    /// The number of different headers; a packet has the header of one flow.
    pub flows: usize,
    /// The exponent of Zipf's law: flow r of 1, 2, 3 ... has the weight `1 / r^zipf`.
    pub zipf: f64,
    /// Which share of the flows matches a rule.
    pub mix: Mix,
    /// The same seed gives the same packets.
    pub seed: u64,
}

impl Default for PacketOptions {
    fn default() -> Self {
        Self { packets: 65_536, flows: 65_536, zipf: 0.0, mix: Mix::default(), seed: 1 }
    }
}

/// The headers of the packets in their order; all `rules` have one address family.
pub(in super::super) fn headers(
    rules: &[&FilterRule],
    is_ipv4: bool,
    options: &PacketOptions,
) -> Vec<FlowKey> {
    // The rules use the same seed; the inversion gives the packets another sequence.
    let mut random = Random::new(Random::new(!options.seed).next());
    let flows: Vec<FlowKey> =
        (0..options.flows).map(|_| flow(&mut random, rules, is_ipv4, options.mix)).collect();
    if options.flows == options.packets && options.zipf == 0.0 {
        return flows;
    }
    let ranks = ZipfRanks::new(flows.len(), options.zipf);
    (0..options.packets).filter_map(|_| flows.get(ranks.draw(&mut random)).copied()).collect()
}

fn flow(random: &mut Random, rules: &[&FilterRule], is_ipv4: bool, mix: Mix) -> FlowKey {
    let drawn = random.below(100);
    let rule = if drawn < u64::from(mix.hit) {
        rules.get(random.index(rules.len()))
    } else if drawn < u64::from(mix.hit) + u64::from(mix.last) {
        rules.last()
    } else {
        None
    };
    match rule {
        Some(rule) => inside(random, rule),
        None => anywhere(random, is_ipv4),
    }
}

fn inside(random: &mut Random, rule: &FilterRule) -> FlowKey {
    let source = host(random, rule.source());
    let destination = host(random, rule.destination());
    let protocol = rule.protocol().unwrap_or_else(|| transport(random));
    let ports = [rule.source_ports(), rule.destination_ports()].map(|ports| port(random, ports));
    key(source, destination, protocol, ports)
}

fn anywhere(random: &mut Random, is_ipv4: bool) -> FlowKey {
    let ends = [random.word128(), random.word128()].map(|bits| {
        // IPv6: 2000::/3, the global unicast addresses that IANA assigns.
        let bits = if is_ipv4 { bits } else { bits >> 3 | 1 << 125 };
        address(bits, is_ipv4)
    });
    let [source, destination] = ends;
    let protocol = transport(random);
    let ports = [port(random, None), port(random, None)];
    key(source, destination, protocol, ports)
}

fn key(source: IpAddr, destination: IpAddr, protocol: Protocol, ports: [u16; 2]) -> FlowKey {
    let ports = protocol.has_ports().then_some(ports.into());
    FlowKey::new(source, destination, protocol.0, ports)
}

/// A protocol that has ports.
fn transport(random: &mut Random) -> Protocol {
    if random.chance(75) { Protocol::TCP } else { Protocol::UDP }
}

fn port(random: &mut Random, ports: Option<PortRange>) -> u16 {
    let (low, high) = ports.map_or((0, u16::MAX), |ports| (ports.from_port(), ports.to_port()));
    random.port(low, high)
}

fn host(random: &mut Random, block: CidrBlock) -> IpAddr {
    let network = match block.network() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let free = u128::MAX.checked_shr(u32::from(block.prefix_len())).unwrap_or(0);
    address(network | random.word128() & free, block.is_ipv4())
}

/// Draws ranks by Zipf's law: binary search of a random number in the sums of the weights. With the
/// exponent 1 and three ranks, the weights are 1, 1/2 and 1/3 and the sums 1, 1.5 and 1.83. The
/// random number 1.2 gives the second rank.
struct ZipfRanks {
    /// By rank: the sum of the weights of this rank and all before it.
    sums: Vec<f64>,
}

impl ZipfRanks {
    fn new(len: usize, zipf: f64) -> Self {
        let mut sum = 0.0;
        let ranks = (1..=u32::try_from(len).unwrap_or(u32::MAX)).map(f64::from);
        let sums = ranks.map(|rank| {
            sum += rank.powf(-zipf);
            sum
        });
        Self { sums: sums.collect() }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.fraction() * self.sums.last().copied().unwrap_or(0.0);
        let rank = self.sums.partition_point(|sum| *sum <= drawn);
        rank.min(self.sums.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::rule_shape::{AddressFamily, RuleShape};
    use super::super::rules::rules;
    use super::*;
    use crate::control::classbench;
    use crate::dataplane::{EngineKind, RuleSet};
    use crate::model::Direction;

    /// The number of packets that a rule matches.
    fn count_matched(rules: &[&FilterRule], keys: &[FlowKey], is_ipv4: bool) -> usize {
        let rules: Vec<FilterRule> = rules.iter().copied().cloned().collect();
        let filters: Vec<_> =
            classbench::filters(&rules, 1).unwrap().into_iter().map(Arc::new).collect();
        let linear = EngineKind::Linear;
        let set = RuleSet::with_engine(&filters, Direction::Ingress, is_ipv4, linear).unwrap();
        keys.iter().filter(|key| set.first_accept(key).is_some()).count()
    }

    fn options(mix: &str) -> PacketOptions {
        let mix = Mix::parse(mix).unwrap();
        PacketOptions { packets: 1000, flows: 1000, zipf: 0.0, mix, seed: 1 }
    }

    fn distinct(keys: &[FlowKey]) -> Vec<usize> {
        let mut names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        names.sort();
        let mut counts: Vec<usize> = names.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        counts.sort_by_key(|count| std::cmp::Reverse(*count));
        counts
    }

    #[test]
    fn hit_packets_match_and_last_packets_match_the_last_rule() {
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            let is_ipv4 = family == AddressFamily::Ipv4;
            let rules = rules(300, RuleShape::Ipc, family, 1).unwrap();
            let rules: Vec<&FilterRule> = rules.iter().collect();
            let hits = headers(&rules, is_ipv4, &options("hit=100"));
            assert_eq!(count_matched(&rules, &hits, is_ipv4), 1000);
            let last = headers(&rules, is_ipv4, &options("last=100"));
            assert_eq!(count_matched(&rules[299..], &last, is_ipv4), 1000);
            let misses = headers(&rules[..100], is_ipv4, &options("miss=100"));
            assert!(misses.iter().all(|key| key.source().is_ipv4() == is_ipv4));
            assert!(count_matched(&rules[..100], &misses, is_ipv4) < 10);
        }
    }

    #[test]
    fn without_rules_every_packet_is_a_miss() {
        assert_eq!(headers(&[], true, &options("hit=50,last=50")).len(), 1000);
    }

    #[test]
    fn flow_frequencies_follow_the_zipf_exponent() {
        let options = PacketOptions { flows: 10, ..options("miss=100") };
        let even = distinct(&headers(&[], true, &options));
        assert!(even.len() == 10 && even[0] < 150, "{even:?}");
        let skewed = distinct(&headers(&[], true, &PacketOptions { zipf: 1.0, ..options }));
        // One in 2.93, since 1 + 1/2 + ... + 1/10 = 2.93.
        assert!((300..380).contains(&skewed[0]), "{skewed:?}");
        let each = distinct(&headers(&[], false, &PacketOptions { flows: 1000, ..options }));
        assert_eq!(each.len(), 1000);
    }
}
