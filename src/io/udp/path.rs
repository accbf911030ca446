//! The sockets that lead from one source address to one target, one for each UDP source port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::delivery::cause_of;
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
    /// The burst in which a socket could not be opened, and why: one try a burst is enough.
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
    pub(super) fn new(way: Way, warnings: &mut Warnings) -> Self {
        let destination = way.destination.ip();
        let same_family = way.source.is_ipv4() == destination.is_ipv4();
        if !same_family {
            warnings.foreign_source(way.source);
        }
        let source = if same_family { way.source } else { unspecified_like(destination) };
        Self {
            way,
            source,
            sockets: (0..SOURCE_PORTS).map(|_| None).collect(),
            closed: None,
            error_told: false,
            sent: 0,
            refused: 0,
            unreachable: 0,
            sent_bytes: 0,
        }
    }

    /// Counts a datagram that the kernel took: a VXLAN header and so many bytes.
    pub(super) fn count(&mut self, inner_len: usize) {
        self.sent += 1;
        self.sent_bytes += u64::try_from(inner_len).unwrap_or_default();
    }

    /// Sees to it that there is a socket for a hash, from 0 to 127.
    pub(super) fn open(
        &mut self,
        flow_hash: u8,
        burst: u64,
        warnings: &mut Warnings,
    ) -> Result<(), DropCause> {
        if self.socket(flow_hash).is_some() {
            return Ok(());
        }
        match self.closed {
            Some((in_burst, cause)) if in_burst == burst => return Err(cause),
            _ => {}
        }
        let opened = self.connected(flow_hash, warnings).map_err(|error| {
            self.tell(&error, warnings);
            let cause = cause_of(error.raw_os_error().unwrap_or(libc::EIO));
            self.closed = Some((burst, cause));
            cause
        })?;
        if let Some(place) = self.sockets.get_mut(usize::from(flow_hash)) {
            *place = Some(opened);
        }
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
        set(libc::SOL_SOCKET, libc::SO_NO_CHECK, 1)?;
    } else {
        socket.set_unicast_hops_v6(255)?;
        set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)?;
        set(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
    }
    Ok(socket)
}
