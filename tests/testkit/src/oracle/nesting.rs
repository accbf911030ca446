//! The oracle's own decision which frames a live mirror rejects because they are copies.
//!
//! It reads at fixed offsets, and describes the whole chain of layers before it decides.

use std::net::IpAddr;

use super::parse::{ParsedFrame, parse_frame};

/// The destinations of the copies of a configuration: address, port, whether in GENEVE.
pub type CopyDestinations = Vec<(IpAddr, u16, bool)>;

/// One layer of headers, from outside to inside.
#[derive(Debug, PartialEq)]
enum Layer {
    /// A copy to a target of the configuration.
    Own,
    /// A copy of another mirror.
    Copy,
    Tunnel,
    IcmpError,
    /// A packet that is truncated before its kind can be determined.
    Cut,
    /// An ordinary packet.
    End,
}

/// Why a frame is not mirrored, if copies are the cause.
pub fn reason_not_mirrored(destinations: &CopyDestinations, frame: &[u8]) -> Option<&'static str> {
    let mut layers = Vec::new();
    walk(destinations, frame, &mut layers);
    let mut seen = Vec::new();
    for (depth, layer) in layers.iter().enumerate() {
        if depth == 8 {
            return Some("nested_copy");
        }
        let is_below_copy = seen.contains(&&Layer::Copy);
        match layer {
            Layer::Own if !is_below_copy => return Some("own_traffic"),
            Layer::Own => return Some("nested_copy"),
            Layer::Copy if is_below_copy || seen.contains(&&Layer::IcmpError) => {
                return Some("nested_copy");
            }
            Layer::Cut if is_below_copy => return Some("nested_copy"),
            _ => {}
        }
        seen.push(layer);
    }
    None
}

/// An IP packet behind an Ethernet header, so one parser reads all packets.
fn with_ethernet_header(ether_type: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&[0; 12], &ether_type[..], packet].concat()
}

/// Adds the layers of a frame, from outside to inside.
fn walk(destinations: &CopyDestinations, frame: &[u8], layers: &mut Vec<Layer>) {
    if layers.len() > 10 {
        return;
    }
    let ParsedFrame::Ip { destination, protocol, ports, .. } = parse_frame(frame) else {
        layers.push(if parse_frame(frame) == ParsedFrame::NotIp { Layer::End } else { Layer::Cut });
        return;
    };
    let is_ipv4 = destination.is_ipv4();
    let (body, is_short) = ip_payload(frame, is_ipv4);
    let cut_or_end = || if is_short { Layer::Cut } else { Layer::End };
    let (layer, inside): (Layer, Option<Vec<u8>>) = match (protocol, body, ports) {
        (None, None, _) => (cut_or_end(), None),
        (_, None, _) => (Layer::End, None),
        (Some(17), Some(_), None) => (cut_or_end(), None),
        (Some(17), Some(body), Some((from, to))) => {
            let is_own = destinations.iter().any(|end| (end.0, end.1) == (destination, to));
            if from >= 65_408 && is_own {
                (Layer::Own, None)
            } else {
                udp(destinations, (from, to), &body, is_short)
            }
        }
        (Some(4), Some(body), _) => (Layer::Tunnel, Some(with_ethernet_header([8, 0], &body))),
        (Some(41), Some(body), _) => {
            (Layer::Tunnel, Some(with_ethernet_header([0x86, 0xdd], &body)))
        }
        (Some(47), Some(body), _) => gre(&body).unwrap_or((cut_or_end(), None)),
        (Some(number @ (1 | 58)), Some(body), _) if (number == 1) == is_ipv4 => {
            let errors: &[u8] = if is_ipv4 { &[3, 4, 5, 11, 12] } else { &[1, 2, 3, 4] };
            let ether_type = if is_ipv4 { [8, 0] } else { [0x86, 0xdd] };
            match body.first() {
                Some(kind) if !errors.contains(kind) => (Layer::End, None),
                Some(_) if body.len() >= 8 => {
                    (Layer::IcmpError, Some(with_ethernet_header(ether_type, &body[8..])))
                }
                _ => (cut_or_end(), None),
            }
        }
        _ => (Layer::End, None),
    };
    layers.push(layer);
    if let Some(inside) = inside {
        walk(destinations, &inside, layers);
    }
}

