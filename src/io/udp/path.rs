//! The sockets that lead from one source address to one target, one for each UDP source port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::delivery::cause_of;
use super::fuse::Fuse;
use super::options::UdpOptions;
use super::outbox::Way;
use super::warnings::Warnings;
use crate::dataplane::DropCause;
use crate::io::sys::{error_queue, option};

/// AWS sends from UDP ports 65408 to 65535: these and a 7-bit hash.
pub(super) const FIRST_SOURCE_PORT: u16 = 65_408;

/// How many source ports there are.
pub(super) const SOURCE_PORTS: usize = 128;

/// A send that finds no room for so long gives up.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after one socket could not be opened the next try is made.
const OPEN_AGAIN_NS: u64 = 1_000_000;

/// How often the MTU of a route is looked up.
const MTU_READ_AGAIN_NS: u64 = 1_000_000_000;

/// As much as an unprivileged process may ask for on most systems is less; the kernel cuts it.
const SEND_BUFFER_LEN: usize = 1 << 20;

/// So many told errors are taken in one go at the most, so that a flood of them stops nothing.
const MAX_TOLD: usize = 1_024;

/// One way, its sockets as far as they were needed, and what became of the datagrams.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) way: Way,
    /// The address to bind to; the unspecified one where the session's is none of this host's.
    source: IpAddr,
    sockets: Vec<Option<Socket>>,
    options: Arc<UdpOptions>,
    /// The longest inner frame that the route carries, in bytes; the kernel follows the route.
    pub(super) most_inner_len: usize,
    mtu_read_ns: u64,
    /// The device that they leave by, where it is known.
    pub(super) device_index: Option<u32>,
    /// Whether runs leave as one message.
    pub(super) segments: bool,
    fuse: Fuse,
    /// Until when no socket is opened after one could not be, and why.
    closed: Option<(u64, DropCause)>,
    error_told: bool,
    /// Datagrams that the kernel took.
    pub(super) sent: u64,
    /// ICMP port unreachable that came back.
    pub(super) refused: u64,
    /// Any other ICMP error that came back.
    pub(super) unreachable: u64,
    /// Length of the inner frames in them.
    pub(super) sent_bytes: u64,
}

impl Path {
    pub(super) fn new(way: Way, options: Arc<UdpOptions>, warnings: &mut Warnings) -> Self {
        let destination = way.destination.ip();
        let same_family = way.source.is_ipv4() == destination.is_ipv4();
        if !same_family {
            warnings.foreign_source(way.source);
        }
        let device = options.device_to(destination, way.source);
        let source = if same_family { way.source } else { unspecified_like(destination) };
        Self {
            way,
            source,
            sockets: (0..SOURCE_PORTS).map(|_| None).collect(),
            segments: options.segments_over(device.as_ref()),
            device_index: device.map(|device| device.index),
            options,
            most_inner_len: usize::MAX,
            mtu_read_ns: 0,
            fuse: Fuse::default(),
            closed: None,
            error_told: false,
            sent: 0,
            refused: 0,
            unreachable: 0,
            sent_bytes: 0,
        }
    }

    /// Counts datagrams that the kernel took, with so many bytes of inner frames in them.
    pub(super) fn count(&mut self, datagrams: usize, inner_bytes: usize) {
        self.sent += u64::try_from(datagrams).unwrap_or_default();
        self.sent_bytes += u64::try_from(inner_bytes).unwrap_or_default();
    }

    /// Whether copies are shed now, because the egress queue refused just now.
    pub(super) const fn sheds(&self, now_ns: u64) -> bool {
        self.fuse.is_blown(now_ns)
    }

    /// The egress queue refused; says whether copies are shed from now on.
    pub(super) fn blow(&mut self, now_ns: u64) -> bool {
        if self.options.sheds {
            self.fuse.blow(now_ns);
        }
        self.options.sheds
    }

    /// The kernel refused to cut messages: from now on each datagram is one.
    pub(super) fn segment_no_more(&mut self, error: &io::Error, warnings: &mut Warnings) {
        if std::mem::replace(&mut self.segments, false) {
            warnings.cannot_segment(self.way.destination, error);
            self.sockets.iter().flatten().for_each(leave_checksum_out);
        }
    }

    /// Follows the MTU of the route, now and then.
    pub(super) fn follow_mtu(&mut self, flow_hash: u8, now_ns: u64) {
        if now_ns.saturating_sub(self.mtu_read_ns) >= MTU_READ_AGAIN_NS {
            self.read_mtu(flow_hash, now_ns);
        }
    }

