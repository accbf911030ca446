//! Generates tables and frames from random bytes. Both use the same few addresses and ports, so
//! that rules match frames.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::dataplane::{
    CompiledSession, CompiledTarget, InterfaceIndex, LoopGuard, MirrorTable, TableParts,
    TargetIndex,
};
use crate::model::*;

pub(super) const RESOLVER: &str = "10.0.0.2";

/// The port of the only target, which is not the port of a known tunnel.
pub(super) const TARGET_PORT: u16 = 4_999;

/// Random bytes that determine choices; after their end every choice is the first one.
pub(super) struct Entropy<'a>(pub(super) &'a [u8]);

const V4: [&str; 6] =
    ["10.0.0.1", RESOLVER, "10.128.0.1", "192.168.7.9", "169.254.169.253", "255.255.255.255"];
const V6: [&str; 5] = ["fd00::1", "fd00:0:0:1::1", "2001:db8::9", "fd00:ec2::253", "ff02::1"];
const PORTS: [u16; 11] = [53, 80, 443, 0, 65_535, 4789, 1701, 8472, 40_000, 65_407, TARGET_PORT];
const PROTOCOLS: [u8; 11] = [6, 17, 1, 58, 132, 47, 50, 0, 44, 43, 255];

impl Entropy<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn address(&mut self, v4: bool) -> IpAddr {
        let address = if v4 { self.of(&V4) } else { self.of(&V6) }.parse().unwrap();
        match address {
            IpAddr::V4(a) if self.one_in(6) => {
                (a.to_bits() ^ 1 << self.below(32)).to_be_bytes().into()
            }
            IpAddr::V6(a) if self.one_in(6) => {
                (a.to_bits() ^ 1 << self.below(128)).to_be_bytes().into()
            }
            _ => address,
        }
    }

    fn port(&mut self) -> u16 {
        if self.one_in(5) { self.word() } else { self.of(&PORTS) }
    }

    fn block(&mut self, v4: bool) -> CidrBlock {
        let longest = if v4 { 32 } else { 128 };
        let bits = match self.below(4) {
            0 => 0,
            1 => longest,
            _ => self.byte() % (longest + 1),
        };
        CidrBlock::new(self.address(v4), bits).unwrap()
    }

    fn ports(&mut self) -> PortRange {
        let (a, b) = (self.port(), self.port());
        let b = if self.one_in(2) { a } else { b };
        PortRange::new("source_port_range", a.min(b), a.max(b)).unwrap()
    }

    fn rule(&mut self, number: i64) -> FilterRule {
        let v4 = !self.one_in(3);
        let direction = self.of(&Direction::BOTH);
        let action = if self.one_in(4) { RuleAction::Reject } else { RuleAction::Accept };
        let number = RuleNumber::new(number).unwrap();
        let (from, to) = (self.block(v4), self.block(v4));
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

    fn session(&mut self, interface: InterfaceIndex, most_rules: usize) -> CompiledSession {
        let mut filter = Filter::new(FilterId::new("tmf-1").unwrap());
        for number in 0..self.below(most_rules + 1) {
            filter.push_rule(self.rule(i64::try_from(number).unwrap() + 1)).unwrap();
        }
        filter.amazon_dns = self.one_in(5);
        let lengths = [1, 60, 73, 74, 75, 128, 1_000, 8_500];
        let length = PacketLength::new(self.of(&lengths)).unwrap();
        session(interface, filter, (!self.one_in(4)).then_some(length))
    }

    /// A table of one or two interfaces.
    pub(super) fn table(&mut self, most_rules: usize) -> MirrorTable {
        let mut sessions = Vec::new();
        for interface in 0..=u32::from(self.one_in(3)) {
            let interface = InterfaceIndex::new(interface);
            for _ in 0..=self.below(3) {
                sessions.push(self.session(interface, most_rules));
            }
        }
        let exclusions = !self.one_in(2);
        table(sessions, exclusions)
    }

    /// A frame; most frames are plain.
    pub(super) fn frame(&mut self) -> Vec<u8> {
        let v4 = !self.one_in(3);
        let mut frame = vec![2; 12];
        match self.below(12) {
            0 => frame.extend([0x81, 0, 0, 5]),
            1 => frame.extend([0x08, 0x06]),
            _ => {}
        }
        let any = self.of(&PROTOCOLS);
        let protocol = self.of(&[6, 17, 6, 17, 6, 17, any]);
        let room = self.of(&[0, 1, 4, 8, 20, 60, 200, 1_480, 3_000]);
        let payload: Vec<u8> = std::iter::repeat_n([self.byte(), self.byte()], room / 2 + 1)
            .flatten()
            .take(room)
            .collect();
        let transport = self.transport(protocol, &payload);
        let start = frame.len() + 2;
        if v4 {
            self.ipv4(&mut frame, protocol, &transport);
        } else {
            self.ipv6(&mut frame, protocol, &transport);
        }
        let finish = self.below(3);
        put_sum(&mut frame, start, v4, finish);
        if self.one_in(8) {
            frame.extend([0; 9]);
        }
        if self.one_in(8) {
            frame.truncate(self.below(100));
        }
        if self.one_in(8) {
            let at = self.below(frame.len().max(1));
            let byte = self.byte();
            frame.get_mut(at).into_iter().for_each(|old| *old ^= byte);
        }
        frame
    }

    fn transport(&mut self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = [self.port().to_be_bytes(), self.port().to_be_bytes()].concat();
        match protocol {
            17 => {
                let len = u16::try_from(payload.len() + 8).unwrap();
                header.extend(len.to_be_bytes());
                header.extend([0, 0]);
            }
            _ => header.extend([0, 0, 0, 9, 0, 0, 0, 7, 0x50, 0x18, 1, 0, 0, 0, 0, 0]),
        }
        [&header, payload].concat()
    }

    fn ipv4(&mut self, frame: &mut Vec<u8>, protocol: u8, transport: &[u8]) {
        let options: &[u8] = if self.one_in(10) { &[1, 1, 1, 0] } else { &[] };
        let len = 20 + options.len() + transport.len();
        let len = if self.one_in(20) { 0 } else { u16::try_from(len).unwrap() };
        let fragment =
            if self.one_in(8) { self.of(&[0x2000_u16, 1, 0x1fff, 0x8000]) } else { 0x4000 };
        frame.extend([8, 0, 0x45 + u8::try_from(options.len() / 4).unwrap(), 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([0, 1]);
        frame.extend(fragment.to_be_bytes());
        frame.extend([64, protocol, 0, 0]);
        for address in [self.address(true), self.address(true)] {
            let IpAddr::V4(address) = address else { panic!("an IPv4 address") };
            frame.extend(address.octets());
        }
        frame.extend([options, transport].concat());
    }

    fn ipv6(&mut self, frame: &mut Vec<u8>, protocol: u8, transport: &[u8]) {
        let extension = self.one_in(8).then(|| self.of(&[0_u8, 43, 60]));
        let before: &[u8] =
            if extension.is_some() { &[protocol, 0, 1, 4, 0, 0, 0, 0] } else { &[] };
        let len = u16::try_from(before.len() + transport.len()).unwrap();
        frame.extend([0x86, 0xdd, 0x60 | self.byte() & 1, 0, 0, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([extension.unwrap_or(protocol), 64]);
        for address in [self.address(false), self.address(false)] {
            let IpAddr::V6(address) = address else { panic!("an IPv6 address") };
            frame.extend(address.octets());
        }
        frame.extend([before, transport].concat());
    }
}

/// Sets the checksum of a plain TCP or UDP packet: none, an unfinished one, or the correct one.
fn put_sum(frame: &mut [u8], ip: usize, v4: bool, finish: usize) {
    let Some(plain) = super::reference::PlainFrame::of(frame).filter(|plain| plain.ip == ip) else {
        return;
    };
    assert_eq!(plain.is_ipv4, v4);
    let Some(at) = plain.checksum_at() else { return };
    let unfinished = plain.unfinished(frame);
    let sum = match finish {
        0 => 0,
        1 => unfinished,
        _ => {
            frame[at..at + 2].copy_from_slice(&unfinished.to_be_bytes());
            !super::reference::fold(&frame[plain.transport..])
        }
    };
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

pub(super) fn session(
    interface: InterfaceIndex,
    filter: Filter,
    packet_length: Option<PacketLength>,
) -> CompiledSession {
    CompiledSession {
        id: SessionId::from_seed(1),
        number: SessionNumber::new(1).unwrap(),
        interface,
        target: TargetIndex::FIRST,
        filter: Arc::new(filter),
        packet_length,
        virtual_network_id: VirtualNetworkId::new(1).unwrap(),
        source_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        rate_limit: None,
    }
}

pub(super) fn table(sessions: Vec<CompiledSession>, aws_exclusions: bool) -> MirrorTable {
    table_of_targets(sessions, aws_exclusions, vec![TARGET_PORT])
}

/// A table with one target for each of these ports.
pub(super) fn table_of_targets(
    sessions: Vec<CompiledSession>,
    aws_exclusions: bool,
    ports: Vec<u16>,
) -> MirrorTable {
    let interface = |name| Arc::new(NetworkInterface::new(NetworkInterfaceId::new(name).unwrap()));
    let target = |port| CompiledTarget {
        id: TargetId::new(&format!("tmt-{port}")).unwrap(),
        address: Some(SocketAddr::from(([192, 0, 2, 10], port))),
        further_addresses: Vec::new(),
        gateway_endpoint: None,
        mtu: None,
        rate_limit: None,
    };
    let vpc_resolver_addresses = vec![RESOLVER.parse().unwrap()];
    let targets: Vec<CompiledTarget> = ports.into_iter().map(target).collect();
    MirrorTable::new(TableParts {
        settings: Settings { aws_exclusions, vpc_resolver_addresses },
        interfaces: vec![interface("eni-0"), interface("eni-1")],
        loop_guard: Some(Arc::new(LoopGuard::new(targets.iter()))),
        targets,
        sessions,
    })
}
