//! Sends the runs of a burst in order and handles those that the kernel refuses.
//!
//! `sendmmsg` sends messages until one fails and reports the error only if the first one fails. The
//! loop therefore sends, counts what was accepted, and calls again with the rest. Example: of 5
//! runs, the third has 3 copies and the device cannot segment. The first call accepts 2 runs. The
//! second call returns EIO, so the runs are split into single copies from the third on. The next
//! call sends the rest. Each error leads to one of these reactions: resolve the route again and
//! truncate, split runs, retry once, trip the circuit breaker, or drop the run with a cause.

use std::io;

use libc::c_int;

use super::header::{MAX_HEADER_LEN, Payload};
use super::outgoing::OutgoingCopies;
use super::path::{Path, SendTransport};
use super::route::cause_of;
use super::runs::{QueuedCopy, Runs, to_index};
use super::sink::UdpSink;
use super::sockets::SocketKey;
use crate::dataplane::{DropCause, Drops, sum_of_pieces, sum_of_words};
use crate::io::sys::sendmmsg::{MessageBatch, SendResult};

/// The longest GENEVE and VXLAN headers before an inner frame, in bytes.
const MAX_ENCAPSULATION_LEN: usize = 96;

/// The progress of sending.
#[derive(Debug, Default)]
struct Progress {
    /// The next run.
    run: usize,
    /// The first copy of that run.
    copy: usize,
    /// Whether the run was refused once for a reason that may not be its own: an error of an
    /// earlier datagram, or a changed route.
    is_retry: bool,
}

impl UdpSink {
    /// Sends all runs and adds the lost copies to `drops`.
    ///
    /// The loop ends because each iteration sends, drops, truncates or splits a run, or retries it
    /// once.
    pub(super) fn deliver(&mut self, copies: &impl OutgoingCopies, drops: &mut Drops) {
        let mut progress = Progress::default();
        while progress.run < self.runs.counts().len() {
            let sent = self.send_some(copies, &progress);
            for _ in 0..sent.count {
                let run = progress.next(&self.runs);
                self.count(&run);
            }
            if let Some(errno) = sent.error {
                self.handle_refusal(errno, &mut progress, drops);
            }
        }
    }

    /// Sends as many runs as fit into one call: those that use the same socket.
    fn send_some(&mut self, copies: &impl OutgoingCopies, progress: &Progress) -> SendResult {
        let Self { paths, runs, sockets, batch, warnings, egress, now_ns, may_wait, .. } = self;
        let mut batch = batch.begin();
        let mut key = None;
        let mut first = progress.copy;
        for count in runs.counts().iter().skip(progress.run) {
            let run = runs.queued().get(first..first + count).unwrap_or_default();
            let path = run.first().and_then(|copy| paths.get(to_index(copy.path)));
            let (Some(path), Some(copy)) = (path, run.first()) else { break };
            let transport = path.transport(copy.flow_hash, *now_ns);
            let is_same = *key.get_or_insert(transport.key) == transport.key;
            if !is_same || !batch.begin_message(run.len(), MAX_HEADER_LEN + MAX_ENCAPSULATION_LEN) {
                break;
            }
            write_run(&mut batch, &transport, run, path, copies);
            first += count;
            if path.verifies() {
                // One packet is enough for the kernel to verify the next hop.
                break;
            }
        }
        let Some(key) = key else { return SendResult { count: 0, error: Some(libc::EBADF) } };
        match sockets.get(key, egress.options(), *now_ns, warnings) {
            Ok(socket) => batch.send(socket, *may_wait),
            Err(errno) => SendResult { count: 0, error: Some(errno) },
        }
    }

    /// Counts a run that the kernel accepted.
    fn count(&mut self, run: &std::ops::Range<usize>) {
        let copies = self.runs.queued().get(run.clone()).unwrap_or_default();
        let Some(first) = copies.first() else { return };
        let Some(path) = self.paths.get_mut(to_index(first.path)) else { return };
        let bytes: usize = copies.iter().map(|copy| to_index(copy.len)).sum();
        path.count(copies.len(), bytes - copies.len() * path.encapsulation_len());
    }