fn udp(
    destinations: &CopyDestinations,
    (from, to): (u16, u16),
    body: &[u8],
    is_short: bool,
) -> (Layer, Option<Vec<u8>>) {
    let to_geneve = to == 6081 || destinations.iter().any(|end| end.2 && end.1 == to);
    let to_vxlan =
        [4789, 8472].contains(&to) || destinations.iter().any(|end| !end.2 && end.1 == to);
    let is_copy_port = from >= 65_408;
    if body.len() < 16 {
        return match (is_copy_port, to_geneve || to_vxlan, is_short) {
            (true, true, true) => (Layer::Copy, Some(Vec::new())),
            (false, false, _) | (_, _, false) => (Layer::End, None),
            _ => (Layer::Cut, None),
        };
    }
    let header = &body[8..16];
    if is_copy_port && header[..4] == [8, 0, 0, 0] && header[7] == 0 {
        return (Layer::Copy, Some(body[16..].to_vec()));
    }
    let is_ip = header[2..4] == [8, 0] || header[2..4] == [0x86, 0xdd];
    let is_copy_geneve = is_copy_port && header[..2] == [8, 0] && is_ip && header[4..] == [0; 4];
    if is_copy_geneve || to_geneve {
        if header[0] >= 64 {
            return (Layer::End, None);
        }
        let at = 16 + 4 * (header[0] as usize);
        if at > body.len() {
            return (if is_short { Layer::Cut } else { Layer::End }, None);
        }
        return (Layer::Tunnel, Some(inner_frame([header[2], header[3]], &body[at..])));
    }
    if to_vxlan && header[0] & 8 == 8 {
        return (Layer::Tunnel, Some(body[16..].to_vec()));
    }
    (Layer::End, None)
}

fn gre(body: &[u8]) -> Option<(Layer, Option<Vec<u8>>)> {
    let head = body.get(..4)?;
    if head[1] % 8 != 0 || head[0] & 0x40 != 0 {
        return Some((Layer::End, None));
    }
    let mut at = 4;
    for flag in [0x80, 0x20, 0x10] {
        at += if head[0] & flag != 0 { 4 } else { 0 };
    }
    let inside = inner_frame([head[2], head[3]], body.get(at..)?);
    Some((Layer::Tunnel, Some(inside)))
}

fn inner_frame(ether_type: [u8; 2], bytes: &[u8]) -> Vec<u8> {
    if ether_type == [0x65, 0x58] {
        bytes.to_vec()
    } else {
        with_ethernet_header(ether_type, bytes)
    }
}

/// The bytes after the IP headers (None in later fragments, and if the chain of headers is
/// truncated), and whether the packet is shorter than its header declares.
fn ip_payload(frame: &[u8], is_ipv4: bool) -> (Option<Vec<u8>>, bool) {
    let word = |at: usize| 256 * frame[at] as usize + frame[at + 1] as usize;
    let mut at = 12;
    while [0x8100, 0x88a8, 0x9100].contains(&word(at)) {
        at += 4;
    }
    at += 2;
    if is_ipv4 {
        let header_len = 4 * (frame[at] & 0xf) as usize;
        let total_len = word(at + 2);
        let is_short = total_len < header_len || at + total_len > frame.len();
        let end = if is_short { frame.len() } else { at + total_len };
        if word(at + 6) & 0x1fff != 0 {
            return (None, is_short);
        }
        // Options may be truncated.
        return (Some(frame[end.min(at + header_len)..end].to_vec()), is_short);
    }
    let payload_len = word(at + 4);
    let is_short = payload_len == 0 || at + 40 + payload_len > frame.len();
    let end = if is_short { frame.len() } else { at + 40 + payload_len };
    let mut next = frame[at + 6];
    at += 40;
    while [0, 43, 44, 51, 60].contains(&next) {
        if at + 2 > end {
            return (None, is_short);
        }
        let len = match next {
            44 => 8,
            51 => 4 * (frame[at + 1] as usize + 2),
            _ => 8 * (frame[at + 1] as usize + 1),
        };
        if at + len > end || (next == 44 && word(at + 2) & 0xfff8 != 0) {
            return (None, is_short);
        }
        next = frame[at];
        at += len;
    }
    (Some(frame[at..end].to_vec()), is_short)
}
