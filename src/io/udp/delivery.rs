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
    pub(super) now_ns: u64,
}

/// What becomes of a datagram on its way, told by its position.
pub(super) trait Told {
    /// It is lost.
    fn lose(&mut self, position: usize, cause: DropCause);

    /// It leaves with no more than so many bytes of the inner frame.
    fn cut(&mut self, position: usize, inner_len: usize);
}

/// How far the sending is.
struct Progress<'d, 'a> {
    datagrams: &'d mut [Datagram<'a>],
    /// The datagrams in front of it are sent or lost.
    position: usize,
    /// How many datagrams each message has that is still to be sent.
    runs: &'d [usize],
}

impl Delivery<'_> {
    /// Sends them all, in messages of as many as `runs` says, and tells of those that it cannot.
    ///
    /// An error may be that of an earlier datagram, of which word came back just now; so the same
    /// message is sent once more, and what is said then is its own. Each turn of the loop sends,
    /// loses, cuts, or is such a second try, so there is an end to it.
    pub(super) fn run(
        mut self,
        datagrams: &mut [Datagram<'_>],
        runs: &[usize],
        told: &mut dyn Told,
    ) {
        const ONES: [usize; 64] = [1; 64];
        let mut progress = Progress { datagrams, position: 0, runs };
        let mut second_try = false;
        while progress.position < progress.datagrams.len() {
            if progress.runs.is_empty() {
                let left = progress.datagrams.len() - progress.position;
                progress.runs = ONES.get(..left).unwrap_or(&ONES);
            }
            let sent = self.send(&progress);
            progress.pass(sent.count);
            second_try &= sent.count == 0;
            let Some(errno) = sent.error else { continue };
            if !second_try && may_be_of_earlier(errno) {
                second_try = true;
                continue;
            }
            second_try = false;
            self.refused(errno, &mut progress, told);
        }
    }

    fn send(&mut self, progress: &Progress<'_, '_>) -> Sent {
        let Some(socket) = self.path.socket(self.flow_hash) else {
            return Sent { count: 0, error: Some(libc::EBADF) };
        };
        let datagrams = progress.datagrams.get(progress.position..).unwrap_or_default();
        let sent = self.batch.send(socket.as_fd(), datagrams, progress.runs, *self.may_wait);
        let gone = progress.runs.iter().take(sent.count).sum();
        let bytes = datagrams.iter().take(gone).map(|datagram| datagram.inner.len()).sum();
        self.path.count(gone, bytes);
        if sent.error.is_some() {
            self.path.hear(self.flow_hash);
        }
        sent
    }

    /// What is done about the message that the kernel refused.
    fn refused(&mut self, errno: c_int, progress: &mut Progress<'_, '_>, told: &mut dyn Told) {
        let error = io::Error::from_raw_os_error(errno);
        let run = progress.runs.first().copied().unwrap_or(1);
        let may_be_mtu = matches!(errno, libc::EMSGSIZE | libc::EINVAL);
        // What is in GENEVE bears its length in more than one place, and is not cut any more.
        let may_be_cut = may_be_mtu && !self.path.way.is_in_geneve;
        if may_be_mtu && self.path.read_mtu(self.flow_hash, self.now_ns) && may_be_cut {
            return progress.cut(self.path.most_inner_len, told);
        }
        if run > 1 && is_no_segmentation(errno) {
            self.path.segment_no_more(&error, self.warnings);
            // All that is left goes one by one.
            progress.runs = &[];
            return;
        }
        let cause = cause_of(errno);
        let lost = if cause == DropCause::NoBuffers {
            self.no_room(errno, run, progress, told)
        } else {
            self.path.tell(&error, self.warnings);
            run
        };
        let position = progress.position;
        (position..position + lost).for_each(|position| told.lose(position, cause));
        if lost == run {
            progress.pass(1);
        } else {
            progress.position += lost;
            progress.runs = &[];
        }
    }

    /// The egress queue is full. How many datagrams are lost by it; a live mirror sheds all that
    /// is behind the message, and a socket that stayed full takes nothing more of this burst.
    fn no_room(
        &mut self,
        errno: c_int,
        run: usize,
        progress: &mut Progress<'_, '_>,
        told: &mut dyn Told,
    ) -> usize {
        let len = progress.datagrams.len();
        if self.path.blow(self.now_ns) {
            let behind = progress.position + run;
            (behind..len).for_each(|position| told.lose(position, DropCause::Congestion));
            (0..run).for_each(|offset| told.lose(progress.position + offset, DropCause::NoBuffers));
            progress.position = len;
            return 0;
        }
        self.path.tell(&io::Error::from_raw_os_error(errno), self.warnings);
        if errno == libc::EAGAIN {
            *self.may_wait = false;
            return len - progress.position;
        }
        run
    }
}

impl Progress<'_, '_> {
    /// So many messages are done with.
    fn pass(&mut self, messages: usize) {
        self.position += self.runs.iter().take(messages).sum::<usize>();
        self.runs = self.runs.get(messages..).unwrap_or_default();
    }

    /// Cuts all that is left to what the route carries now. Runs of one length stay such.
    fn cut(&mut self, most_inner_len: usize, told: &mut dyn Told) {
        for (position, datagram) in self.datagrams.iter_mut().enumerate().skip(self.position) {
            if datagram.inner.len() > most_inner_len {
                datagram.inner = datagram.inner.cut(most_inner_len);
                told.cut(position, most_inner_len);
            }
        }
    }
}

/// Want of room is always the datagram's own.
const fn may_be_of_earlier(errno: c_int) -> bool {
    !matches!(errno, libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM)
}

/// What the kernel says where it cannot cut a message on this way.
const fn is_no_segmentation(errno: c_int) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
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
