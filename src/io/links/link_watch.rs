//! Changes of network interfaces as the kernel tells them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::SocketFlags;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};

use super::address;
use super::link::Link;
use super::list::with_context;
use super::netlink::{NetlinkMessage, NetlinkSocket, messages};

/// The groups that are heard: bit n-1 for group n (`RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR`,
/// `RTNLGRP_IPV6_IFADDR` of linux/rtnetlink.h are 1, 5 and 9).
const GROUPS: u32 = 1 | 1 << 4 | 1 << 8;

/// Room for some thousand changes, where the system allows it.
const RECEIVE_BUFFER_LEN: usize = 1 << 22;

/// So many datagrams are thrown away after an overrun at the most, so that a kernel that never
/// pauses cannot hold the reader up.
const MAX_DISCARDED: usize = 65_536;

/// What became of a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new, or is as it says now; addresses are not said. A new name for a known index is a
    /// rename. Nothing that is seen here need have changed.
    Changed(Link),
    /// It is gone, or has moved to another network namespace.
    Removed {
        /// Its index, which the next interface may get.
        index: u32,
        /// The name it had.
        name: String,
    },
    /// An IP address came or went, or its lifetime changed.
    AddressesChanged {
        /// Of this interface.
        index: u32,
    },
    /// Changes were lost: list all interfaces again. Changes that follow are later than this.
    Overrun,
}

/// Hears the changes of the network namespace that the thread was in when it opened the watch.
///
/// Open the watch first and list the interfaces then: so no change is missed, and one that both
/// tell of does no harm.
#[derive(Debug)]
pub struct LinkWatch {
    socket: NetlinkSocket,
    pending: VecDeque<LinkEvent>,
}

impl LinkWatch {
    /// Begins to hear.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(SocketFlags::NONBLOCK, GROUPS)
            .map_err(|error| with_context("cannot watch the network interfaces", &error))?;
        // The first way wants CAP_NET_ADMIN; with less room there may be an overrun, which is told.
        if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_LEN).is_err() {
            let _ = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_LEN);
        }
        Ok(Self { socket, pending: VecDeque::new() })
    }

    /// The next change, without waiting: none where nothing has happened. Call it until it gives
    /// none, and then wait for the descriptor to be readable.
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

    /// What still waits is older than the list that the reader is about to make.
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

/// `ENOBUFS` says that there was no room (netlink(7)); a message that does not fit is lost too.
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
