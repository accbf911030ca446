//! Synthetic traffic and sessions that the benches share: many flows, sizes as asked for.

use std::io;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{Copies, Drops, MAX_OUTER_LEN, MirrorTable, Sink};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, NetworkInterface, NetworkInterfaceId,
    PortRange, Protocol, RuleAction, RuleNumber, Session, SessionNumber, Settings, Target,
    TargetId,
};

/// The sizes of a simple Internet mix: seven of 64, four of 576, one of 1,500 bytes.
const IMIX: [usize; 12] = [64, 64, 576, 64, 576, 64, 1500, 64, 576, 64, 576, 64];

/// How long the frames of a capture are.
#[derive(Debug, Clone, Copy)]
pub enum Sizes {
    /// All alike, in bytes.
    Of(usize),
    /// The mix.
    Imix,
}

impl Sizes {
    fn of(self, index: usize) -> usize {
        match self {
            Self::Of(len) => len,
            Self::Imix => IMIX[index % IMIX.len()],
        }
    }
}

/// A pcap file in memory.
pub struct Image {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many frames.
    pub frames: usize,
}

impl Image {
    /// Frames until the image is `image_len` bytes long.
    pub fn new(image_len: usize, sizes: Sizes) -> Self {
        let mut bytes = Vec::with_capacity(image_len + 2048);
        bytes.extend([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, 4, 0, 1, 0, 0, 0]);
        let mut frames = 0;
        while bytes.len() < image_len {
            let len = sizes.of(frames);
            let seconds = u32::try_from(frames / 1_000_000).unwrap();
            bytes.extend(seconds.to_le_bytes());
            bytes.extend(u32::try_from(frames % 1_000_000).unwrap().to_le_bytes());
            bytes.extend(u32::try_from(len).unwrap().to_le_bytes());
            bytes.extend(u32::try_from(len).unwrap().to_le_bytes());
            frame(frames, len, &mut bytes);
            frames += 1;
        }
        Self { bytes, frames }
    }

    /// The frames themselves.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[24..];
        std::iter::from_fn(move || {
            let len = u32::from_le_bytes(*rest.get(8..12)?.first_chunk()?) as usize;
            let (record, behind) = rest.split_at(16 + len);
            rest = behind;
            Some(&record[16..])
        })
    }
}

/// One TCP or UDP frame of flow number `index`; nine in ten match some accept rule.
fn frame(index: usize, len: usize, out: &mut Vec<u8>) {
    let mixed = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let [a, b, c, d, e, ..] = mixed;
    let start = out.len();
    out.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
    out.extend(u16::try_from(len - 14).unwrap().to_be_bytes());
    let protocol = if e < 64 { 17 } else { 6 };
    out.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 10, a % 32, b, c, 10, 0, 0, 5]);
    out.extend(u16::from_be_bytes([d | 4, e]).to_be_bytes());
    let ports = [80_u16, 443, 22, 53, 8080, 5432, 3306, 6379, 9200, 123];
    out.extend(ports[usize::from(b) % ports.len()].to_be_bytes());
    let fill = a;
    out.resize(start + len, fill);
}

/// `sessions` sessions on one interface that owns every frame, each with `rules` ingress rules.
pub fn table(sessions: i64, rules: i64) -> Arc<MirrorTable> {
    let mut registry = Registry::new(Settings::default());
    let interface = NetworkInterface::new(NetworkInterfaceId::new("eni-1").unwrap());
    registry.add_network_interface(interface.clone()).unwrap();
    let address = ([192, 0, 2, 10], 4789).into();
    let target = Target::at(TargetId::new("tmt-1").unwrap(), address);
    registry.add_target(target.clone()).unwrap();
    for session in 1..=sessions {
        let mut filter = Filter::new(FilterId::new(&format!("tmf-{session}")).unwrap());
        for number in 1..=rules {
            filter
                .push_rule(rule(session, number, number == rules && session == sessions))
                .unwrap();
        }
        registry.add_filter(filter.clone()).unwrap();
        let number = SessionNumber::new(session).unwrap();
        let (filter, target) = (filter.id().clone(), target.id().clone());
        registry.add_session(Session::new(interface.id().clone(), number, filter, target)).unwrap();
    }
    Arc::new(compile(&registry, &CompileOptions::default()))
}

fn rule(session: i64, number: i64, last: bool) -> FilterRule {
    let ports = [80, 443, 22, 5353, 8080, 5432, 3306, 6379, 9200, 25];
    let port = ports[usize::try_from(number - 1).unwrap() % ports.len()];
    let action = if number % 5 == 0 { RuleAction::Reject } else { RuleAction::Accept };
    let prefix = if last { 0 } else { 12 + u8::try_from(session % 4).unwrap() };
    let source =
        CidrBlock::new([10, u8::try_from(number * 3 % 32).unwrap(), 0, 0].into(), prefix).unwrap();
    let number = RuleNumber::new(number).unwrap();
    let any = CidrBlock::any_ipv4();
    let action = if last { RuleAction::Accept } else { action };
    let rule = FilterRule::new(Direction::Ingress, number, action, source, any).unwrap();
    if last {
        return rule;
    }
    let ports = PortRange::new("destination_port_range", port, port + 3).unwrap();
    rule.with_protocol(Protocol::TCP).unwrap().with_destination_ports(ports).unwrap()
}

/// Copies headers and payload into a ring of 256 KiB that is used again and again.
pub struct RingSink {
    ring: Vec<u8>,
    at: usize,
    /// How many bytes went through.
    pub bytes: u64,
}

impl RingSink {
    /// The length of the ring in bytes.
    pub const LEN: usize = 256 * 1024;

    /// A ring of zeros.
    pub fn new() -> Self {
        Self { ring: vec![0; Self::LEN], at: 0, bytes: 0 }
    }
}

impl Sink for RingSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            let inner = copy.inner().head;
            if self.at + MAX_OUTER_LEN + inner.len() > Self::LEN {
                self.at = 0;
            }
            let place = &mut self.ring[self.at..];
            let outer_len = copy.write_outer(place.first_chunk_mut().unwrap());
            let len = outer_len + inner.len();
            place[outer_len..len].copy_from_slice(inner);
            self.at += len;
            self.bytes += len as u64;
        }
        Ok(())
    }
}
