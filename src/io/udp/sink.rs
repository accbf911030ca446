//! The sink: bins a burst by socket and sends each bin with as few system calls as there can be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::delivery::{Delivery, Told};
use super::limits::Limits;
use super::options::UdpOptions;
use super::outbox::{Outbox, Outgoing, Outlet, Way};
use super::path::{Path, SOURCE_PORTS};
use super::runs::{Runs, Waiting};
use super::warnings::Warnings;
use crate::dataplane::{Copies, DropCause, Drops, MAX_BURST_LEN, Sink};
use crate::io::pace::{Clock, MonotonicClock};
use crate::io::sys::resource;
use crate::io::sys::sendmmsg::{Datagram, SendBatch};

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
    /// The index of the device that they leave by, where it was asked for and is known.
    pub device_index: Option<u32>,
}

/// Length of the header in front of each inner frame.
const VXLAN_LEN: usize = 8;

/// Sends copies to their targets over UDP.
///
/// A target has a connected socket for each UDP source port, opened when it is first needed. The
/// copies of a burst are binned by socket, and runs of one length leave as one message: within a
/// flow their order is kept, among flows it may change. A copy that is longer than the route
/// carries is cut to it. What a target refuses is dropped and counted and ends nothing.
pub struct UdpSink {
    paths: Vec<Path>,
    options: Arc<UdpOptions>,
    /// The number of the mirror table that the doors are of.
    table: u64,
    /// By session; none for one that leads nowhere.
    doors: Vec<Option<Door>>,
    /// The paths to the other addresses of load balancers.
    further: Vec<usize>,
    /// Bin in the high half, index in the burst in the low half.
    order: Vec<u64>,
    waiting: Vec<Waiting>,
    runs: Runs,
    limits: Limits,
    batch: SendBatch,
    warnings: Warnings,
    clock: MonotonicClock,
    /// The time of this burst.
    now_ns: u64,
    /// Whether a full socket is waited for: once a burst, and never where copies are shed.
    may_wait: bool,
}

/// Where the copies of a session leave.
#[derive(Debug, Clone, Copy)]
struct Door {
    /// Index of the path, or of that to the first of several addresses.
    path: usize,
    /// Where in `further` the paths to the others begin.
    further: usize,
    /// What is needed to weigh copies, where there are limits.
    outlet: Option<Outlet>,
    /// Whether copies are shed there for the time of this burst.
    is_shut: bool,
}

impl Default for UdpSink {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpSink {
    /// A sink without a socket, which waits with what finds no room.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(UdpOptions::default())
    }

    /// A sink without a socket.
    #[must_use]
    pub fn with_options(options: UdpOptions) -> Self {
        Self {
            paths: Vec::new(),
            table: 0,
            doors: Vec::new(),
            further: Vec::new(),
            order: Vec::new(),
            waiting: Vec::new(),
            runs: Runs::new(),
            limits: Limits::default(),
            batch: SendBatch::new(),
            warnings: Warnings::default(),
            clock: MonotonicClock::start(),
            now_ns: 0,
            may_wait: !options.sheds,
            options: Arc::new(options),
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
            device_index: path.device_index,
        };
        self.paths.iter().map(report).collect()
    }

    #[cfg(test)]
    pub(super) fn first_socket(&self, flow_hash: u8) -> Option<&socket2::Socket> {
        self.paths.first()?.socket(flow_hash)
    }

    pub(super) fn send_all(&mut self, outbox: &impl Outbox, drops: &mut Drops) {
        self.now_ns = self.clock.now_ns();
        self.may_wait = !self.options.sheds;
        self.look_at_doors(outbox);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for index in 0..outbox.len() {
            match self.bin_of(outbox.get(index)) {
                Ok(bin) => order.push(bin << 32 | low_half(index)),
                Err(cause) => drops.push(index, cause),
            }
        }
        // The index breaks ties, so the order within a bin is that of the burst.
        order.sort_unstable();
        for bin in order.chunk_by(|a, b| a >> 32 == b >> 32) {
            bin.chunks(MAX_BURST_LEN).for_each(|part| self.send_bin(part, outbox, drops));
        }
        self.order = order;
    }

    /// The socket that a copy leaves by, if it may leave.
    #[inline]
    fn bin_of(&mut self, outgoing: Option<Outgoing<'_>>) -> Result<u64, DropCause> {
        let outgoing = outgoing.ok_or(DropCause::SendFailed)?;
        let session = place(outgoing.session);
        let door = self.doors.get(session).copied().flatten().ok_or(DropCause::SendFailed)?;
        let is_shut = door.is_shut && outgoing.destination == 0;
        if is_shut || door.outlet.is_some_and(|outlet| !self.admit(outlet, &outgoing)) {
            return Err(DropCause::Congestion);
        }
        let path = match outgoing.destination {
            0 => door.path,
            behind => self.path_among(door, behind)?,
        };
        Ok(low_half(path * SOURCE_PORTS + usize::from(outgoing.flow_hash & 0x7f)))
    }

    /// The path to one of the other addresses of a load balancer.
    #[inline(never)]
    fn path_among(&self, door: Door, destination: usize) -> Result<usize, DropCause> {
        let path = self.further.get(door.further + destination - 1).copied();
        let path = path.ok_or(DropCause::SendFailed)?;
        let is_shut = self.paths.get(path).is_some_and(|path| path.sheds(self.now_ns));
        if is_shut { Err(DropCause::Congestion) } else { Ok(path) }
    }

