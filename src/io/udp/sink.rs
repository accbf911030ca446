//! The UDP sink: decides which copies of a burst are sent and by which path, and sends them in
//! order.
//!
//! Each copy is first admitted or dropped with a cause. The admitted copies are arranged in runs
//! (`runs`) and sent (`delivery`). Example: a burst has copies 0, 1 and 2. Session A's target has
//! no route, so copy 0 is dropped as `TargetUnreachable`. Copies 1 and 2 of session B are longer
//! than the route's MTU allows, so they are truncated; they form one run and leave in one system
//! call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::egress::Egress;
use super::health::TargetHealth;
use super::options::UdpOptions;
use super::outgoing::{OutgoingCopies, OutgoingCopy, PathKey, SessionEgress};
use super::path::Path;
use super::rate_limiter::RateLimiter;
use super::report::TargetReport;
use super::runs::{QueuedCopy, Runs};
use super::sockets::Sockets;
use super::warnings::Warnings;
use crate::dataplane::{Copies, DropCause, Drops, SessionIndex, Sink};
use crate::io::sys::sendmmsg::SendBatch;

/// How often the sink resolves routes and reads errors, in ns, if no other thread does.
const REFRESH_NS: u64 = 1_000_000_000;

/// The same interval while a next hop is being resolved.
const EARLY_REFRESH_NS: u64 = 20_000_000;

/// Sends copies to their targets over UDP.
///
/// The copies of a burst leave in the order of arrival, through at most three sockets for any
/// number of targets: complete frames through a packet socket if the next hop is known, otherwise
/// IP packets through a raw socket. Without CAP_NET_RAW there is a UDP socket for each source port
/// in use. Consecutive copies of one flow and length may leave as one message. A copy that is
/// longer than the route's MTU allows is truncated. A copy that cannot be sent is dropped and
/// counted; it does not stop the sink.
pub struct UdpSink {
    pub(super) paths: Vec<Path>,
    pub(super) egress: Arc<Egress>,
    /// The state of the targets; `None` if the sink shares [`Egress`] with others, which then track
    /// it.
    health: Option<TargetHealth>,
    /// The generation of routes that the paths use.
    generation: u64,
    /// The number of the mirror table to which `sessions` belongs.
    table: u64,
    /// The path of each session; `None` for a session without a target.
    sessions: Vec<Option<SessionPath>>,
    /// Indices of the paths to the other addresses of load balancers.
    additional_paths: Vec<usize>,
    pub(super) runs: Runs,
    rate_limiter: RateLimiter,
    pub(super) sockets: Sockets,
    /// The index of the device that the sockets are bound to.
    bound_index: Option<u32>,
    pub(super) batch: SendBatch,
    pub(super) warnings: Warnings,
    /// The time of this burst in nanoseconds.
    pub(super) now_ns: u64,
    /// The time of the next refresh in nanoseconds.
    refresh_ns: u64,
    /// Whether the sink waits for a full socket: once per burst, and never if copies are shed.
    pub(super) may_wait: bool,
}

/// The path of a session's copies.
#[derive(Debug, Clone, Copy)]
struct SessionPath {
    /// Index of the path, or of the path to the first of several addresses.
    path: usize,
    /// Start of the paths to the other addresses in `additional_paths`.
    first_additional: usize,
    /// The input of the rate limiter, if there are limits.
    session_egress: Option<SessionEgress>,
}

impl Default for UdpSink {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpSink {
    /// A sink that opens no socket yet and waits while a socket is full.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(UdpOptions::default())
    }

    /// A sink that opens no socket yet and shares no routes with other sinks.
    #[must_use]
    pub fn with_options(options: UdpOptions) -> Self {
        let health = Some(TargetHealth::default());
        Self { health, ..Self::with_egress(Arc::new(Egress::new(options))) }
    }

