//! Finds copies inside the frames that a live mirror receives.
//!
//! A frame is parsed from the outside to the inside, layer by layer:
//!
//! ```text
//! layer    condition                                                   counts as
//! copy     UDP from port 65408..=65535 to any port, then VXLAN         a copy
//!          08 00 00 00 VNI 00
//! tunnel   other VXLAN (4789, 8472, the port of a target), GENEVE      nothing
//!          (6081, the port of a Gateway Load Balancer endpoint),
//!          GRE, IPv4 or IPv6 in IP
//! quote    an ICMP error, which quotes the packet that caused it       a copy
//! ```
//!
//! A frame with two copies is nested and is not mirrored. So if any number of hosts mirror to each
//! other, on any ports, a frame is copied, its copies are copied, and no further copy is made. An
//! ICMP error about a copy is nested too; otherwise a closed port at the target would start a loop.
//!
//! PacketLength may truncate a nested copy so that the inner copy cannot be recognised. Therefore,
//! if a packet inside a copy ends before it can be classified, the frame is nested. Example with
//! PacketLength 20:
//!
//! ```text
//! Ethernet, IPv4, UDP 65450 -> 4789, VXLAN | Ethernet, 6 bytes of IPv4      nested
//! ```

use super::flow_hash::FIRST_SOURCE_PORT;
use super::flow_key::FlowKey;
use super::frame::Frame;
use super::headers::{self, UpperLayer};
use super::known_targets::{KnownTargets, TunnelPorts};
use super::verdict::NotMirrored;

/// A frame with more layers than this counts as nested.
const MAX_LAYERS: usize = 8;

/// How many bytes are parsed of a frame that a source lends in two pieces: twice the length of
/// eight layers of Ethernet with a tag, IPv6, UDP and VXLAN.
const MAX_HEADERS_LEN: usize = 1_184;

/// Transparent Ethernet bridging: an Ethernet frame follows (RFC 8926, section 3.4).
const ETHERNET: u16 = 0x6558;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

const ICMP: u16 = 1;
const IP_IN_IP: u16 = 4;
const UDP: u16 = 17;
const IPV6_IN_IP: u16 = 41;
const GRE: u16 = 47;
const ICMPV6: u16 = 58;

/// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
/// Destination unreachable, packet too big, time exceeded, parameter problem.
const ICMPV6_ERRORS: [u8; 4] = [1, 2, 3, 4];

const UDP_LEN: usize = 8;

/// Whether packets of this protocol may contain other packets.
pub(super) const fn may_encapsulate(protocol: u16) -> bool {
    matches!(protocol, ICMP | IP_IN_IP | UDP | IPV6_IN_IP | GRE | ICMPV6)
}

/// The reason why a frame that may contain copies must not be mirrored; `None` if it may be.
pub(super) fn nested_copy_reason(targets: &KnownTargets, frame: &Frame<'_>) -> Option<NotMirrored> {
    if frame.tail.is_empty() {
        return find_copies(targets, frame.bytes);
    }
    // A header may begin in the first piece and end in the second.
    let mut joined = [0; MAX_HEADERS_LEN];
    let len = joined.len().min(frame.captured_len());
    let bytes = frame.bytes.iter().chain(frame.tail);
    joined.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    find_copies(targets, joined.get(..len).unwrap_or_default())
}

/// A frame or packet with its EtherType.
#[derive(Debug, Clone, Copy)]
struct Payload<'a> {
    ether_type: u16,
    bytes: &'a [u8],
}

/// The kind of a layer of headers, with the packet inside it.
#[derive(Debug, Clone, Copy)]
enum Layer<'a> {
    Copy(Payload<'a>),
    Tunnel(Payload<'a>),
    IcmpError(Payload<'a>),
    /// The layer contains no packet that can be a copy.
    Innermost,
    /// The captured bytes end before the layer can be classified.
    Incomplete,
}

fn find_copies(targets: &KnownTargets, frame: &[u8]) -> Option<NotMirrored> {
    let mut payload = Payload { ether_type: ETHERNET, bytes: frame };
    let mut key = FlowKey::EMPTY;
    // Whether the layer is inside a copy, and whether it is inside an ICMP error.
    let (mut is_in_copy, mut is_quoted) = (false, false);
    for _ in 0..MAX_LAYERS {
        let nested = is_in_copy.then_some(NotMirrored::NestedCopy);
        let upper = match payload.parse(&mut key) {
            Ok(upper) => upper,
            Err(NotMirrored::NotIp) => return None,
            Err(_) => return nested,
        };
        if targets.is_own_copy(&key) {
            return nested.or(Some(NotMirrored::OwnTraffic));
        }
        payload = match layer(targets.ports(), &key, upper) {
            Layer::Copy(_) if is_in_copy || is_quoted => return Some(NotMirrored::NestedCopy),
            Layer::Copy(inner) => {
                is_in_copy = true;
                inner
            }
            Layer::IcmpError(inner) => {
                is_quoted = true;
                inner
            }
            Layer::Tunnel(inner) => inner,
            Layer::Innermost => return None,
            Layer::Incomplete => return nested,
        };
    }
    Some(NotMirrored::NestedCopy)
}

impl<'a> Payload<'a> {
    fn parse(&self, key: &mut FlowKey) -> Result<UpperLayer<'a>, NotMirrored> {
        match self.ether_type {
            ETHERNET => headers::parse(key, self.bytes),
            other => headers::parse_after_ether_type(key, other, self.bytes),
        }
    }
}

fn layer<'a>(ports: &TunnelPorts, key: &FlowKey, upper: UpperLayer<'a>) -> Layer<'a> {
    let Some(bytes) = upper.bytes else {
        let is_unknown = key.protocol == FlowKey::UNKNOWN_PROTOCOL && upper.is_incomplete;
        return if is_unknown { Layer::Incomplete } else { Layer::Innermost };
    };
    let found = match key.protocol {
        IP_IN_IP => Some(Layer::Tunnel(Payload { ether_type: IPV4, bytes })),
        IPV6_IN_IP => Some(Layer::Tunnel(Payload { ether_type: IPV6, bytes })),
        GRE => in_gre(bytes),
        UDP if key.has_ports => in_udp(ports, key, bytes, upper.is_incomplete),
        UDP => None,
        ICMP if key.is_ipv4 => in_icmp(bytes, &ICMP_ERRORS, IPV4),
        ICMPV6 if !key.is_ipv4 => in_icmp(bytes, &ICMPV6_ERRORS, IPV6),
        _ => Some(Layer::Innermost),
    };
    found.unwrap_or(if upper.is_incomplete { Layer::Incomplete } else { Layer::Innermost })
}