    /// Reads the MTU of the route; says whether it shrank.
    pub(super) fn read_mtu(&mut self, flow_hash: u8, now_ns: u64) -> bool {
        let is_ipv4 = self.way.destination.is_ipv4();
        let mtu = self
            .socket(flow_hash)
            .and_then(|socket| option::path_mtu(socket.as_fd(), is_ipv4).ok());
        let headers_len = if is_ipv4 { 36 } else { 56 } + self.way.front_len();
        // Loopback devices have room for more than an IP packet can be long.
        let longest = usize::from(u16::MAX);
        let known = self.most_inner_len;
        if let Some(mtu) = mtu {
            self.mtu_read_ns = now_ns;
            self.most_inner_len = mtu.min(longest).saturating_sub(headers_len);
        }
        self.most_inner_len < known
    }

    /// Sees to it that there is a socket for a hash, from 0 to 127.
    pub(super) fn open(
        &mut self,
        flow_hash: u8,
        now_ns: u64,
        warnings: &mut Warnings,
    ) -> Result<(), DropCause> {
        if self.socket(flow_hash).is_some() {
            self.follow_mtu(flow_hash, now_ns);
            return Ok(());
        }
        match self.closed {
            Some((until_ns, cause)) if now_ns < until_ns => return Err(cause),
            _ => {}
        }
        let opened = self.connected(flow_hash, warnings).map_err(|error| {
            self.tell(&error, warnings);
            let cause = cause_of(error.raw_os_error().unwrap_or(libc::EIO));
            self.closed = Some((now_ns.saturating_add(OPEN_AGAIN_NS), cause));
            cause
        })?;
        if let Some(place) = self.sockets.get_mut(usize::from(flow_hash)) {
            *place = Some(opened);
        }
        self.read_mtu(flow_hash, now_ns);
        Ok(())
    }

    /// The open socket for a hash.
    pub(super) fn socket(&self, flow_hash: u8) -> Option<&Socket> {
        self.sockets.get(usize::from(flow_hash))?.as_ref()
    }

    /// Says once why this way is closed.
    pub(super) fn tell(&mut self, error: &io::Error, warnings: &mut Warnings) {
        if !std::mem::replace(&mut self.error_told, true) {
            warnings.cannot_send(self.way.destination, error);
        }
    }

    /// Counts what one socket was told of its earlier datagrams.
    pub(super) fn hear(&mut self, flow_hash: u8) {
        for _ in 0..MAX_TOLD {
            let told = self.socket(flow_hash).and_then(|s| error_queue::next_error(s.as_fd()));
            match told {
                None => return,
                Some(0) => {}
                Some(libc::ECONNREFUSED) => self.refused += 1,
                Some(_) => self.unreachable += 1,
            }
        }
    }

    /// Counts what any socket was told.
    pub(super) fn hear_all(&mut self) {
        (0..=127).for_each(|flow_hash| self.hear(flow_hash));
    }

    fn connected(&mut self, flow_hash: u8, warnings: &mut Warnings) -> io::Result<Socket> {
        let socket = prepared(self.way.destination)?;
        if !self.segments {
            leave_checksum_out(&socket);
        }
        self.options.apply(&socket, warnings);
        self.bind(&socket, FIRST_SOURCE_PORT + u16::from(flow_hash), warnings)?;
        socket.connect(&self.way.destination.into())?;
        Ok(socket)
    }

    fn bind(&mut self, socket: &Socket, port: u16, warnings: &mut Warnings) -> io::Result<()> {
        let bind = |source, port| socket.bind(&SocketAddr::new(source, port).into());
        let mut bound = bind(self.source, port);
        if is_foreign(&bound) && !self.source.is_unspecified() {
            warnings.foreign_source(self.source);
            self.source = unspecified_like(self.source);
            bound = bind(self.source, port);
        }
        match bound {
            Err(error) if is_taken(&error) => {
                warnings.port_taken(port, &error);
                bind(self.source, 0)
            }
            other => other,
        }
    }
}

const fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// `EINVAL` is what a link-local IPv6 address without an interface gets.
fn is_foreign(bound: &io::Result<()>) -> bool {
    let error = bound.as_ref().err().and_then(io::Error::raw_os_error);
    matches!(error, Some(libc::EADDRNOTAVAIL | libc::EINVAL))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRINUSE | libc::EACCES))
}

/// UDP over IPv4 needs no checksum, and AWS sends none; the kernel cuts no message without one.
fn leave_checksum_out(socket: &Socket) {
    // Where it is refused the checksum is right, which is as good.
    let _ = option::set_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1);
}

/// A socket that never fragments, says what goes wrong, and lets others have its port too.
fn prepared(destination: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(destination), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_LEN)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    let set = |level, name, value| option::set_number(socket.as_fd(), level, name, value);
    if destination.is_ipv4() {
        socket.set_ttl_v4(255)?;
        set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
        set(libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    } else {
        socket.set_unicast_hops_v6(255)?;
        set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)?;
        set(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
    }
    Ok(socket)
}
