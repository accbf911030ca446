//! Changes of anything that decides how packets leave the host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::SocketFlags;

use super::link_watch::is_overrun;
use super::list::with_context;
use super::netlink::NetlinkSocket;

/// The groups of linux/rtnetlink.h, bit n-1 for group n: links 1, neighbours 3, addresses 5 and 9,
/// routes 7 and 11, rules 8 and 19.
const GROUPS: u32 = 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 6 | 1 << 10 | 1 << 7 | 1 << 18;

/// How many messages are read at once, so that a kernel that never pauses cannot hold the reader
/// up.
const MAX_MESSAGES: usize = 65_536;

/// Watches routes, rules, neighbours, links and addresses of the network namespace that the thread
/// was in when it opened the watch.
#[derive(Debug)]
pub struct RouteWatch {
    socket: NetlinkSocket,
}

impl RouteWatch {
    /// Begins to watch.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(SocketFlags::NONBLOCK, GROUPS)
            .map_err(|error| with_context("cannot watch the routes", &error))?;
        Ok(Self { socket })
    }

    /// Whether anything changed since the last call; never waits. Changes that were lost count as a
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
