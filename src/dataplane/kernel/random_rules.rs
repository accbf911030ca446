//! Random tables and flow keys for tests. Both use the same few addresses and ports, so that rules
//! match and are near matches.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::dataplane::{
    CompiledSession, CompiledTarget, FlowKey, InterfaceIndex, MirrorTable, TableParts, TargetIndex,
};
use crate::model::*;

const V4: [&str; 9] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.128.0.1",
    "192.168.7.9",
    "169.254.169.253",
    "169.254.169.254",
    "169.254.169.123",
    "169.254.169.251",
    "255.255.255.255",
];
const V6: [&str; 7] = [
    "fd00::1",
    "fd00::2",
    "2001:db8::9",
    "fd00:ec2::253",
    "fd00:ec2::254",
    "fd00:ec2::123",
    "ff02::1",
];
const PORTS: [u16; 12] = [53, 67, 68, 69, 80, 443, 546, 547, 0, 65_535, 1_688, 40_000];
const PROTOCOLS: [u8; 6] = [6, 17, 1, 58, 0, 255];

/// A sequence of random numbers (xorshift).
pub(crate) struct RandomRules(u64);

impl RandomRules {
    /// The sequence of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % n
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn address(&mut self, is_ipv4: bool) -> IpAddr {
        let address = if is_ipv4 { self.of(&V4) } else { self.of(&V6) }.parse().unwrap();
        match address {
            IpAddr::V4(a) if self.one_in(5) => {
                (a.to_bits() ^ 1 << self.below(32)).to_be_bytes().into()
            }
            IpAddr::V6(a) if self.one_in(5) => {
                (a.to_bits() ^ 1 << self.below(128)).to_be_bytes().into()
            }
            _ => address,
        }
    }

    fn port(&mut self) -> u16 {
        if self.one_in(5) { u16::try_from(self.below(1 << 16)).unwrap() } else { self.of(&PORTS) }
    }

    fn block(&mut self, is_ipv4: bool) -> CidrBlock {
        let longest = if is_ipv4 { 32 } else { 128 };
        let any = u8::try_from(self.below(usize::from(longest) + 1)).unwrap();
        let len = self.of(&[0, 0, longest, any]);
        CidrBlock::new(self.address(is_ipv4), len).unwrap()
    }

    fn ports(&mut self) -> PortRange {
        let (a, b) = (self.port(), self.port());
        let b = if self.one_in(2) { a } else { b };
        PortRange::new("source_port_range", a.min(b), a.max(b)).unwrap()
    }

    fn rule(&mut self, number: usize, direction: Direction, is_ipv4: bool) -> FilterRule {
        let action = if self.one_in(3) { RuleAction::Reject } else { RuleAction::Accept };
        let number = RuleNumber::new(i64::try_from(number).unwrap() + 1).unwrap();
        let (from, to) = (self.block(is_ipv4), self.block(is_ipv4));
        let mut rule = FilterRule::new(direction, number, action, from, to).unwrap();
        match self.below(4) {
            0 => return rule,
            1 => return rule.with_protocol(Protocol(self.of(&PROTOCOLS))).unwrap(),
            2 => rule = rule.with_protocol(Protocol::TCP).unwrap(),
            _ => rule = rule.with_protocol(Protocol::UDP).unwrap(),
        }
        if self.one_in(2) {
            rule = rule.with_source_ports(self.ports()).unwrap();
        }
        if self.one_in(2) { rule.with_destination_ports(self.ports()).unwrap() } else { rule }
    }

    /// A table with sessions that have these numbers of rules for one direction and family.
    pub(crate) fn table(
        &mut self,
        rules: &[usize],
        direction: Direction,
        is_ipv4: bool,
        aws_exclusions: bool,
    ) -> MirrorTable {
        let sessions = rules.iter().map(|count| {
            let rules = (0..*count).map(|number| self.rule(number, direction, is_ipv4)).collect();
            let (mut filter, _) = Filter::from_rules(FilterId::new("tmf-1").unwrap(), rules);
            filter.amazon_dns = self.one_in(3);
            session(filter)
        });
        table(sessions.collect(), aws_exclusions)
    }

    /// A table with up to four sessions, most of them with few rules.
    pub(crate) fn any_table(&mut self, direction: Direction, is_ipv4: bool) -> MirrorTable {
        let sizes: Vec<usize> = (0..self.below(5))
            .map(|_| match self.below(8) {
                0 => 60 + self.below(10),
                1 => self.below(300),
                2 => 0,
                _ => self.below(14),
            })
            .collect();
        let aws_exclusions = self.one_in(2);
        self.table(&sizes, direction, is_ipv4, aws_exclusions)
    }

    /// A flow key of a family.
    pub(crate) fn key(&mut self, is_ipv4: bool) -> FlowKey {
        let ports = (!self.one_in(5)).then(|| (self.port(), self.port()));
        let protocol = if self.one_in(2) { self.of(&[6, 17]) } else { self.of(&PROTOCOLS) };
        let (source, destination) = (self.address(is_ipv4), self.address(is_ipv4));
        let mut key = FlowKey::new(source, destination, protocol, ports);
        if ports.is_none() && self.one_in(3) {
            key.protocol = FlowKey::UNKNOWN_PROTOCOL;
        }
        key
    }
}

fn session(filter: Filter) -> CompiledSession {
    CompiledSession {
        id: SessionId::from_seed(1),
        number: SessionNumber::new(1).unwrap(),
        interface: InterfaceIndex::FIRST,
        target: TargetIndex::FIRST,
        filter: Arc::new(filter),
        packet_length: None,
        virtual_network_id: VirtualNetworkId::new(1).unwrap(),
        source_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        rate_limit: None,
    }
}

fn table(sessions: Vec<CompiledSession>, aws_exclusions: bool) -> MirrorTable {
    let target = CompiledTarget {
        id: TargetId::new("tmt-1").unwrap(),
        address: Some(SocketAddr::from(([192, 0, 2, 10], 4789))),
        further_addresses: Vec::new(),
        gateway_endpoint: None,
        mtu: None,
        rate_limit: None,
    };
    let vpc_resolver_addresses = ["10.0.0.2", "fd00::2"].map(|text| text.parse().unwrap()).to_vec();
    let interface = NetworkInterface::new(NetworkInterfaceId::new("eni-0").unwrap());
    MirrorTable::new(TableParts {
        settings: Settings { aws_exclusions, vpc_resolver_addresses },
        interfaces: vec![Arc::new(interface)],
        targets: vec![target],
        sessions,
        loop_guard: None,
    })
}