    /// Handles the run that the kernel refused.
    fn handle_refusal(&mut self, errno: c_int, progress: &mut Progress, drops: &mut Drops) {
        let count = self.runs.counts().get(progress.run).copied().unwrap_or(1);
        let Some(first) = self.runs.queued().get(progress.copy).copied() else { return };
        let Some(path) = self.paths.get_mut(to_index(first.path)) else { return };
        let error = io::Error::from_raw_os_error(errno);
        let may_be_mtu = matches!(errno, libc::EMSGSIZE | libc::EINVAL);
        if may_be_mtu && path.resolve_again(self.now_ns, &mut self.warnings) {
            let (can_cut, has_frames) =
                (!path.path_key.is_in_geneve, path.sends_frames(self.now_ns));
            if !has_frames {
                self.runs.split_from(progress.run);
            }
            // GENEVE contains its payload length in several places and cannot be truncated here.
            if can_cut {
                return self.truncate(first.path, progress.copy, drops);
            }
        }
        let Some(path) = self.paths.get_mut(to_index(first.path)) else { return };
        if count > 1 && is_segmentation_error(errno) {
            path.stop_segmentation(&error, &mut self.warnings);
            return self.runs.split_from(progress.run);
        }
        if !progress.is_retry && path.is_retryable(errno, self.now_ns) {
            progress.is_retry = true;
            if matches!(errno, libc::ENETDOWN | libc::ENXIO | libc::ENODEV) {
                path.stop_sending_frames();
                self.runs.split_from(progress.run);
            }
            return;
        }
        let cause = cause_of(errno);
        if cause == DropCause::NoBuffers {
            return self.handle_full_queue(errno, progress, drops);
        }
        let run = progress.next(&self.runs);
        if cause == DropCause::TargetUnreachable {
            path.no_route += u64::try_from(run.len()).unwrap_or_default();
        } else {
            path.report(&error, &mut self.warnings);
        }
        self.drop_copies(run, cause, drops);
    }

    /// Handles a full egress queue or socket. A live mirror drops the rest of the path. Otherwise,
    /// if a socket stayed full for its time-out, the rest of this burst is dropped.
    fn handle_full_queue(&mut self, errno: c_int, progress: &mut Progress, drops: &mut Drops) {
        let run = progress.next(&self.runs);
        let Some(first) = self.runs.queued().get(run.start).copied() else { return };
        let Some(path) = self.paths.get_mut(to_index(first.path)) else { return };
        if path.trip_breaker(self.now_ns) {
            self.drop_copies(run, DropCause::NoBuffers, drops);
            return self.drop_path(first.path, progress, drops);
        }
        path.report(&io::Error::from_raw_os_error(errno), &mut self.warnings);
        let end = if errno == libc::EAGAIN {
            self.may_wait = false;
            progress.run = self.runs.counts().len();
            self.runs.queued().len()
        } else {
            run.end
        };
        self.drop_copies(run.start..end, DropCause::NoBuffers, drops);
    }

    /// Drops the rest of a path as congestion.
    fn drop_path(&mut self, path: u32, progress: &Progress, drops: &mut Drops) {
        let left = self.runs.queued().get(progress.copy..).unwrap_or_default();
        for copy in left.iter().filter(|copy| copy.path == path) {
            drops.push(to_index(copy.index), DropCause::Congestion);
        }
        self.runs.remove_path(path, (progress.run, progress.copy));
    }

    fn drop_copies(&mut self, copies: std::ops::Range<usize>, cause: DropCause, drops: &mut Drops) {
        for copy in self.runs.queued().get(copies).unwrap_or_default() {
            drops.push(to_index(copy.index), cause);
        }
    }

