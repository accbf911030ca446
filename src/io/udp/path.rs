//! The path from one source address to one address of a target: route, headers, counters and
//! failure state.
//!
//! A path has headers for complete frames and for IP packets. Frames cost less, but they need the
//! Ethernet address of the next hop. Until the kernel has resolved it, or while the kernel should
//! verify it, copies leave as IP packets. Example: the first burst leaves as IP packets and makes
//! the kernel send an ARP request. 20 ms later the route has a next hop, and after another 5 ms
//! copies leave as frames; the delay lets the packets that the kernel held back leave first.

use std::io;
use std::iter::{once, repeat};
use std::sync::Arc;

use socket2::SockAddr;

use super::circuit_breaker::CircuitBreaker;
use super::egress::{Egress, RouteId};
use super::header::WireHeader;
use super::options::EgressMode;
use super::outgoing::PathKey;
use super::report::TargetReport;
use super::route::{EgressRoute, cause_of};
use super::sent_counts::SentCounts;
use super::sockets::SocketKey;
use super::warnings::Warnings;
use crate::dataplane::DropCause;
use crate::io::sys::sendmmsg::link_address;

/// `ETH_P_IP` and `ETH_P_IPV6` of linux/if_ether.h.
const ETHERTYPE: [u16; 2] = [0x0800, 0x86dd];

/// Every device carries UDP payloads of this length in bytes: "every internet destination must be
/// able to receive a datagram of 576 octets" (RFC 791, section 3.2), less the longest headers.
const MIN_CARRIED_LEN: u32 = 508;

/// Length of the VXLAN header.
const VXLAN_LEN: usize = 8;

/// The longest IP packet in bytes; the MTU of loopback devices is larger.
const MAX_PACKET_LEN: usize = 65_535;

/// How long complete frames wait in ns after their next hop was resolved: packets that the kernel
/// held back leave first.
const FRAME_DELAY_NS: u64 = 5_000_000;

/// One path and the counters of its datagrams.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) path_key: PathKey,
    egress: Arc<Egress>,
    route: Arc<EgressRoute>,
    /// The headers of complete frames, if the next hop is known, and of IP packets.
    frame: Option<(WireHeader, SockAddr)>,
    packet: (WireHeader, SockAddr),
    destination: SockAddr,
    /// The time from which frames are sent.
    frames_from_ns: u64,
    /// The next copy leaves as an IP packet, so that the kernel verifies the next hop.
    verifies: bool,
    /// The longest inner frame that the route carries, in bytes.
    pub(super) max_inner_len: usize,
    /// The time at which the route was last resolved because the kernel refused a message.
    resolved_ns: u64,
    /// Whether a run is sent as one message.
    segments: bool,
    /// The kernel refused to cut messages; this overrides the route.
    is_segmentation_refused: bool,
    /// UDP payloads up to this length were accepted in the burst at `proven_ns`.
    proven_len: u32,
    proven_ns: u64,
    breaker: CircuitBreaker,
    /// The time until which nothing is sent because copies came back.
    suspended_until_ns: u64,
    /// Datagrams that the kernel accepted.
    pub(super) sent: SentCounts,
    /// Datagrams that were not sent because there is no route or neighbour for the address, or no
    /// carrier.
    pub(super) no_route: u64,
    is_error_reported: bool,
}

impl Path {
    pub(super) fn new(
        path_key: PathKey,
        egress: Arc<Egress>,
        now_ns: u64,
        warnings: &mut Warnings,
    ) -> Self {
        let route = egress.route(path_key.route_id());
        let mut path = Self {
            path_key,
            packet: packet_header(&path_key, &route),
            destination: path_key.destination.into(),
            resolved_ns: 0,
            segments: route.segments,
            is_segmentation_refused: false,
            route,
            egress,
            frame: None,
            frames_from_ns: 0,
            verifies: false,
            max_inner_len: usize::MAX,
            proven_len: MIN_CARRIED_LEN,
            proven_ns: 0,
            breaker: CircuitBreaker::default(),
            suspended_until_ns: 0,
            sent: SentCounts::default(),
            no_route: 0,
            is_error_reported: false,
        };
        path.apply_route(now_ns, warnings);
        path
    }

    /// Uses the newest route. A path that no session of the table uses keeps its route.
    pub(super) fn follow_route(&mut self, now_ns: u64, warnings: &mut Warnings) {
        if let Some(route) = self.egress.known_route(self.path_key.route_id()) {
            self.take_route(route, now_ns, warnings);
        }
    }

