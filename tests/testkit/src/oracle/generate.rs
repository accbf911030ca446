//! Makes configurations and frames from a string of bytes. Property tests (random bytes, shrunk)
//! and the fuzz target (bytes that find new code) use the same generator.

use std::net::IpAddr;

use super::Input;
use traffic_mirror::control::Registry;
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, MacAddress, Mtu, NetworkInterface,
    NetworkInterfaceId, PacketLength, PortRange, Protocol, RuleAction, RuleNumber, Session,
    SessionNumber, Settings, Target, TargetId, TargetKind, VirtualNetworkId,
};

/// Makes choices by the bytes of a string. After its end, every choice is the first one.
pub struct Entropy<'a>(pub &'a [u8]);

const V4: [&str; 14] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.1.1",
    "10.128.0.1",
    "192.168.7.9",
    "8.8.8.8",
    "169.254.169.254",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.169.250",
    "169.254.169.251",
    "255.255.255.255",
    "224.0.0.251",
];
const V6: [&str; 9] = [
    "fd00::1",
    "fd00::2",
    "fd00:0:0:1::1",
    "2001:db8::9",
    "fd00:ec2::254",
    "fd00:ec2::253",
    "fd00:ec2::123",
    "ff02::1",
    "fe80::1",
];
const PORTS: [u16; 14] = [80, 53, 443, 22, 67, 68, 123, 546, 547, 1688, 0, 65_535, 1024, 50_000];
const PROTOCOLS: [u8; 12] = [6, 17, 1, 58, 132, 47, 50, 51, 0, 44, 59, 255];
const MACS: [[u8; 6]; 5] = [
    [2, 0, 0, 0, 0, 0xa],
    [2, 0, 0, 0, 0, 0xb],
    [2, 0, 0, 0, 0, 0xc],
    [0xff; 6],
    [0x33, 0x33, 0, 0, 0, 1],
];

impl Entropy<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number from 0 to `end` - 1.
    pub fn below(&mut self, end: usize) -> usize {
        self.byte() as usize % end
    }

    /// True with a probability of 1 in `count`.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    /// One of the choices.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn address(&mut self, v4: bool) -> IpAddr {
        let mut address: IpAddr = if v4 { self.of(&V4) } else { self.of(&V6) }.parse().unwrap();
        if self.one_in(8) {
            address = match address {
                IpAddr::V4(a) => IpAddr::from((a.to_bits() ^ 1 << self.below(32)).to_be_bytes()),
                IpAddr::V6(a) => IpAddr::from((a.to_bits() ^ 1 << self.below(128)).to_be_bytes()),
            };
        }
        address
    }

    fn port(&mut self) -> u16 {
        match self.below(6) {
            0 => self.word(),
            1..=3 => self.of(&PORTS[..3]),
            _ => self.of(&PORTS),
        }
    }

    fn protocol(&mut self) -> u8 {
        if self.one_in(10) { self.byte() } else { self.of(&PROTOCOLS) }
    }

    fn block(&mut self, v4: bool) -> CidrBlock {
        let longest = if v4 { 32 } else { 128 };
        let prefix = match self.below(8) {
            0..=2 => 0,
            3 => longest,
            4 => longest / 4 * (1 + self.byte() % 3),
            _ => self.byte() % (longest + 1),
        };
        CidrBlock::new(self.address(v4), prefix).unwrap()
    }

    fn range(&mut self) -> PortRange {
        let (first, second) = (self.port(), self.port());
        let second = if self.one_in(3) { first } else { second };
        PortRange::new("source_port_range", first.min(second), first.max(second)).unwrap()
    }
}

/// A rule of any kind.
fn rule(entropy: &mut Entropy<'_>, number: i64) -> FilterRule {
    let v4 = !entropy.one_in(3);
    let direction = entropy.of(&Direction::BOTH);
    let action = if entropy.one_in(3) { RuleAction::Reject } else { RuleAction::Accept };
    let number = RuleNumber::new(number).unwrap();
    let (source, destination) = (entropy.block(v4), entropy.block(v4));
    let mut rule = FilterRule::new(direction, number, action, source, destination).unwrap();
    match entropy.below(4) {
        0 => {}
        1 => rule = rule.with_protocol(Protocol(entropy.protocol())).unwrap(),
        _ => {
            let protocol = if entropy.one_in(2) { Protocol::UDP } else { Protocol::TCP };
            rule = rule.with_protocol(protocol).unwrap();
            if entropy.one_in(2) {
                rule = rule.with_source_ports(entropy.range()).unwrap();
            }
            if !entropy.one_in(3) {
                rule = rule.with_destination_ports(entropy.range()).unwrap();
            }
        }
    }
    rule
}

