//! The sending sockets: at most three for any number of targets and source ports; without
//! CAP_NET_RAW one UDP socket for each source port in use, up to a limit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::icmp::IcmpError;
use super::options::UdpOptions;
use super::warnings::Warnings;
use crate::dataplane::FIRST_SOURCE_PORT;
use crate::io::sys::ring::PACKET_VNET_HDR;
use crate::io::sys::{error_queue, option, resource};

/// How long a send waits for room in the socket.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Requested send buffer in bytes; the kernel reduces it to its limit.
const SEND_BUFFER_LEN: usize = 1 << 20;

/// The maximum number of UDP sockets: one for each source port of one source address.
const MAX_UDP_SOCKETS: usize = 128;

/// How many errors are read from one socket at once, so that a flood of errors blocks nothing.
const MAX_ERRORS: usize = 1_024;

/// How long after a socket could not be opened the next attempt is made, in ns.
const OPEN_AGAIN_NS: u64 = 1_000_000;

/// Identifies the socket that sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketKey {
    /// A packet socket, for complete Ethernet frames through any device.
    Frames,
    /// A raw IPv4 socket, for complete IP packets to any address.
    PacketsV4,
    /// A raw IPv6 socket.
    PacketsV6,
    /// A UDP socket, for datagrams from one source address and port to any address.
    Udp {
        /// The source address.
        source: IpAddr,
        /// The source port minus 65408.
        flow_hash: u8,
    },
}

#[derive(Debug)]
struct OpenSocket {
    key: SocketKey,
    socket: Socket,
    /// The number of the send that last used it.
    used: u64,
}

/// Why a socket could not be opened, and the time of the next attempt.
#[derive(Debug, Clone, Copy)]
struct OpenFailure {
    errno: i32,
    until_ns: u64,
}

/// The sockets of one sender.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Vec<OpenSocket>,
    sends: u64,
    failure: Option<OpenFailure>,
}