    /// Uses the newest route of a path that a session starts to use; resolves it if it is unknown.
    pub(super) fn renew_route(&mut self, now_ns: u64, warnings: &mut Warnings) {
        let route = self.egress.route(self.path_key.route_id());
        self.take_route(route, now_ns, warnings);
    }

    /// Resolves the route again because the kernel refused a message, once per burst. Returns
    /// whether it carries less than before.
    pub(super) fn resolve_again(&mut self, now_ns: u64, warnings: &mut Warnings) -> bool {
        if std::mem::replace(&mut self.resolved_ns, now_ns) == now_ns {
            return false;
        }
        let before = self.max_inner_len;
        self.route = self.egress.refresh_one(self.path_key.route_id());
        self.apply_route(now_ns, warnings);
        self.max_inner_len < before
    }

    /// The socket, headers and address of the next copy.
    pub(super) fn transport(&self, flow_hash: u8, now_ns: u64) -> SendTransport<'_> {
        if self.egress.options().egress == EgressMode::UdpSockets {
            let key = SocketKey::Udp { source: self.route.source, flow_hash };
            return SendTransport { key, header: None, address: &self.destination };
        }
        match &self.frame {
            Some((header, address)) if !self.verifies && self.sends_frames(now_ns) => {
                SendTransport { key: SocketKey::Frames, header: Some(header), address }
            }
            _ => {
                let (header, address) = &self.packet;
                let is_ipv4 = self.path_key.destination.is_ipv4();
                let key = if is_ipv4 { SocketKey::PacketsV4 } else { SocketKey::PacketsV6 };
                SendTransport { key, header: Some(header), address }
            }
        }
    }

    /// Sends no complete frames until the route changes, because the kernel refused one.
    pub(super) fn stop_sending_frames(&mut self) {
        self.frame = None;
    }

    /// Counts datagrams that the kernel accepted, and the bytes of the inner frames in them.
    pub(super) fn count(&mut self, datagrams: usize, inner_bytes: usize) {
        self.verifies = false;
        self.sent.add(datagrams, inner_bytes);
    }

    /// The cause for which copies are dropped now: the egress queue refused some a moment ago, they
    /// came back, or there is no route.
    #[inline]
    pub(super) fn drop_cause(&mut self, now_ns: u64) -> Option<DropCause> {
        if self.breaker.is_open(now_ns) {
            return Some(DropCause::Congestion);
        }
        if now_ns < self.suspended_until_ns {
            return Some(DropCause::Loop);
        }
        let cause = cause_of(self.route.mtu.err()?);
        self.no_route += u64::from(cause == DropCause::TargetUnreachable);
        Some(cause)
    }

    /// Suspends the path because copies come back. Returns its destination and device for a
    /// message.
    pub(super) fn suspend(&mut self, until_ns: u64) -> String {
        self.suspended_until_ns = until_ns;
        let destination = self.path_key.destination;
        match &self.route.device {
            Some(device) => format!("{destination} (through {})", device.name),
            None => destination.to_string(),
        }
    }

    /// Records that the egress queue refused a message. Returns whether copies are dropped from now
    /// on.
    pub(super) fn trip_breaker(&mut self, now_ns: u64) -> bool {
        let sheds_load = self.egress.options().sheds_load;
        if sheds_load {
            self.breaker.trip(now_ns);
        }
        sheds_load
    }

    /// Records that the kernel refused to cut messages: each datagram is then one message.
    pub(super) fn stop_segmentation(&mut self, error: &io::Error, warnings: &mut Warnings) {
        self.segments = false;
        if !std::mem::replace(&mut self.is_segmentation_refused, true) {
            warnings.cannot_segment(self.path_key.destination, error);
        }
    }

    /// Reports once why nothing can be sent to the target.
    pub(super) fn report(&mut self, error: &io::Error, warnings: &mut Warnings) {
        if !std::mem::replace(&mut self.is_error_reported, true) {
            warnings.cannot_send(self.path_key.destination, error);
        }
    }

    /// The counters of the path, by device. The first report has the datagrams without a route.
    pub(super) fn reports(&self) -> impl Iterator<Item = TargetReport> {
        let PathKey { target, destination, .. } = self.path_key;
        self.sent.by_device().zip(once(self.no_route).chain(repeat(0))).map(
            move |(count, no_route)| TargetReport {
                target,
                destination,
                sent: count.sent,
                sent_bytes: count.sent_bytes,
                no_route,
                refused: 0,
                unreachable: 0,
                device_index: count.device_index,
                is_tunnelled: count.is_tunnelled,
            },
        )
    }

    /// The index of the device that the options require, if it exists.
    pub(super) fn bound_index(&self) -> Option<u32> {
        self.route.bound_index
    }

    /// Whether the egress device encapsulates copies in other packets.
    pub(super) fn is_tunnelled(&self) -> bool {
        self.route.device.as_ref().is_some_and(|device| device.is_tunnel)
    }

    /// Whether the next copy leaves as an IP packet, so that the kernel verifies the next hop.
    pub(super) const fn verifies(&self) -> bool {
        self.verifies
    }

    /// Whether copies leave as complete frames.
    pub(super) const fn sends_frames(&self, now_ns: u64) -> bool {
        self.frame.is_some() && now_ns >= self.frames_from_ns
    }

    /// Whether a run of copies of length `len` is sent as one message. If the MTU of the device has
    /// decreased, the kernel refuses a single frame but silently drops the segments of a message.
    /// The first copy of a length in a burst is therefore sent alone.
    pub(super) const fn sends_runs(&mut self, len: u32, now_ns: u64) -> bool {
        let sends_runs = self.segments && self.sends_frames(now_ns) && !self.verifies;
        if self.proven_ns != now_ns {
            (self.proven_ns, self.proven_len) = (now_ns, MIN_CARRIED_LEN);
        }
        if sends_runs && len > self.proven_len {
            self.proven_len = len;
            return false;
        }
        sends_runs
    }

    /// Whether the kernel has not resolved the next hop of frames yet.
    pub(super) fn awaits_next_hop(&self) -> bool {
        self.route.awaits_next_hop
    }

    fn take_route(&mut self, route: Arc<EgressRoute>, now_ns: u64, warnings: &mut Warnings) {
        if !Arc::ptr_eq(&route, &self.route) {
            self.route = route;
            self.apply_route(now_ns, warnings);
        }
    }

    fn apply_route(&mut self, now_ns: u64, warnings: &mut Warnings) {
        if self.route.has_foreign_source {
            warnings.foreign_source(self.path_key.source);
        }
        if let Some(device) = &self.route.device
            && let Some(queue) = &device.lossy_queue
            && self.egress.is_new_lossy_queue(device.index)
        {
            warnings.lossy_queue(&device.name, queue);
        }
        let device_index = self.route.device.as_ref().map(|device| device.index);
        self.sent.use_device(device_index, self.is_tunnelled());
        let had_frames = self.frame.is_some();
        self.packet = packet_header(&self.path_key, &self.route);
        self.frame = self.route.next_hop.map(|next_hop| {
            let header =
                WireHeader::new(self.route.source, self.path_key.destination, Some(next_hop));
            let [v4, v6] = ETHERTYPE;
            let protocol = if self.path_key.destination.is_ipv4() { v4 } else { v6 };
            (header, link_address(next_hop.device_index, protocol))
        });
        if self.frame.is_some() && !had_frames && self.sent.has_sent() {
            self.frames_from_ns = now_ns.saturating_add(FRAME_DELAY_NS);
        }
        self.verifies = self.route.is_stale;
        self.segments = self.route.segments && !self.is_segmentation_refused;
        let headers_len = if self.path_key.destination.is_ipv4() { 28 } else { 48 };
        let headers_len = headers_len + self.path_key.geneve_len() + VXLAN_LEN;
        match self.route.mtu {
            Ok(mtu) => {
                self.max_inner_len = mtu.min(MAX_PACKET_LEN).saturating_sub(headers_len);
            }
            Err(errno) if cause_of(errno) != DropCause::TargetUnreachable => {
                self.report(&io::Error::from_raw_os_error(errno), warnings);
            }
            Err(_) => {}
        }
    }
}

/// The socket, headers and address of a copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendTransport<'p> {
    pub(super) key: SocketKey,
    /// `None` if the kernel writes the headers.
    pub(super) header: Option<&'p WireHeader>,
    pub(super) address: &'p SockAddr,
}

impl PathKey {
    const fn route_id(&self) -> RouteId {
        RouteId { destination: self.destination, source: self.source }
    }
}

/// The port must be 0: raw sockets of IPv6 use it as the protocol (`rawv6_sendmsg`); those of IPv4
/// ignore it.
fn packet_header(path_key: &PathKey, route: &EgressRoute) -> (WireHeader, SockAddr) {
    let header = WireHeader::new(route.source, path_key.destination, None);
    let mut address = path_key.destination;
    address.set_port(0);
    (header, address.into())
}

#[cfg(test)]
mod tests;
