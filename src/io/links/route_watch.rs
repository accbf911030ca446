//! Detects changes of everything that determines how packets leave the host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::SocketFlags;

use super::link_watch::is_overrun;
use super::list::with_context;
use super::netlink::NetlinkSocket;

/// The subscribed groups of linux/rtnetlink.h, bit n-1 for group n: links 1, neighbours 3,
/// addresses 5 and 9, routes 7 and 11, rules 8 and 19.
const GROUPS: u32 = 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 6 | 1 << 10 | 1 << 7 | 1 << 18;

/// At most this number of messages is read by one call, so that continuous changes cannot block the
/// reader.
const MAX_MESSAGES: usize = 65_536;

/// Watches routes, rules, neighbours, links and addresses of the network namespace in which the
/// thread opened the watch.
#[derive(Debug)]
pub struct RouteWatch {
    socket: NetlinkSocket,
}

impl RouteWatch {
    /// Starts to watch.
    ///
    /// # Errors
    /// The kernel refuses a netlink socket.
    pub fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(SocketFlags::NONBLOCK, GROUPS)
            .map_err(|error| with_context("cannot watch the routes", &error))?;
        Ok(Self { socket })
    }

    /// Whether anything changed since the last call. It does not wait. Lost messages count as a
    /// change.
    ///
    /// # Errors
    /// The socket fails.
    pub fn drain_changes(&mut self) -> io::Result<bool> {
        let mut has_changed = false;
        for _ in 0..MAX_MESSAGES {
            match self.socket.receive() {
                Ok(_) => has_changed = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_overrun(&error) => has_changed = true,
                Err(error) => return Err(with_context("cannot watch the routes", &error)),
            }
        }
        Ok(has_changed)
    }
}

impl AsFd for RouteWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
