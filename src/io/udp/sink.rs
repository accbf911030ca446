//! The sink: bins a burst by socket and sends each bin with as few system calls as there can be.

use std::io;
use std::net::SocketAddr;

use arrayvec::ArrayVec;

use super::delivery::Delivery;
use super::outbox::{Outbox, Outgoing, Way};
use super::path::{Path, SOURCE_PORTS};
use super::warnings::Warnings;
use crate::dataplane::{Copies, DropCause, Drops, Sink};
use crate::io::sys::resource;
use crate::io::sys::sendmmsg::{Datagram, SEND_LEN, SendBatch};

/// What became of the datagrams to one target from one source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetReport {
    /// Index of the target in the mirror table.
    pub target: u32,
    /// The target's address.
    pub destination: SocketAddr,
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// The length of the inner frames in them, cut as the sessions say, without encapsulation.
    pub sent_bytes: u64,
    /// How many ICMP port unreachable came back: nobody listens there. Hosts answer so only now
    /// and then, so this is at most the number of datagrams that were refused.
    pub refused: u64,
    /// How many other ICMP errors came back.
    pub unreachable: u64,
}

/// Sends copies to their targets over UDP.
///
/// A target has a connected socket for each UDP source port, opened when it is first needed. The
/// copies of a burst are binned by socket: within a flow their order is kept, among flows it may
/// change. What a target refuses is dropped and counted and ends nothing.
pub struct UdpSink {
    paths: Vec<Path>,
    /// Index in `paths` by session; what stands there is checked before it is believed.
    by_session: Vec<usize>,
    /// Bin in the high half, index in the burst in the low half.
    order: Vec<u64>,
    batch: SendBatch,
    warnings: Warnings,
    bursts: u64,
    /// Whether a full socket is waited for: once a burst.
    may_wait: bool,
}

impl Default for UdpSink {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpSink {
    /// A sink without a socket.
    #[must_use]
    pub fn new() -> Self {
        Self {
            paths: Vec::new(),
            by_session: Vec::new(),
            order: Vec::new(),
            batch: SendBatch::new(),
            warnings: Warnings::default(),
            bursts: 0,
            may_wait: true,
        }
    }

    /// What the user should hear and has not been given yet, such as that the outer source
    /// address is none of this host's. Each thing is said once.
    #[must_use]
    pub fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.take()
    }

    /// What became of the datagrams, in the order in which the targets were first sent to. A
    /// target that sessions of several source addresses send to has a report for each.
    #[must_use]
    pub fn target_reports(&self) -> Vec<TargetReport> {
        let report = |path: &Path| TargetReport {
            target: path.way.target,
            destination: path.way.destination,
            sent: path.sent,
            sent_bytes: path.sent_bytes,
            refused: path.refused,
            unreachable: path.unreachable,
        };
        self.paths.iter().map(report).collect()
    }

    #[cfg(test)]
    pub(super) fn first_socket(&self, flow_hash: u8) -> Option<&socket2::Socket> {
        self.paths.first()?.socket(flow_hash)
    }

    pub(super) fn send_all(&mut self, outbox: &impl Outbox, drops: &mut Drops) {
        self.bursts += 1;
        self.may_wait = true;
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for index in 0..outbox.len() {
            match outbox.get(index) {
                Some(outgoing) => order.push(self.bin_of(&outgoing) << 32 | low_half(index)),
                None => drops.push(index, DropCause::SendFailed),
            }
        }
        // The index breaks ties, so the order within a bin is that of the burst.
        order.sort_unstable();
        for bin in order.chunk_by(|a, b| a >> 32 == b >> 32) {
            bin.chunks(SEND_LEN).for_each(|part| self.send_part(part, outbox, drops));
        }
        self.order = order;
    }

    fn bin_of(&mut self, outgoing: &Outgoing<'_>) -> u64 {
        let path = self.path_of(outgoing.session, outgoing.way);
        low_half(path * SOURCE_PORTS + usize::from(outgoing.flow_hash & 0x7f))
    }

    fn path_of(&mut self, session: u32, way: Way) -> usize {
        let session = usize::try_from(session).unwrap_or(usize::MAX);
        match self.by_session.get(session) {
            Some(known) if self.paths.get(*known).is_some_and(|path| path.way == way) => *known,
            _ => self.find_path(session, way),
        }
    }

    #[cold]
    fn find_path(&mut self, session: usize, way: Way) -> usize {
        let known = self.paths.iter().position(|path| path.way == way);
        let index = known.unwrap_or_else(|| self.add_path(way));
        if self.by_session.len() <= session {
            self.by_session.resize(session.saturating_add(1), usize::MAX);
        }
        if let Some(place) = self.by_session.get_mut(session) {
            *place = index;
        }
        index
    }

    fn add_path(&mut self, way: Way) -> usize {
        if self.paths.is_empty() {
            // Where the limit stays low, opening a socket says so.
            let _ = resource::raise_open_files();
        }
        self.paths.push(Path::new(way, &mut self.warnings));
        self.paths.len() - 1
    }

    fn send_part(&mut self, part: &[u64], outbox: &impl Outbox, drops: &mut Drops) {
        let Some((path, flow_hash)) = part.first().map(|key| socket_of(*key)) else { return };
        let Some(path) = self.paths.get_mut(path) else { return };
        let indices = part.iter().map(|key| index_of(*key));
        if let Err(cause) = path.open(flow_hash, self.bursts, &mut self.warnings) {
            return indices.for_each(|index| drops.push(index, cause));
        }
        let datagrams: ArrayVec<Datagram<'_>, SEND_LEN> = indices
            .filter_map(|index| outbox.get(index))
            .map(|Outgoing { vxlan, inner, .. }| Datagram { vxlan, inner })
            .collect();
        let delivery = Delivery {
            path,
            flow_hash,
            batch: &mut self.batch,
            warnings: &mut self.warnings,
            may_wait: &mut self.may_wait,
        };
        delivery.run(&datagrams, |position, cause| {
            if let Some(key) = part.get(position) {
                drops.push(index_of(*key), cause);
            }
        });
    }
}

impl Sink for UdpSink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        self.send_all(copies, drops);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.paths.iter_mut().for_each(Path::hear_all);
        Ok(())
    }
}

fn low_half(number: usize) -> u64 {
    u64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The index in the burst that a key of `order` names.
fn index_of(key: u64) -> usize {
    usize::try_from(key & u64::from(u32::MAX)).unwrap_or(usize::MAX)
}

/// The path and the hash that a key of `order` names.
fn socket_of(key: u64) -> (usize, u8) {
    let bin = usize::try_from(key >> 32).unwrap_or(usize::MAX);
    (bin / SOURCE_PORTS, u8::try_from(bin % SOURCE_PORTS).unwrap_or(0))
}
