//! Reads ICMP errors about our datagrams from raw sockets that receive nothing else.
//!
//! ```text
//! IPv4 header | 3, code, checksum, 0, MTU | IPv4 header of ours | ports | ...   (RFC 792, 1191)
//!               1 or 2, code, checksum, MTU | IPv6 header of ours | ports | ... (RFC 4443)
//! ```

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::dataplane::FIRST_SOURCE_PORT;
use crate::io::sys::option;

/// ICMP "destination unreachable", its codes for a closed port and a too long packet, and the same
/// for ICMPv6.
const V4_UNREACHABLE: u8 = 3;
const V4_PORT: u8 = 3;
const V4_TOO_BIG: u8 = 4;
const V6_UNREACHABLE: u8 = 1;
const V6_TOO_BIG: u8 = 2;
const V6_PORT: u8 = 4;

/// `ICMP_FILTER` of linux/icmp.h, an option of `SOL_RAW`; `ICMPV6_FILTER` of linux/icmpv6.h.
const SOL_RAW: i32 = 255;
const ICMP_FILTER: i32 = 1;
const ICMPV6_FILTER: i32 = 1;

const UDP: u8 = 17;

/// Bytes of a message that are read: IPv4 header with options, ICMP header, our header with
/// options, ports.
const READ_LEN: usize = 256;

/// How many messages are read at once, so that a flood of messages blocks nothing.
const MAX_MESSAGES: usize = 1_024;

/// The error that a host or router reports about a datagram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpError {
    /// No program listens at the address.
    Refused(SocketAddr),
    /// The address is unreachable.
    Unreachable(SocketAddr),
    /// A router on the path carries packets of at most this many bytes.
    TooBig(SocketAddr, usize),
}

impl IcmpError {
    /// The destination of the datagram.
    pub(super) const fn destination(&self) -> SocketAddr {
        match self {
            Self::Refused(address) | Self::Unreachable(address) | Self::TooBig(address, _) => {
                *address
            }
        }
    }
}

/// The raw sockets for both IP versions, if they could be opened.
#[derive(Debug)]
pub(super) struct IcmpListener {
    v4: Option<Socket>,
    v6: Option<Socket>,
}

impl IcmpListener {
    /// Opens the sockets. If one cannot be opened, its errors are not read; the second value has
    /// the cause, unless the host lacks the IP version.
    pub(super) fn open() -> (Self, Option<io::Error>) {
        let (v4, v6) = (open_v4(), open_v6());
        let lacks_version = |error: &io::Error| error.raw_os_error() == Some(libc::EAFNOSUPPORT);
        let causes = [&v4, &v6].map(|opened| opened.as_ref().err());
        let cause = causes.into_iter().flatten().find(|error| !lacks_version(error));
        let cause = cause.map(|error| io::Error::new(error.kind(), error.to_string()));
        (Self { v4: v4.ok(), v6: v6.ok() }, cause)
    }

    /// The errors since the last call; never waits.
    pub(super) fn read(&self) -> Vec<IcmpError> {
        let mut errors = Vec::new();
        read_each(self.v4.as_ref(), |bytes| errors.extend(parse_v4(bytes)));
        read_each(self.v6.as_ref(), |bytes| errors.extend(parse_v6(bytes)));
        errors
    }
}

fn read_each(socket: Option<&Socket>, mut take: impl FnMut(&[u8])) {
    let Some(mut socket) = socket else { return };
    let mut room = [0; READ_LEN];
    for _ in 0..MAX_MESSAGES {
        let Ok(len) = socket.read(&mut room) else { return };
        take(room.get(..len).unwrap_or_default());
    }
}

fn open_v4() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    // A set bit blocks a type.
    let others = !(1 << V4_UNREACHABLE);
    option::set_int_option(socket.as_fd(), SOL_RAW, ICMP_FILTER, others)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open_v6() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    let mut others = [u32::MAX; 8];
    if let Some(first) = others.first_mut() {
        *first = !(1 << V6_UNREACHABLE | 1 << V6_TOO_BIG);
    }
    option::set_struct_option(socket.as_fd(), libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &others)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Raw sockets of IPv4 receive the IP header, too.
fn parse_v4(packet: &[u8]) -> Option<IcmpError> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let &[kind, code, _, _, _, _, high, low] = packet.get(header_len..)?.first_chunk()?;
    let ours = packet.get(header_len + 8..)?;
    let fixed = ours.first_chunk::<20>()?;
    let [.., protocol, _, _, _, _, _, _, a, b, c, d] = *fixed;
    if kind != V4_UNREACHABLE || fixed[0] >> 4 != 4 || protocol != UDP {
        return None;
    }
    let ports = ours.get(usize::from(fixed[0] & 0x0f) * 4..)?;
    let destination = destination(Ipv4Addr::new(a, b, c, d).into(), ports)?;
    let mtu = usize::from(u16::from_be_bytes([high, low]));
    let len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    Some(match code {
        V4_PORT => IcmpError::Refused(destination),
        // A packet that would have fitted cannot cause this error: the message is forged.
        V4_TOO_BIG if len <= mtu => return None,
        V4_TOO_BIG => IcmpError::TooBig(destination, mtu),
        _ => IcmpError::Unreachable(destination),
    })
}