    /// A sink that opens no socket yet and shares routes with others. Its reports contain no ICMP
    /// errors: see [`Egress::add_errors`].
    #[must_use]
    pub fn with_egress(egress: Arc<Egress>) -> Self {
        Self {
            paths: Vec::new(),
            health: None,
            generation: 0,
            table: 0,
            sessions: Vec::new(),
            additional_paths: Vec::new(),
            runs: Runs::new(),
            rate_limiter: RateLimiter::default(),
            sockets: Sockets::default(),
            bound_index: None,
            batch: SendBatch::new(),
            warnings: Warnings::default(),
            now_ns: 0,
            refresh_ns: 0,
            may_wait: !egress.options().sheds_load,
            egress,
        }
    }

    /// Returns the warnings since the last call, for example that the outer source address is not
    /// an address of this host. Each warning is returned once.
    #[must_use]
    pub fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.take()
    }

    /// The counters of the datagrams, in the order in which the targets were first used. A target
    /// has a report for each source address of its sessions and each device that copies left
    /// through.
    #[must_use]
    pub fn target_reports(&self) -> Vec<TargetReport> {
        let mut reports: Vec<TargetReport> = self.paths.iter().flat_map(Path::reports).collect();
        if self.health.is_some() {
            self.egress.add_errors(reports.iter_mut());
        }
        reports
    }

    /// Whether any copies leave through a tunnel.
    #[must_use]
    pub fn is_tunnelled(&self) -> bool {
        self.paths.iter().any(|path| path.sent.has_sent() && path.is_tunnelled())
    }

    /// Suspends sending because copies come back: the paths through a tunnel, or all paths if none
    /// is a tunnel. Returns the suspended destinations.
    pub fn suspend(&mut self, length: Duration) -> Vec<String> {
        let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = self.egress.now_ns().saturating_add(length_ns);
        let is_tunnelled = self.is_tunnelled();
        let paths = self.paths.iter_mut();
        let used =
            paths.filter(|path| path.sent.has_sent() && (path.is_tunnelled() || !is_tunnelled));
        used.map(|path| path.suspend(until_ns)).collect()
    }

    #[cfg(test)]
    pub(super) fn sockets_len(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn send_all(&mut self, copies: &impl OutgoingCopies, drops: &mut Drops) {
        self.now_ns = self.egress.now_ns();
        self.may_wait = !self.egress.options().sheds_load;
        self.refresh();
        self.update_paths(copies);
        self.runs.clear();
        for index in 0..copies.len() {
            match self.admit(index, copies.get(index), drops) {
                Ok(queued) => self.runs.push(queued),
                Err(cause) => drops.push(index, cause),
            }
        }
        let Self { paths, runs, egress, now_ns, .. } = self;
        runs.arrange(egress.options().order, |path, len| {
            let path = usize::try_from(path).ok().and_then(|path| paths.get_mut(path));
            path.is_some_and(|path| path.sends_runs(len, *now_ns))
        });
        self.deliver(copies, drops);
    }

    /// Returns the path of a copy and its length, or the reason why it is dropped.
    #[inline]
    fn admit(
        &mut self,
        index: usize,
        outgoing: Option<OutgoingCopy<'_>>,
        drops: &mut Drops,
    ) -> Result<QueuedCopy, DropCause> {
        let outgoing = outgoing.ok_or(DropCause::SendFailed)?;
        let session = self.sessions.get(outgoing.session.get()).copied().flatten();
        let session = session.ok_or(DropCause::SendFailed)?;
        let path_index = match outgoing.destination {
            0 => session.path,
            destination => self.additional_path(session, destination)?,
        };
        let path = self.paths.get_mut(path_index).ok_or(DropCause::SendFailed)?;
        let max_inner_len = path.max_inner_len;
        let len = path.encapsulation_len() + outgoing.inner.len().min(max_inner_len);
        if let Some(cause) = path.drop_cause(self.now_ns) {
            return Err(cause);
        }
        if session
            .session_egress
            .is_some_and(|session_egress| !self.is_within_limits(session_egress, &outgoing))
        {
            return Err(DropCause::Congestion);
        }
        if outgoing.inner.len() > max_inner_len {
            drops.cut(index, max_inner_len);
        }
        Ok(QueuedCopy {
            index: to_u32(index),
            path: to_u32(path_index),
            len: to_u32(len),
            flow_tag: outgoing.flow_tag,
            flow_hash: outgoing.flow_hash & 0x7f,
        })
    }

    /// Index of the path to one of the other addresses of a load balancer.
    #[inline(never)]
    fn additional_path(
        &self,
        session: SessionPath,
        destination: usize,
    ) -> Result<usize, DropCause> {
        let index = (session.first_additional + destination).checked_sub(1);
        index
            .and_then(|index| self.additional_paths.get(index))
            .copied()
            .ok_or(DropCause::SendFailed)
    }

    #[cold]
    fn is_within_limits(
        &mut self,
        session_egress: SessionEgress,
        outgoing: &OutgoingCopy<'_>,
    ) -> bool {
        self.rate_limiter.admit(&session_egress, outgoing, self.now_ns)
    }

    /// Updates the paths to the newest routes and to the table of the burst.
    fn update_paths(&mut self, copies: &impl OutgoingCopies) {
        let table = copies.table_number();
        if std::mem::replace(&mut self.table, table) != table {
            self.additional_paths.clear();
            let sessions = SessionIndex::enumerate(0..copies.sessions());
            self.sessions =
                sessions.map(|(session, _)| self.path_of_session(session, copies)).collect();
        }
        let generation = self.egress.generation();
        if std::mem::replace(&mut self.generation, generation) != generation {
            for path in &mut self.paths {
                path.follow_route(self.now_ns, &mut self.warnings);
            }
        }
        if self.egress.options().device.is_some() {
            self.follow_bound_device();
        }
    }

    /// Opens the sockets again if the device that they are bound to was removed and created again.
    fn follow_bound_device(&mut self) {
        let index = self.paths.iter().find_map(Path::bound_index);
        if index.is_some() && self.bound_index != index {
            self.bound_index = index;
            self.sockets.close_bound();
        }
    }

    fn path_of_session(
        &mut self,
        session: SessionIndex,
        copies: &impl OutgoingCopies,
    ) -> Option<SessionPath> {
        let session_egress = copies.session_egress(session)?;
        let path = self.path_of(session_egress.path_key);
        let first_additional = self.additional_paths.len();
        for path_key in copies.additional_keys(session) {
            let path = self.path_of(path_key);
            self.additional_paths.push(path);
        }
        let is_limited = session_egress.limits != [None, None];
        Some(SessionPath {
            path,
            first_additional,
            session_egress: is_limited.then_some(session_egress),
        })
    }

    fn path_of(&mut self, path_key: PathKey) -> usize {
        let (now_ns, warnings) = (self.now_ns, &mut self.warnings);
        let mut known = self.paths.iter_mut().enumerate();
        if let Some((index, path)) = known.find(|(_, path)| path.path_key == path_key) {
            path.renew_route(now_ns, warnings);
            return index;
        }
        if let Some(error) = self.egress.take_icmp_error() {
            warnings.no_icmp(&error);
        }
        self.paths.push(Path::new(path_key, Arc::clone(&self.egress), now_ns, warnings));
        self.paths.len() - 1
    }

    /// Resolves routes and reads errors at intervals, unless another thread does.
    fn refresh(&mut self) {
        if self.now_ns < self.refresh_ns || self.egress.is_externally_refreshed() {
            return;
        }
        if self.refresh_ns > 0 {
            self.read_errors();
            self.egress.refresh();
        }
        let is_early = self.paths.iter().any(Path::awaits_next_hop);
        self.refresh_ns = self.now_ns + if is_early { EARLY_REFRESH_NS } else { REFRESH_NS };
    }

    fn read_errors(&mut self) {
        let egress = &self.egress;
        self.sockets.read_errors(|error| egress.add_error(error));
        egress.read_errors();
        let reports = self.target_reports();
        let Some(health) = &mut self.health else { return };
        for change in health.observe(&reports, self.now_ns, |_| true) {
            self.warnings.add(change.sentence);
        }
    }
}

impl Sink for UdpSink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        self.send_all(copies, drops);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.read_errors();
        Ok(())
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
