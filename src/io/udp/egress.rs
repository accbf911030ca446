//! The state that all senders of a process share: routes to targets and received ICMP errors.
//!
//! A query of the kernel's routing tables takes long compared with a burst. Routes are therefore
//! resolved in advance and cached here. Only the first burst to a target that [`Egress::prepare`]
//! has not seen yet resolves its route itself. A generation number changes with every route: a
//! sender compares one atomic number per burst and reads the routes again only if it differs.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::icmp::{IcmpError, IcmpListener};
use super::options::{EgressMode, UdpOptions};
use super::report::TargetReport;
use super::route::{EgressRoute, FrameRoute};
use crate::dataplane::MirrorTable;
use crate::io::pace::{Clock, MonotonicClock};
use crate::io::sys::{capability, resource};

/// How long a path MTU that a router reported is used, in ns (`net.ipv4.route.mtu_expires`).
const PATH_MTU_EXPIRES_NS: u64 = 600_000_000_000;

/// The smallest accepted path MTU in bytes: 552 over IPv4 (the kernel's `min_pmtu`), 1280 over IPv6
/// (RFC 8200, section 5).
const MIN_PATH_MTU: [usize; 2] = [552, 1_280];

/// The maximum number of addresses with error counters.
const MAX_ADDRESSES: usize = 16_384;

/// The ICMP errors that were received for one address.
#[derive(Debug, Clone, Copy, Default)]
struct AddressErrors {
    refused: u64,
    unreachable: u64,
}

/// Identifies a route: the destination and the requested source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RouteId {
    pub(super) destination: SocketAddr,
    pub(super) source: IpAddr,
}

#[derive(Debug)]
struct PathMtu {
    mtu: usize,
    until_ns: u64,
}

/// Routes and ICMP errors, shared by all senders of a process.
#[derive(Debug)]
pub struct Egress {
    options: UdpOptions,
    clock: MonotonicClock,
    routes: Mutex<HashMap<RouteId, Arc<EgressRoute>>>,
    /// Increases whenever a route changes.
    generation: AtomicU64,
    /// Whether another thread refreshes the routes, so that senders do not.
    is_externally_refreshed: AtomicBool,
    icmp: Option<Mutex<IcmpListener>>,
    /// Why ICMP errors are not read, until a sender reports it.
    icmp_error: Mutex<Option<io::Error>>,
    errors: Mutex<HashMap<SocketAddr, AddressErrors>>,
    path_mtus: Mutex<HashMap<IpAddr, PathMtu>>,
    /// The indices of the egress devices whose queue was reported as lossy.
    lossy_queues: Mutex<HashSet<u32>>,
}

impl Egress {
    /// Creates the state for senders with these options. Without the capability CAP_NET_RAW they
    /// use UDP sockets, regardless of the options.
    #[must_use]
    pub fn new(mut options: UdpOptions) -> Self {
        if !capability::has_net_raw() {
            options.egress = EgressMode::UdpSockets;
        }
        let has_icmp = options.egress != EgressMode::UdpSockets;
        let (icmp, icmp_error) = has_icmp.then(IcmpListener::open).unzip();
        // If this fails, opening a socket later reports the low limit.
        let _ = resource::raise_open_file_limit();
        Self {
            options,
            clock: MonotonicClock::start(),
            routes: Mutex::default(),
            generation: AtomicU64::new(1),
            is_externally_refreshed: AtomicBool::new(false),
            icmp: icmp.map(Mutex::new),
            icmp_error: Mutex::new(icmp_error.flatten()),
            errors: Mutex::default(),
            path_mtus: Mutex::default(),
            lossy_queues: Mutex::default(),
        }
    }

    /// How copies are sent.
    #[must_use]
    pub const fn options(&self) -> &UdpOptions {
        &self.options
    }

    /// Declares that the caller calls [`Egress::refresh`] when routes may have changed, and
    /// [`Egress::read_errors`] at least once per second. Senders then do neither.
    pub fn use_external_refresh(&self) {
        self.is_externally_refreshed.store(true, Ordering::Relaxed);
    }

