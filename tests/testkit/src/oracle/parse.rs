//! The oracle's own parser of a frame, at fixed offsets.

use std::net::IpAddr;

/// A frame as the rules see it. `protocol` is None if the chain of IPv6 headers is truncated,
/// `ports` if the frame is a later fragment, is truncated before its ports, or is neither TCP nor
/// UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedFrame {
    NotIp,
    Unparsable,
    Ip { source: IpAddr, destination: IpAddr, protocol: Option<u8>, ports: Option<(u16, u16)> },
}

/// Parses Ethernet with any number of VLAN tags, IP, and the ports of TCP and UDP.
pub fn parse_frame(frame: &[u8]) -> ParsedFrame {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let mut at = 12;
    loop {
        match word(at) {
            None => return ParsedFrame::Unparsable,
            Some(0x8100 | 0x88a8 | 0x9100) => at += 4,
            Some(0x0800) => return parse_ipv4(frame, at + 2),
            Some(0x86dd) => return parse_ipv6(frame, at + 2),
            Some(_) => return ParsedFrame::NotIp,
        }
    }
}

fn parse_ipv4(frame: &[u8], at: usize) -> ParsedFrame {
    if frame.len() < at + 20 || frame[at] & 0xf0 != 0x40 || frame[at] & 0x0f < 5 {
        return ParsedFrame::Unparsable;
    }
    let header_len = 4 * (frame[at] & 0x0f) as usize;
    let total_len = 256 * frame[at + 2] as usize + frame[at + 3] as usize;
    let end = if total_len < header_len { frame.len() } else { frame.len().min(at + total_len) };
    let offset = (frame[at + 6] & 0x1f) as usize * 256 + frame[at + 7] as usize;
    let octets = |place: usize| <[u8; 4]>::try_from(&frame[place..place + 4]).unwrap();
    let protocol = frame[at + 9];
    ParsedFrame::Ip {
        source: octets(at + 12).into(),
        destination: octets(at + 16).into(),
        protocol: Some(protocol),
        ports: if offset == 0 { ports(frame, protocol, at + header_len, end) } else { None },
    }
}

fn parse_ipv6(frame: &[u8], at: usize) -> ParsedFrame {
    if frame.len() < at + 40 || frame[at] & 0xf0 != 0x60 {
        return ParsedFrame::Unparsable;
    }
    let payload_len = 256 * frame[at + 4] as usize + frame[at + 5] as usize;
    let end = if payload_len == 0 { frame.len() } else { frame.len().min(at + 40 + payload_len) };
    let octets = |place: usize| <[u8; 16]>::try_from(&frame[place..place + 16]).unwrap();
    let (source, destination) = (octets(at + 8).into(), octets(at + 24).into());
    let unknown = ParsedFrame::Ip { source, destination, protocol: None, ports: None };
    let mut next = frame[at + 6];
    let mut place = at + 40;
    loop {
        let header_len = match next {
            0 | 43 | 60 if place + 2 <= end => 8 * (frame[place + 1] as usize + 1),
            51 if place + 2 <= end => 4 * (frame[place + 1] as usize + 2),
            44 => 8,
            0 | 43 | 60 | 51 => return unknown,
            upper => {
                let ports = ports(frame, upper, place, end);
                return ParsedFrame::Ip { source, destination, protocol: Some(upper), ports };
            }
        };
        if place + header_len > end {
            return unknown;
        }
        let following = frame[place];
        if next == 44 && (frame[place + 2] != 0 || frame[place + 3] & 0xf8 != 0) {
            let extension = [0, 43, 44, 51, 60].contains(&following);
            let protocol = if extension { None } else { Some(following) };
            return ParsedFrame::Ip { source, destination, protocol, ports: None };
        }
        next = following;
        place += header_len;
    }
}

fn ports(frame: &[u8], protocol: u8, at: usize, end: usize) -> Option<(u16, u16)> {
    if ![6, 17].contains(&protocol) || at + 4 > end {
        return None;
    }
    let word = |place: usize| u16::from_be_bytes([frame[place], frame[place + 1]]);
    Some((word(at), word(at + 2)))
}