impl Sockets {
    /// Returns the socket for a key and opens it if necessary; the `errno` if that fails.
    pub(super) fn get(
        &mut self,
        key: SocketKey,
        options: &UdpOptions,
        now_ns: u64,
        warnings: &mut Warnings,
    ) -> Result<BorrowedFd<'_>, i32> {
        self.sends += 1;
        let known = self.open.iter().position(|one| one.key == key);
        let index = match known {
            Some(index) => index,
            None => self.add(key, options, now_ns, warnings)?,
        };
        let one = self.open.get_mut(index).ok_or(libc::EBADF)?;
        one.used = self.sends;
        Ok(one.socket.as_fd())
    }

    /// Closes the sockets that are bound to the device of the options, because its index has
    /// changed: they stay bound to the previous index.
    pub(super) fn close_bound(&mut self) {
        self.open.retain(|one| one.key == SocketKey::Frames);
    }

    /// Reads the errors that the UDP sockets received about earlier datagrams.
    pub(super) fn read_errors(&self, mut take: impl FnMut(IcmpError)) {
        let udp = self.open.iter().filter(|one| matches!(one.key, SocketKey::Udp { .. }));
        for OpenSocket { socket, .. } in udp {
            for _ in 0..MAX_ERRORS {
                let Some(error) = error_queue::next_error(socket.as_fd()) else { break };
                match (error.errno, error.destination) {
                    (0, _) | (_, None) => {}
                    (libc::ECONNREFUSED, Some(address)) => take(IcmpError::Refused(address)),
                    (_, Some(address)) => take(IcmpError::Unreachable(address)),
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    #[cold]
    fn add(
        &mut self,
        key: SocketKey,
        options: &UdpOptions,
        now_ns: u64,
        warnings: &mut Warnings,
    ) -> Result<usize, i32> {
        if let Some(failure) = self.failure.filter(|failure| now_ns < failure.until_ns) {
            return Err(failure.errno);
        }
        if self.open.len() >= MAX_UDP_SOCKETS {
            self.close_least_used();
        }
        let mut opened = open(key, options, warnings);
        // If descriptors are exhausted, the least recently used UDP socket is replaced.
        while opened.as_ref().is_err_and(resource::is_out_of_descriptors) && self.close_least_used()
        {
            opened = open(key, options, warnings);
        }
        match opened {
            Ok(socket) => {
                self.open.push(OpenSocket { key, socket, used: self.sends });
                Ok(self.open.len() - 1)
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let until_ns = now_ns.saturating_add(OPEN_AGAIN_NS);
                self.failure = Some(OpenFailure { errno, until_ns });
                Err(errno)
            }
        }
    }

    /// Closes the least recently used UDP socket; returns false if there is none.
    fn close_least_used(&mut self) -> bool {
        let udp = self.open.iter().enumerate();
        let udp = udp.filter(|(_, one)| matches!(one.key, SocketKey::Udp { .. }));
        let Some((index, _)) = udp.min_by_key(|(_, one)| one.used) else { return false };
        self.open.swap_remove(index);
        true
    }
}

fn open(key: SocketKey, options: &UdpOptions, warnings: &mut Warnings) -> io::Result<Socket> {
    let socket = match key {
        SocketKey::Frames => packet_socket(),
        SocketKey::PacketsV4 => raw_socket(Domain::IPV4),
        SocketKey::PacketsV6 => raw_socket(Domain::IPV6),
        SocketKey::Udp { source, flow_hash } => udp_socket(source, flow_hash, warnings),
    }?;
    resource::check_reserve(&socket)?;
    socket.set_send_buffer_size(SEND_BUFFER_LEN)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    let marked = options.mark.map_or(Ok(()), |mark| socket.set_mark(mark));
    if let Err(error) = marked {
        warnings.refused_option("the mark of the loop guard", &error);
    }
    let device = options.device.as_ref().filter(|_| key != SocketKey::Frames);
    let Some(device) = device else { return Ok(socket) };
    if let Err(error) = socket.bind_device(Some(device.as_bytes())) {
        warnings.refused_option(&format!("--bind-device `{device}`"), &error);
    }
    Ok(socket)
}

/// Protocol 0: the socket receives nothing.
fn packet_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    option::set_int_option(socket.as_fd(), libc::SOL_PACKET, PACKET_VNET_HDR, 1)?;
    Ok(socket)
}

/// "IPPROTO_RAW implies enabled IP_HDRINCL" and "is send only" (raw(7)).
fn raw_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    enable_error_queue(&socket, domain == Domain::IPV4)?;
    Ok(socket)
}

/// A UDP socket that never fragments, reports errors, and shares its port with other sockets.
fn udp_socket(source: IpAddr, flow_hash: u8, warnings: &mut Warnings) -> io::Result<Socket> {
    let address = SocketAddr::new(source, FIRST_SOURCE_PORT + u16::from(flow_hash & 0x7f));
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    let set = |level, name, value| option::set_int_option(socket.as_fd(), level, name, value);
    if source.is_ipv4() {
        socket.set_ttl_v4(255)?;
        set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
        // UDP over IPv4 needs no checksum, and AWS sends none. If the kernel rejects the option,
        // the checksum is valid, which receivers accept, too.
        let _ = set(libc::SOL_SOCKET, libc::SO_NO_CHECK, 1);
    } else {
        socket.set_unicast_hops_v6(255)?;
        set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)?;
    }
    enable_error_queue(&socket, source.is_ipv4())?;
    match socket.bind(&address.into()) {
        Err(error) if is_port_taken(&error) => {
            warnings.port_taken(address.port(), &error);
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        bound => bound?,
    }
    Ok(socket)
}

/// Enables error reports. Without them the kernel does not report packets dropped by the egress
/// queue. A queue that drops another packet than the new one, such as fq_codel and sfq, reports
/// nothing in any case (`NET_XMIT_CN` in `net_xmit_errno` of linux/netdevice.h).
fn enable_error_queue(socket: &Socket, is_ipv4: bool) -> io::Result<()> {
    let (level, name) = if is_ipv4 {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    };
    option::set_int_option(socket.as_fd(), level, name, 1)
}

fn is_port_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRINUSE | libc::EACCES))
}