    /// Truncates the rest of a path to what its route carries now. Runs of one length keep one
    /// length.
    fn truncate(&mut self, path: u32, from: usize, drops: &mut Drops) {
        let Some(route) = self.paths.get(to_index(path)) else { return };
        let (encapsulation_len, max_inner_len) = (route.encapsulation_len(), route.max_inner_len);
        let max_len =
            u32::try_from(encapsulation_len.saturating_add(max_inner_len)).unwrap_or(u32::MAX);
        let left = self.runs.queued_mut().iter_mut().skip(from);
        for copy in left.filter(|copy| copy.path == path && copy.len > max_len) {
            copy.len = max_len;
            drops.cut(to_index(copy.index), max_inner_len);
        }
    }
}

impl Progress {
    /// Moves to the next run; returns the range of copies of the previous one.
    fn next(&mut self, runs: &Runs) -> std::ops::Range<usize> {
        let count = runs.counts().get(self.run).copied().unwrap_or_default();
        let start = self.copy;
        self.run += 1;
        self.copy += count;
        self.is_retry = false;
        start..self.copy
    }
}

impl Path {
    /// Whether a second try may succeed: the error may be about an earlier datagram of a UDP
    /// socket, or about a device that is no longer on the route.
    fn is_retryable(&self, errno: c_int, now_ns: u64) -> bool {
        let is_udp = matches!(self.transport(0, now_ns).key, SocketKey::Udp { .. });
        let is_full = matches!(errno, libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM);
        let is_gone = matches!(errno, libc::ENETDOWN | libc::ENXIO | libc::ENODEV);
        is_udp && !is_full || is_gone
    }

    /// Length of the headers between UDP header and inner frame, in bytes.
    pub(super) const fn encapsulation_len(&self) -> usize {
        self.path_key.geneve_len() + 8
    }
}

/// Writes the message of a run.
fn write_run<'d>(
    batch: &mut MessageBatch<'_, 'd>,
    transport: &SendTransport<'d>,
    run: &[QueuedCopy],
    path: &Path,
    copies: &'d impl OutgoingCopies,
) {
    if let (Some(header), Some(first)) = (transport.header, run.first()) {
        let len = run.iter().map(|copy| to_index(copy.len)).sum();
        let segment_len = u16::try_from(first.len).ok().filter(|_| run.len() > 1);
        let sum = if header.needs_payload_sum() { payload_sum(first, path, copies) } else { 0 };
        let payload = Payload { flow_hash: first.flow_hash, len, segment_len, sum };
        let mut room = [0; MAX_HEADER_LEN];
        batch.append_copied(header.write(&payload, &mut room));
    }
    for copy in run {
        let index = to_index(copy.index);
        let Some(outgoing) = copies.get(index) else { continue };
        let inner = outgoing.inner.cut(to_index(copy.len) - path.encapsulation_len());
        if path.path_key.is_in_geneve {
            batch.append_copied(&copies.geneve_header(index, inner));
        }
        batch.append_copied(&copies.vxlan_header(index));
        batch.append_borrowed(inner.head);
        if !inner.tail.is_empty() {
            batch.append_borrowed(inner.tail);
        }
    }
    batch.end_message(transport.address);
}

/// The checksum sum of the payload of a single datagram. All pieces but the last have even lengths.
#[cold]
fn payload_sum(copy: &QueuedCopy, path: &Path, copies: &impl OutgoingCopies) -> u64 {
    let index = to_index(copy.index);
    let Some(outgoing) = copies.get(index) else { return 0 };
    let inner = outgoing.inner.cut(to_index(copy.len) - path.encapsulation_len());
    let front =
        if path.path_key.is_in_geneve { copies.geneve_header(index, inner) } else { Vec::new() };
    sum_of_words(&front) + sum_of_words(&copies.vxlan_header(index)) + sum_of_pieces(inner)
}

/// Whether the error means that the kernel cannot cut a message for this device.
const fn is_segmentation_error(errno: c_int) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
}