    #[cold]
    fn admit(&mut self, outlet: Outlet, outgoing: &Outgoing<'_>) -> bool {
        self.limits.admit(&outlet, outgoing, self.now_ns)
    }

    /// Looks which of the doors are open now; all are new where the table is.
    fn look_at_doors(&mut self, outbox: &impl Outbox) {
        let table = outbox.table_number();
        if std::mem::replace(&mut self.table, table) != table {
            self.further.clear();
            let sessions = 0..outbox.sessions();
            self.doors = sessions.map(|session| self.door(session, outbox)).collect();
        }
        for door in self.doors.iter_mut().flatten() {
            let path = self.paths.get(door.path);
            door.is_shut = path.is_some_and(|path| path.sheds(self.now_ns));
        }
    }

    fn door(&mut self, session: usize, outbox: &impl Outbox) -> Option<Door> {
        let outlet = outbox.outlet(session)?;
        let path = self.path_of(outlet.way);
        let further = self.further.len();
        for way in outbox.further(session) {
            let path = self.path_of(way);
            self.further.push(path);
        }
        let is_limited = outlet.limits != [None, None];
        Some(Door { path, further, outlet: is_limited.then_some(outlet), is_shut: false })
    }

    fn path_of(&mut self, way: Way) -> usize {
        let known = self.paths.iter().position(|path| path.way == way);
        known.unwrap_or_else(|| self.add_path(way))
    }

    fn add_path(&mut self, way: Way) -> usize {
        if self.paths.is_empty() {
            // Where the limit stays low, opening a socket says so.
            let _ = resource::raise_open_files();
        }
        self.paths.push(Path::new(way, Arc::clone(&self.options), &mut self.warnings));
        self.paths.len() - 1
    }

    fn send_bin(&mut self, bin: &[u64], outbox: &impl Outbox, drops: &mut Drops) {
        let Some((path, flow_hash)) = bin.first().map(|key| socket_of(*key)) else { return };
        let Some(path) = self.paths.get_mut(path) else { return };
        if let Err(cause) = path.open(flow_hash, self.now_ns, &mut self.warnings) {
            return bin.iter().for_each(|key| drops.push(index_of(*key), cause));
        }
        self.waiting.clear();
        self.waiting.extend(bin.iter().filter_map(|key| waiting(*key, path, outbox)));
        if path.segments {
            self.runs.gather(&self.waiting);
        } else {
            self.runs.keep_apart(&self.waiting);
        }
        let order = self.runs.indices();
        let fronts = fronts(order, path, outbox);
        let mut fronts = fronts.iter();
        let mut datagrams = ArrayVec::<Datagram<'_>, MAX_BURST_LEN>::new();
        for index in order {
            let Some(Outgoing { inner, .. }) = outbox.get(place(*index)) else { continue };
            let vxlan = outbox.vxlan(place(*index));
            let front = fronts.next().map_or(&[][..], |front| front);
            if inner.len() > path.most_inner_len {
                drops.cut(place(*index), path.most_inner_len);
            }
            datagrams.push(Datagram { front, vxlan, inner: inner.cut(path.most_inner_len) });
        }
        let delivery = Delivery {
            path,
            flow_hash,
            batch: &mut self.batch,
            warnings: &mut self.warnings,
            may_wait: &mut self.may_wait,
            now_ns: self.now_ns,
        };
        delivery.run(&mut datagrams, self.runs.counts(), &mut Fates { order, drops });
    }
}

/// Tells what becomes of datagrams by their index in the burst.
struct Fates<'f> {
    order: &'f [u32],
    drops: &'f mut Drops,
}

impl Told for Fates<'_> {
    fn lose(&mut self, position: usize, cause: DropCause) {
        if let Some(index) = self.order.get(position) {
            self.drops.push(place(*index), cause);
        }
    }

    fn cut(&mut self, position: usize, inner_len: usize) {
        if let Some(index) = self.order.get(position) {
            self.drops.cut(place(*index), inner_len);
        }
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

/// What GENEVE puts in front of each of these; nothing where they are not in GENEVE.
fn fronts(order: &[u32], path: &Path, outbox: &impl Outbox) -> Vec<Vec<u8>> {
    if !path.way.is_in_geneve {
        return Vec::new();
    }
    let copies = order.iter().filter_map(|index| Some((*index, outbox.get(place(*index))?.inner)));
    copies
        .map(|(index, inner)| outbox.front(place(index), inner.cut(path.most_inner_len)))
        .collect()
}

/// What gathering needs to know of the copy that a key of `order` names.
fn waiting(key: u64, path: &Path, outbox: &impl Outbox) -> Option<Waiting> {
    let outgoing = outbox.get(index_of(key))?;
    let headers_len = path.way.front_len() + VXLAN_LEN;
    let len = outgoing.inner.len().min(path.most_inner_len) + headers_len;
    Some(Waiting {
        index: u32::try_from(index_of(key)).ok()?,
        len: u32::try_from(len).ok()?,
        flow_tag: outgoing.flow_tag,
    })
}

fn place(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
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