/// The layer inside UDP; `None` if there are too few bytes to classify it.
fn in_udp<'a>(
    ports: &TunnelPorts,
    key: &FlowKey,
    bytes: &'a [u8],
    is_incomplete: bool,
) -> Option<Layer<'a>> {
    let is_from_copy_port = key.source_port >= FIRST_SOURCE_PORT;
    let is_to_vxlan = ports.is_vxlan(key.destination_port);
    let is_to_geneve = ports.is_geneve(key.destination_port);
    let Some((header, bytes)) = bytes.get(UDP_LEN..).and_then(<[u8]>::split_first_chunk) else {
        let nothing = Payload { ether_type: ETHERNET, bytes: &[] };
        return match (is_from_copy_port, is_to_vxlan || is_to_geneve) {
            (false, false) => Some(Layer::Innermost),
            (true, true) if is_incomplete => Some(Layer::Copy(nothing)),
            _ => None,
        };
    };
    let frame = Payload { ether_type: ETHERNET, bytes };
    match header {
        [8, 0, 0, 0, _, _, _, 0] if is_from_copy_port => Some(Layer::Copy(frame)),
        // Copies to a Gateway Load Balancer endpoint, which may have any port.
        [8, 0, 0x08, 0x00, 0, 0, 0, 0] | [8, 0, 0x86, 0xdd, 0, 0, 0, 0] if is_from_copy_port => {
            in_geneve(header, bytes)
        }
        _ if is_to_geneve => in_geneve(header, bytes),
        // "The I flag MUST be set to 1 for a valid VXLAN Network ID" (RFC 7348, section 5).
        [flags, ..] if is_to_vxlan && flags & 8 != 0 => Some(Layer::Tunnel(frame)),
        _ => Some(Layer::Innermost),
    }
}

/// RFC 8926, section 3.4: version, length of the options in words, flags, EtherType.
fn in_geneve<'a>(header: &[u8; 8], bytes: &'a [u8]) -> Option<Layer<'a>> {
    let [first, _, high, low, ..] = *header;
    if first >> 6 != 0 {
        return Some(Layer::Innermost);
    }
    let bytes = bytes.get(4 * usize::from(first & 0x3f)..)?;
    Some(Layer::Tunnel(Payload { ether_type: u16::from_be_bytes([high, low]), bytes }))
}

/// RFC 2784 and RFC 2890: flags and version, EtherType; then checksum, key and sequence number, of
/// four bytes each, if their flags are set.
fn in_gre(bytes: &[u8]) -> Option<Layer<'_>> {
    let ([flags, version, high, low], bytes) = bytes.split_first_chunk()?;
    if version & 7 != 0 || flags & 0x40 != 0 {
        return Some(Layer::Innermost);
    }
    let fields = [0x80, 0x20, 0x10].into_iter().filter(|flag| flags & flag != 0).count();
    let bytes = bytes.get(4 * fields..)?;
    Some(Layer::Tunnel(Payload { ether_type: u16::from_be_bytes([*high, *low]), bytes }))
}

/// RFC 792 and RFC 4443: an error has eight bytes, then the start of the packet that caused it.
fn in_icmp<'a>(bytes: &'a [u8], errors: &[u8], ether_type: u16) -> Option<Layer<'a>> {
    if !errors.contains(bytes.first()?) {
        return Some(Layer::Innermost);
    }
    Some(Layer::IcmpError(Payload { ether_type, bytes: bytes.get(8..)? }))
}

#[cfg(test)]
pub(in crate::dataplane) mod tests;