    /// Resolves the routes to all targets of these tables, so that they are known before the first
    /// copy, and removes all others.
    pub fn prepare<'t>(&self, tables: impl Iterator<Item = &'t MirrorTable>) {
        let ids: HashSet<RouteId> = tables.flat_map(route_ids).collect();
        locked(&self.routes).retain(|id, _| ids.contains(id));
        for id in ids {
            let _ = self.route(id);
        }
    }

    /// Resolves all routes again.
    pub fn refresh(&self) {
        let ids: Vec<RouteId> = locked(&self.routes).keys().copied().collect();
        for id in ids {
            let route = Arc::new(self.resolve(id));
            let mut routes = locked(&self.routes);
            if routes.get(&id).is_some_and(|known| *known != route) {
                routes.insert(id, route);
                self.generation.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Reads the ICMP errors since the last call.
    pub fn read_errors(&self) {
        let Some(icmp) = &self.icmp else { return };
        for error in locked(icmp).read() {
            self.add_error(error);
        }
    }

    /// Adds the received errors to the reports of all senders. Errors contain only the address, so
    /// they are added to the first report for it.
    pub fn add_errors<'r>(&self, reports: impl Iterator<Item = &'r mut TargetReport>) {
        let mut errors = locked(&self.errors).clone();
        for report in reports {
            if let Some(error) = errors.remove(&report.destination) {
                report.refused += error.refused;
                report.unreachable += error.unreachable;
            }
        }
    }

    /// How complete frames leave to an address; resolves the route if it is unknown.
    pub(crate) fn frame_route(&self, destination: SocketAddr, source: IpAddr) -> FrameRoute {
        self.route(RouteId { destination, source }).frame_route()
    }

    /// The egress devices that are tunnels, each with the target address that it is used for.
    #[must_use]
    pub fn tunnels(&self) -> Vec<(SocketAddr, String)> {
        let routes = locked(&self.routes);
        let tunnels = routes.iter().filter_map(|(id, route)| {
            let device = route.device.as_ref().filter(|device| device.is_tunnel)?;
            Some((id.destination, device.name.clone()))
        });
        tunnels.collect()
    }

    /// The time of the clock that all senders share.
    #[inline]
    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    pub(super) fn is_externally_refreshed(&self) -> bool {
        self.is_externally_refreshed.load(Ordering::Relaxed)
    }

    /// A number that changes whenever a route changes.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The cached route; resolves it if it is unknown.
    pub(super) fn route(&self, id: RouteId) -> Arc<EgressRoute> {
        if let Some(known) = self.known_route(id) {
            return known;
        }
        let route = Arc::new(self.resolve(id));
        Arc::clone(locked(&self.routes).entry(id).or_insert(route))
    }

    /// The cached route; `None` if it is unknown.
    pub(super) fn known_route(&self, id: RouteId) -> Option<Arc<EgressRoute>> {
        locked(&self.routes).get(&id).map(Arc::clone)
    }

    /// Resolves one route again because the kernel refused a message for it.
    pub(super) fn refresh_one(&self, id: RouteId) -> Arc<EgressRoute> {
        let route = Arc::new(self.resolve(id));
        let known = locked(&self.routes).insert(id, Arc::clone(&route));
        if known.as_ref() != Some(&route) {
            self.generation.fetch_add(1, Ordering::Release);
        }
        route
    }

    /// Why ICMP errors are not read; returned once.
    pub(super) fn take_icmp_error(&self) -> Option<io::Error> {
        locked(&self.icmp_error).take()
    }

    /// Whether the queue of the device was not yet reported as lossy; it counts as reported
    /// afterwards.
    pub(super) fn is_new_lossy_queue(&self, device_index: u32) -> bool {
        locked(&self.lossy_queues).insert(device_index)
    }

    /// Counts an error about a datagram of ours. Errors about other addresses are ignored, because
    /// anyone can send them.
    pub(super) fn add_error(&self, error: IcmpError) {
        if !self.has_route_to(error.destination()) {
            return;
        }
        let mut errors = locked(&self.errors);
        if errors.len() >= MAX_ADDRESSES && !errors.contains_key(&error.destination()) {
            return;
        }
        match error {
            IcmpError::Refused(address) => errors.entry(address).or_default().refused += 1,
            IcmpError::Unreachable(address) => errors.entry(address).or_default().unreachable += 1,
            IcmpError::TooBig(address, mtu) => {
                drop(errors);
                self.limit_mtu(address, mtu);
            }
        }
    }

    /// Records that a router on a path carries smaller packets than were sent.
    fn limit_mtu(&self, address: SocketAddr, mtu: usize) {
        let [v4, v6] = MIN_PATH_MTU;
        let mtu = mtu.max(if address.is_ipv4() { v4 } else { v6 });
        let until_ns = self.now_ns().saturating_add(PATH_MTU_EXPIRES_NS);
        locked(&self.path_mtus).insert(address.ip(), PathMtu { mtu, until_ns });
        self.refresh();
    }

    fn has_route_to(&self, address: SocketAddr) -> bool {
        locked(&self.routes).keys().any(|id| id.destination == address)
    }

    fn resolve(&self, id: RouteId) -> EgressRoute {
        let mut route = EgressRoute::resolve(id.destination, id.source, &self.options);
        let path_mtus = locked(&self.path_mtus);
        let now_ns = self.now_ns();
        let limit = path_mtus.get(&id.destination.ip()).filter(|limit| limit.until_ns > now_ns);
        if let (Ok(mtu), Some(limit)) = (&mut route.mtu, limit) {
            *mtu = limit.mtu.min(*mtu);
        }
        route
    }
}

/// The routes that the sessions of a table use.
fn route_ids(table: &MirrorTable) -> impl Iterator<Item = RouteId> {
    table.sessions().iter().flat_map(|session| {
        let target = table.target(session.target).into_iter();
        let addresses = target.flat_map(|target| target.addresses());
        addresses.map(|destination| RouteId { destination, source: session.source_address })
    })
}

/// Locks a mutex. The values are valid even if a thread panicked while it held the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icmp_errors_about_unknown_addresses_are_ignored() {
        let egress = Egress::new(UdpOptions::default());
        let [known, unknown] =
            ["127.0.0.1:4789", "127.0.0.1:4790"].map(|one| one.parse::<SocketAddr>().unwrap());
        let _ = egress.route(RouteId { destination: known, source: known.ip() });
        for address in [known, unknown] {
            egress.add_error(IcmpError::Refused(address));
            egress.add_error(IcmpError::TooBig(address, 1_400));
        }
        assert!(locked(&egress.errors).keys().eq([&known]));
        assert_eq!(locked(&egress.path_mtus).len(), 1);
    }
}
