//! Synthetic captures and sessions for `hot_path`, and a sink that copies into memory.

use std::io;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{Copies, Drops, MAX_OUTER_LEN, MirrorTable, Sink};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, NetworkInterface, NetworkInterfaceId,
    PortRange, Protocol, RuleAction, RuleNumber, Session, SessionNumber, Settings, Target,
    TargetId,
};

/// The frame sizes in bytes of a simple Internet mix: seven of 64, four of 576, one of 1,500.
const IMIX: [usize; 12] = [64, 64, 576, 64, 576, 64, 1500, 64, 576, 64, 576, 64];

/// The sizes of the frames of a capture.
#[derive(Debug, Clone, Copy)]
pub enum Sizes {
    /// One size for all frames, in bytes.
    Of(usize),
    /// The sizes of `IMIX` in turn.
    Imix,
}

impl Sizes {
    /// The size of the frame with this index, in bytes.
    fn of(self, index: usize) -> usize {
        match self {
            Self::Of(len) => len,
            Self::Imix => IMIX[index % IMIX.len()],
        }
    }
}

/// A pcap file in memory.
pub struct Image {
    /// The file.
    pub bytes: Vec<u8>,
    /// The number of frames in the file.
    pub frames: usize,
}

impl Image {
    /// A capture of Ethernet frames that is at least `image_len` bytes long.
    pub fn new(image_len: usize, sizes: Sizes) -> Self {
        let mut bytes = Vec::with_capacity(image_len + 2048);
        // The file header: little-endian, microseconds, version 2.4, snapshot length 262,144,
        // Ethernet.
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
            push_frame(frames, len, &mut bytes);
            frames += 1;
        }
        Self { bytes, frames }
    }

    /// The frames without their record headers.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[24..];
        std::iter::from_fn(move || {
            let len = u32::from_le_bytes(*rest.get(8..12)?.first_chunk()?) as usize;
            let (record, next) = rest.split_at(16 + len);
            rest = next;
            Some(&record[16..])
        })
    }
}

/// Appends the only frame of flow number `index`, of `len` bytes: one in four is UDP, the others
/// are TCP. The bytes of a multiplicative hash choose addresses and ports.
fn push_frame(index: usize, len: usize, out: &mut Vec<u8>) {
    let hash = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let [subnet, host_high, host_low, port_high, port_low, ..] = hash;
    let start = out.len();
    out.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
    out.extend(u16::try_from(len - 14).unwrap().to_be_bytes());
    let protocol = if port_low < 64 { 17 } else { 6 };
    out.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    out.extend([10, subnet % 32, host_high, host_low, 10, 0, 0, 5]);
    out.extend(u16::from_be_bytes([port_high | 4, port_low]).to_be_bytes());
    let ports = [80_u16, 443, 22, 53, 8080, 5432, 3306, 6379, 9200, 123];
    out.extend(ports[usize::from(host_high) % ports.len()].to_be_bytes());
    out.resize(start + len, subnet);
}

/// `sessions` sessions on one interface that owns every frame, each with `rules` ingress rules. The
/// last rule accepts everything.
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

/// One rule in five rejects. A rule that `is_last` accepts everything.
fn rule(session: i64, number: i64, is_last: bool) -> FilterRule {
    let ports = [80, 443, 22, 5353, 8080, 5432, 3306, 6379, 9200, 25];
    let port = ports[usize::try_from(number - 1).unwrap() % ports.len()];
    let action = if number % 5 == 0 { RuleAction::Reject } else { RuleAction::Accept };
    let prefix_len = if is_last { 0 } else { 12 + u8::try_from(session % 4).unwrap() };
    let subnet = u8::try_from(number * 3 % 32).unwrap();
    let source = CidrBlock::new([10, subnet, 0, 0].into(), prefix_len).unwrap();
    let number = RuleNumber::new(number).unwrap();
    let any = CidrBlock::any_ipv4();
    let action = if is_last { RuleAction::Accept } else { action };
    let rule = FilterRule::new(Direction::Ingress, number, action, source, any).unwrap();
    if is_last {
        return rule;
    }
    let ports = PortRange::new("destination_port_range", port, port + 3).unwrap();
    rule.with_protocol(Protocol::TCP).unwrap().with_destination_ports(ports).unwrap()
}

/// Copies outer headers and inner bytes into a ring of 256 KiB, and starts again at its end.
pub struct RingSink {
    ring: Vec<u8>,
    /// The offset of the next copy.
    at: usize,
    /// The number of bytes copied.
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