/// Raw sockets of IPv6 receive the message from the ICMP header on.
fn parse_v6(message: &[u8]) -> Option<IcmpError> {
    let &[kind, code, _, _, a, b, c, d] = message.first_chunk()?;
    let ours = message.get(8..)?;
    let fixed = ours.first_chunk::<40>()?;
    if fixed[0] >> 4 != 6 || fixed[6] != UDP {
        return None;
    }
    let address: [u8; 16] = *fixed.last_chunk()?;
    let destination = destination(Ipv6Addr::from(address).into(), ours.get(40..)?)?;
    match (kind, code) {
        (V6_UNREACHABLE, V6_PORT) => Some(IcmpError::Refused(destination)),
        (V6_UNREACHABLE, _) => Some(IcmpError::Unreachable(destination)),
        (V6_TOO_BIG, _) => {
            let mtu = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
            let len = 40 + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
            (len > mtu).then_some(IcmpError::TooBig(destination, mtu))
        }
        _ => None,
    }
}

/// The destination of a datagram, if its source port is one of ours.
fn destination(address: IpAddr, ports: &[u8]) -> Option<SocketAddr> {
    let &[source_high, source_low, high, low] = ports.first_chunk()?;
    let is_ours = u16::from_be_bytes([source_high, source_low]) >= FIRST_SOURCE_PORT;
    is_ours.then(|| SocketAddr::new(address, u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message about a datagram from port 65413 to port 4789.
    fn v4(code: u8, mtu: u16) -> Vec<u8> {
        let [high, low] = mtu.to_be_bytes();
        let mut packet = vec![0x45; 20];
        packet.extend([3, code, 0, 0, 0, 0, high, low]);
        packet.extend([0x45, 0, 5, 220, 0, 0, 0x40, 0, 255, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend([0xff, 0x85, 0x12, 0xb5]);
        packet
    }

    fn v6(kind: u8, code: u8, mtu: u32) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0];
        message.extend(mtu.to_be_bytes());
        message.extend([0x60, 0, 0, 0, 5, 180, 17, 255]);
        message.extend([0xfd; 16]);
        message.extend("fd99::2".parse::<Ipv6Addr>().unwrap().octets());
        message.extend([0xff, 0x85, 0x12, 0xb5]);
        message
    }

    #[test]
    fn an_icmp_error_gives_the_destination_of_the_datagram() {
        let target = "10.0.0.2:4789".parse().unwrap();
        assert_eq!(parse_v4(&v4(3, 0)), Some(IcmpError::Refused(target)));
        assert_eq!(parse_v4(&v4(1, 0)), Some(IcmpError::Unreachable(target)));
        assert_eq!(parse_v4(&v4(4, 1_400)), Some(IcmpError::TooBig(target, 1_400)));
        let target = "[fd99::2]:4789".parse().unwrap();
        assert_eq!(parse_v6(&v6(1, 4, 0)), Some(IcmpError::Refused(target)));
        assert_eq!(parse_v6(&v6(1, 3, 0)), Some(IcmpError::Unreachable(target)));
        assert_eq!(parse_v6(&v6(2, 0, 1_280)), Some(IcmpError::TooBig(target, 1_280)));
    }

    #[test]
    fn an_mtu_larger_than_the_packet_is_ignored() {
        assert_eq!(parse_v4(&v4(4, 1_500)), None);
        assert_eq!(parse_v6(&v6(2, 0, 1_500)), None);
    }

    #[test]
    fn icmp_errors_about_other_datagrams_are_ignored() {
        let mut other = v4(3, 0);
        other[20 + 8 + 20] = 0x80;
        assert_eq!(parse_v4(&other), None);
        let mut tcp = v4(3, 0);
        tcp[20 + 8 + 9] = 6;
        assert_eq!(parse_v4(&tcp), None);
    }

    #[test]
    fn a_truncated_icmp_message_does_not_panic() {
        for len in 0..v4(3, 0).len() {
            assert_eq!(parse_v4(&v4(3, 0)[..len]), None);
        }
        for len in 0..v6(1, 4, 0).len() {
            assert_eq!(parse_v6(&v6(1, 4, 0)[..len]), None);
        }
    }
}