/// A configuration of up to three interfaces with up to four sessions each. Most filters are small;
/// some have more rules than a machine word has bits.
pub fn registry(entropy: &mut Entropy<'_>) -> Registry {
    let mut settings = Settings { aws_exclusions: !entropy.one_in(4), ..Settings::default() };
    for _ in 0..entropy.below(3) {
        let v4 = !entropy.one_in(3);
        settings.vpc_resolver_addresses.push(entropy.address(v4));
    }
    let mut registry = Registry::new(settings);
    let interfaces = [1, 1, 1, 2, 3][entropy.below(5)];
    for index in 0..interfaces {
        let name = format!("eni-{index}");
        let mut interface = NetworkInterface::new(NetworkInterfaceId::new(&name).unwrap());
        let is_without_addresses = interfaces == 1 && entropy.one_in(2);
        if !is_without_addresses && entropy.one_in(2) {
            interface.mac_address = Some(MacAddress::new(MACS[entropy.below(3)]));
        }
        for _ in 0..if is_without_addresses { 0 } else { entropy.below(3) } {
            let v4 = !entropy.one_in(3);
            interface.private_ip_addresses.push(entropy.address(v4));
        }
        registry.add_network_interface(interface).unwrap();
    }
    for index in 0..1 + entropy.below(3) {
        registry.add_target(target(entropy, index)).unwrap();
    }
    for index in 0..1 + entropy.below(3) {
        let mut filter = Filter::new(FilterId::new(&format!("tmf-{index}")).unwrap());
        filter.amazon_dns = entropy.one_in(3);
        let rules = if entropy.one_in(8) {
            i64::from(entropy.byte())
        } else {
            i64::from(entropy.byte() % 12)
        };
        for number in 0..rules {
            // Numbers that are not sorted, so the order of addition is not the order of evaluation.
            filter.push_rule(rule(entropy, 1 + (number * 7919) % 32_749)).unwrap();
        }
        registry.add_filter(filter).unwrap();
    }
    sessions(entropy, &mut registry);
    registry
}

fn target(entropy: &mut Entropy<'_>, index: usize) -> Target {
    let kind = match entropy.below(6) {
        0 => TargetKind::NetworkLoadBalancer("arn:aws:elasticloadbalancing".to_owned()),
        1 => TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned()),
        _ => TargetKind::Address,
    };
    let mut target = Target::new(TargetId::new(&format!("tmt-{index}")).unwrap(), kind);
    let address = if entropy.one_in(3) { "[2001:db8::99]:4789" } else { "192.0.2.99:4790" };
    // Only a target that names a resource may have no address.
    if target.kind == TargetKind::Address || !entropy.one_in(3) {
        target.address = Some(address.parse().unwrap());
    }
    if entropy.one_in(3) {
        let is_gateway = matches!(target.kind, TargetKind::GatewayLoadBalancerEndpoint(_));
        let lowest = if is_gateway { 256 } else { 68 };
        target.mtu =
            Some(Mtu::new([lowest, 300, 576, 1280, 1500, 9001, 65_535][entropy.below(7)]).unwrap());
    }
    target
}

fn sessions(entropy: &mut Entropy<'_>, registry: &mut Registry) {
    let interfaces = registry.network_interfaces().to_vec();
    let (targets, filters) = (registry.targets().to_vec(), registry.filters().to_vec());
    for interface in &interfaces {
        for _ in 0..1 + entropy.below(4) {
            let filter = &filters[entropy.below(filters.len())];
            let target = &targets[entropy.below(targets.len())];
            let number = SessionNumber::new(1 + entropy.word() as i64 % 32_766).unwrap();
            let (interface, filter) = (interface.id().clone(), filter.id().clone());
            let mut session = Session::new(interface, number, filter, target.id().clone());
            let vni = u32::from(entropy.byte()) << 16 | u32::from(entropy.word());
            session.virtual_network_id = Some(VirtualNetworkId::new(vni).unwrap());
            if entropy.one_in(3) {
                let length = [1, 14, 35, 64, 128, 1500, 8500][entropy.below(7)];
                session.packet_length = Some(PacketLength::new(length).unwrap());
            }
            // A number that is in use is rejected, which does not matter here.
            let _ = registry.add_session(session);
        }
    }
}

