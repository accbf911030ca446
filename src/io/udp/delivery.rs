//! Some datagrams through one socket, around those that the kernel refuses.

use std::io;
use std::os::fd::AsFd;

use libc::c_int;

use super::path::Path;
use super::warnings::Warnings;
use crate::dataplane::DropCause;
use crate::io::sys::sendmmsg::{Datagram, SendBatch, Sent};

/// Datagrams on their way through one socket.
pub(super) struct Delivery<'s> {
    pub(super) path: &'s mut Path,
    pub(super) flow_hash: u8,
    pub(super) batch: &'s mut SendBatch,
    pub(super) warnings: &'s mut Warnings,
    /// Whether a full socket is waited for.
    pub(super) may_wait: &'s mut bool,
}

impl Delivery<'_> {
    /// Sends them all, and names to `lose` those that it cannot.
    ///
    /// An error may be that of an earlier datagram, of which word came back just now; so the same
    /// datagram is sent once more, and what is said then is its own. Each turn of the loop sends,
    /// loses, or is such a second try, so there is an end to it.
    pub(super) fn run(
        mut self,
        datagrams: &[Datagram<'_>],
        mut lose: impl FnMut(usize, DropCause),
    ) {
        let mut position = 0;
        let mut second_try = false;
        while let Some(rest) = datagrams.get(position..).filter(|rest| !rest.is_empty()) {
            let sent = self.send(rest);
            position += sent.count;
            second_try &= sent.count == 0;
            let Some(errno) = sent.error else { continue };
            if !second_try && may_be_of_earlier(errno) {
                second_try = true;
                continue;
            }
            second_try = false;
            self.path.tell(&io::Error::from_raw_os_error(errno), self.warnings);
            let behind = self.behind_lost(errno, position, datagrams.len());
            (position..behind).for_each(|lost| lose(lost, cause_of(errno)));
            position = behind;
        }
    }

    fn send(&mut self, datagrams: &[Datagram<'_>]) -> Sent {
        let Some(socket) = self.path.socket(self.flow_hash) else {
            return Sent { count: 0, error: Some(libc::EBADF) };
        };
        let sent = self.batch.send(socket.as_fd(), datagrams, *self.may_wait);
        for datagram in datagrams.iter().take(sent.count) {
            self.path.count(datagram.inner.len());
        }
        if sent.count < datagrams.len() {
            self.path.hear(self.flow_hash);
        }
        sent
    }

    /// A socket that stayed full takes nothing more of this burst, nor is any other waited for.
    const fn behind_lost(&mut self, errno: c_int, position: usize, len: usize) -> usize {
        if errno == libc::EAGAIN {
            *self.may_wait = false;
            return len;
        }
        position + 1
    }
}

/// Want of room is always the datagram's own.
const fn may_be_of_earlier(errno: c_int) -> bool {
    !matches!(errno, libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM)
}

/// What a refusal means for the copy.
pub(super) const fn cause_of(errno: c_int) -> DropCause {
    match errno {
        libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM => DropCause::NoBuffers,
        libc::EMSGSIZE => DropCause::MessageTooLong,
        libc::ECONNREFUSED => DropCause::TargetRefused,
        libc::ENETUNREACH
        | libc::EHOSTUNREACH
        | libc::ENETDOWN
        | libc::EHOSTDOWN
        | libc::EADDRNOTAVAIL => DropCause::TargetUnreachable,
        _ => DropCause::SendFailed,
    }
}
