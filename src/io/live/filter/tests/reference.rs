//! A reference implementation of the filter in plain Rust.

use std::net::IpAddr;

use super::super::program::Truncation;
use super::bpf_interpreter::to_usize;
use super::generate::TARGET_PORT;
use crate::dataplane::{InterfaceIndex, MirrorTable};
use crate::model::{Direction, FilterRule, RuleAction};

/// L2TP, GTP-U, GRE, VXLAN, FOU, GUE, GENEVE and MPLS over UDP.
const TUNNELS: [u16; 12] = [1701, 2152, 4754, 4755, 4789, 4790, 5555, 6080, 6081, 6635, 6636, 8472];

/// The fields of a plain packet.
#[derive(Debug)]
pub(super) struct PlainFrame {
    pub(super) is_ipv4: bool,
    pub(super) ip: usize,
    pub(super) transport: usize,
    pub(super) protocol: u8,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ports: (u16, u16),
}

impl PlainFrame {
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        let is_ipv4 = match word(12)? {
            0x0800 => true,
            0x86dd => false,
            _ => return None,
        };
        let transport = if is_ipv4 { 34 } else { 54 };
        let ports = (word(transport)?, word(transport + 2)?);
        let (protocol, source, destination): (u8, IpAddr, IpAddr) = if is_ipv4 {
            let end = |at: usize| <[u8; 4]>::try_from(&frame[at..at + 4]).unwrap().into();
            if frame[14] != 0x45 || word(20)? & 0x3fff != 0 {
                return None;
            }
            (frame[23], end(26), end(30))
        } else {
            let end = |at: usize| <[u8; 16]>::try_from(&frame[at..at + 16]).unwrap().into();
            if frame[14] >> 4 != 6 || [0, 43, 44, 51, 60].contains(&frame[20]) {
                return None;
            }
            (frame[20], end(22), end(38))
        };
        Some(Self { is_ipv4, ip: 14, transport, protocol, source, destination, ports })
    }

    pub(super) fn checksum_at(&self) -> Option<usize> {
        match self.protocol {
            6 => Some(self.transport + 16),
            17 => Some(self.transport + 6),
            _ => None,
        }
    }

    fn stated_len(&self, frame: &[u8]) -> i64 {
        let at = if self.is_ipv4 { 16 } else { 18 };
        let stated = i64::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        if self.is_ipv4 { stated - 20 } else { stated }
    }

    /// The content of an unfinished checksum field.
    pub(super) fn unfinished(&self, frame: &[u8]) -> u16 {
        let addresses = if self.is_ipv4 { &frame[26..34] } else { &frame[22..54] };
        let len = u16::try_from(self.stated_len(frame).max(0)).unwrap();
        let rest = [0, self.protocol, len.to_be_bytes()[0], len.to_be_bytes()[1]];
        fold(&[addresses, &rest].concat())
    }

    fn may_be_truncated(&self, frame: &[u8]) -> bool {
        let is_tunnel = TUNNELS.contains(&self.ports.0)
            || TUNNELS.contains(&self.ports.1)
            || self.ports.0 >= 65_408
            || self.ports.1 == TARGET_PORT;
        let Some(at) = self.checksum_at() else { return false };
        if (self.protocol == 17 && is_tunnel) || self.stated_len(frame) < 8 {
            return false;
        }
        let checksum = u16::from_be_bytes([frame[at], frame[at + 1]]);
        checksum != 0 && checksum != self.unfinished(frame)
    }

    fn matches(&self, rule: &FilterRule) -> bool {
        let in_range = |range: Option<crate::model::PortRange>, port| {
            range.is_none_or(|range| range.contains(port))
        };
        rule.action() == RuleAction::Accept
            && rule.source().contains(self.source)
            && rule.destination().contains(self.destination)
            && rule.protocol().is_none_or(|wanted| wanted.0 == self.protocol)
            && in_range(rule.source_ports(), self.ports.0)
            && in_range(rule.destination_ports(), self.ports.1)
    }

    fn is_dns(&self, table: &MirrorTable) -> bool {
        let own = ["169.254.169.253", "fd00:ec2::253"].map(|text| text.parse().unwrap());
        let is_resolver = |address| {
            own.contains(&address) || table.settings().vpc_resolver_addresses.contains(&address)
        };
        (is_resolver(self.source) && self.ports.0 == 53)
            || (is_resolver(self.destination) && self.ports.1 == 53)
    }

    fn is_wanted(
        &self,
        table: &MirrorTable,
        interface: InterfaceIndex,
        direction: Direction,
    ) -> bool {
        let mut sessions = table.sessions().iter().filter(|one| one.interface == interface);
        sessions.any(|session| {
            session.filter.rules(direction).any(|rule| self.matches(rule))
                || (session.filter.amazon_dns && self.is_dns(table))
        })
    }
}

/// Whether a frame with our mark can be our copy, or a tunnel packet around one.
pub(super) fn can_be_own(frame: &[u8]) -> bool {
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let is_tagged = [Some(0x8100), Some(0x88a8)].contains(&word(12)) && word(16).is_some();
    let ip = if is_tagged { 18 } else { 14 };
    let (protocol, header_len, is_later) = match word(ip - 2) {
        Some(0x0800) if frame.len() >= ip + 20 => {
            let offset = word(ip + 6).unwrap() & 0x1fff;
            (frame[ip + 9], usize::from(frame[ip] & 0xf) * 4, offset > 0)
        }
        Some(0x86dd) if frame.len() >= ip + 40 => (frame[ip + 6], 40, false),
        _ => return false,
    };
    if [4, 41, 47, 50, 51, 115].contains(&protocol) {
        return true;
    }
    let at = ip + header_len;
    let (Some(source), Some(destination)) = (word(at), word(at + 2)) else {
        return protocol == 17 && is_later;
    };
    let is_tunnel = TUNNELS.contains(&destination) || destination == TARGET_PORT;
    protocol == 17 && (is_later || source >= 65_408 || is_tunnel)
}

/// The sum of big-endian 16-bit words, folded to sixteen bits with end-around carry.
pub(super) fn fold(bytes: &[u8]) -> u16 {
    let mut sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// Number of bytes of a frame that the filter accepts; 0 if it is dropped.
pub(super) fn accepted_len(
    frame: &[u8],
    truncation: Option<Truncation>,
    wanted_by: Option<(&MirrorTable, InterfaceIndex, Direction)>,
) -> usize {
    let Some(plain) = PlainFrame::of(frame) else { return frame.len() };
    if wanted_by.is_some_and(|(table, at, direction)| !plain.is_wanted(table, at, direction)) {
        return 0;
    }
    let Some(truncation) = truncation else { return frame.len() };
    let (truncated_len, max_len) = (to_usize(truncation.len), to_usize(truncation.max_frame_len));
    let fits = frame.len() > truncated_len && frame.len() <= max_len;
    if fits && plain.may_be_truncated(frame) { truncated_len } else { frame.len() }
}