/// A frame of any kind that captures contain, valid or invalid. Frames are up to 70 kB long.
pub fn frame(entropy: &mut Entropy<'_>) -> Input {
    let mut bytes = Vec::new();
    bytes.extend(entropy.of(&MACS));
    bytes.extend(entropy.of(&MACS));
    for _ in 0..[0, 0, 0, 0, 1, 2, 3][entropy.below(7)] {
        bytes.extend(entropy.of(&[0x8100_u16, 0x88a8, 0x9100]).to_be_bytes());
        bytes.extend([0, entropy.byte()]);
    }
    match entropy.below(16) {
        0 => bytes.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xa, 10, 0, 0, 1]),
        1 => bytes.extend([0, 0x26, 0x42, 0x42, 3, 0, 0, 0, 0, 0]),
        2 => {
            for _ in 0..entropy.below(64) {
                bytes.push(entropy.byte());
            }
        }
        3..=10 => ipv4(entropy, &mut bytes),
        _ => ipv6(entropy, &mut bytes),
    }
    if entropy.one_in(12) && !bytes.is_empty() {
        let place = entropy.word() as usize % bytes.len();
        bytes[place] ^= entropy.byte();
    }
    if entropy.one_in(6) {
        bytes.truncate(entropy.word() as usize % (bytes.len() + 1));
    }
    let direction =
        [None, None, Some(Direction::Egress), Some(Direction::Ingress)][entropy.below(4)];
    Input { bytes, direction, supported: !entropy.one_in(40) }
}

fn transport(entropy: &mut Entropy<'_>, protocol: u8) -> Vec<u8> {
    let mut out = Vec::new();
    if protocol == 6 || protocol == 17 || protocol == 132 {
        out.extend(entropy.port().to_be_bytes());
        out.extend(entropy.port().to_be_bytes());
    }
    let len = match entropy.below(12) {
        0 => 0,
        1 => 1,
        2 => 70_000,
        3 => 9_000,
        4 => 1_460,
        _ => entropy.byte() as usize,
    };
    let fill = entropy.byte();
    out.resize(out.len() + len, fill);
    if entropy.one_in(8) {
        out.truncate(entropy.below(8));
    }
    out
}

fn ipv4(entropy: &mut Entropy<'_>, bytes: &mut Vec<u8>) {
    let protocol = entropy.protocol();
    let options = if entropy.one_in(4) { entropy.below(11) } else { 0 };
    let body = transport(entropy, protocol);
    let whole = 20 + 4 * options + body.len();
    let total_len = match entropy.below(8) {
        0 => entropy.word(),
        1 => 0,
        _ => u16::try_from(whole).unwrap_or(0),
    };
    let fragment = [0_u16, 0, 0, 0, 0x4000, 0x2000, 0x2001, 0x00b9, 0x1fff][entropy.below(9)];
    bytes.extend([0x08, 0x00]);
    bytes.extend([0x45 + options as u8, entropy.byte()]);
    bytes.extend(total_len.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    for _ in 0..2 {
        if let IpAddr::V4(address) = entropy.address(true) {
            bytes.extend(address.octets());
        }
    }
    bytes.resize(bytes.len() + 4 * options, 1);
    bytes.extend(body);
    if entropy.one_in(4) {
        bytes.extend([0; 18]);
    }
}

fn ipv6(entropy: &mut Entropy<'_>, bytes: &mut Vec<u8>) {
    let protocol = entropy.protocol();
    let mut chain: Vec<u8> = Vec::new();
    for _ in 0..[0, 0, 0, 1, 2, 4][entropy.below(6)] {
        chain.push(entropy.of(&[0, 43, 44, 51, 60]));
    }
    let mut body = Vec::new();
    for (index, header) in chain.iter().enumerate() {
        let next = chain.get(index + 1).copied().unwrap_or(protocol);
        let units = entropy.below(3);
        match header {
            44 => {
                let offset = [0_u16, 0, 1, 8, 0x1ff8, 7][entropy.below(6)];
                body.extend([next, 0]);
                body.extend(offset.to_be_bytes());
                body.extend([0, 0, 0, 7]);
            }
            51 => {
                body.extend([next, units as u8]);
                body.resize(body.len() + 4 * (units + 2) - 2, 0);
            }
            _ => {
                body.extend([next, units as u8]);
                body.resize(body.len() + 8 * (units + 1) - 2, 0);
            }
        }
    }
    body.extend(transport(entropy, protocol));
    let payload_len = match entropy.below(8) {
        0 => entropy.word(),
        _ => u16::try_from(body.len()).unwrap_or(0),
    };
    bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    bytes.extend(payload_len.to_be_bytes());
    bytes.extend([chain.first().copied().unwrap_or(protocol), 64]);
    for _ in 0..2 {
        if let IpAddr::V6(address) = entropy.address(false) {
            bytes.extend(address.octets());
        }
    }
    bytes.extend(body);
}
