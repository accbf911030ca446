//! Receives the changes of network interfaces from the kernel.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::SocketFlags;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};

use super::address;
use super::link::Link;
use super::list::with_context;
use super::netlink::{NetlinkMessage, NetlinkSocket, messages};

/// The subscribed multicast groups: bit n-1 for group n (`RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR`,
/// `RTNLGRP_IPV6_IFADDR` of linux/rtnetlink.h are 1, 5 and 9).
const GROUPS: u32 = 1 | 1 << 4 | 1 << 8;

/// The requested receive buffer in bytes, for several thousand changes. The system may grant less.
const RECEIVE_BUFFER_LEN: usize = 1 << 22;

/// At most this number of datagrams is discarded after an overrun, so that continuous changes
/// cannot block the reader.
const MAX_DISCARDED: usize = 65_536;

/// A change of a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// An interface is new or has this state now, without its addresses. A new name for a known
    /// index is a rename. The change may concern a property that is not in [`Link`].
    Changed(Link),
    /// An interface was removed or moved to another network namespace.
    Removed {
        /// Its index, which the kernel may assign again.
        index: u32,
        /// The name it had.
        name: String,
    },
    /// An IP address was added or removed, or its lifetime changed.
    AddressesChanged {
        /// The index of the interface.
        index: u32,
    },
    /// Changes were lost: list all interfaces again. The following events are later than the loss.
    Overrun,
}

/// Receives the changes of the network namespace in which the thread opened the watch.
///
/// Open the watch before listing the interfaces, so that no change is missed. A change that is in
/// both does no harm.
#[derive(Debug)]
pub struct LinkWatch {
    socket: NetlinkSocket,
    pending: VecDeque<LinkEvent>,
}

impl LinkWatch {
    /// Starts to receive changes.
    ///
    /// # Errors
    /// The kernel refuses a netlink socket.
    pub fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(SocketFlags::NONBLOCK, GROUPS)
            .map_err(|error| with_context("cannot watch the network interfaces", &error))?;
        // The first option needs CAP_NET_ADMIN. A smaller buffer may overrun, which is reported.
        if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_LEN).is_err() {
            let _ = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_LEN);
        }
        Ok(Self { socket, pending: VecDeque::new() })
    }

    /// The next change, or `None` if there is none; it does not wait. Call it until it returns
    /// `None` before waiting until the descriptor is readable.
    ///
    /// # Errors
    /// The socket fails.
    pub fn try_next(&mut self) -> io::Result<Option<LinkEvent>> {
        while self.pending.is_empty() {
            match self.socket.receive() {
                Ok(datagram) => self.pending.extend(messages(datagram).filter_map(parse_event)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_overrun(&error) => return self.discard_stale().map(Some),
                Err(error) => {
                    return Err(with_context("cannot watch the network interfaces", &error));
                }
            }
        }
        Ok(self.pending.pop_front())
    }

    /// Discards the pending changes, which are older than the list that the reader makes next.
    fn discard_stale(&mut self) -> io::Result<LinkEvent> {
        for _ in 0..MAX_DISCARDED {
            match self.socket.receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if !is_overrun(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(LinkEvent::Overrun)
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether messages were lost: `ENOBUFS` means that the buffer was full (netlink(7)); a message
/// that is too long is lost too.
pub(super) fn is_overrun(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS) || error.kind() == io::ErrorKind::InvalidData
}

fn parse_event(message: NetlinkMessage<'_>) -> Option<LinkEvent> {
    match message.kind {
        libc::RTM_NEWLINK => Link::parse(message.payload).map(LinkEvent::Changed),
        libc::RTM_DELLINK => Link::parse(message.payload)
            .map(|link| LinkEvent::Removed { index: link.index, name: link.name }),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => address::split_header(message.payload)
            .map(|(index, _)| LinkEvent::AddressesChanged { index }),
        _ => None,
    }
}
