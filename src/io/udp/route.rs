//! How packets reach one address: source address, device, next hop and MTU, as the kernel has them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::header::NextHop;
use super::options::{EgressMode, UdpOptions};
use crate::io::links::{self, Link, Route, RouteKey};
use crate::io::sys::option;

/// Kinds of devices that put packets into other packets, which may leave by a mirrored device.
const TUNNELS: [&str; 15] = [
    "tun",
    "wireguard",
    "vxlan",
    "geneve",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "ipip",
    "ip6tnl",
    "sit",
    "vti",
    "xfrm",
    "ppp",
    "amt",
];

/// The device that packets leave by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EgressDevice {
    pub(super) index: u32,
    pub(super) name: String,
    /// It puts packets into other packets.
    pub(super) is_tunnel: bool,
}

/// How packets reach an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EgressRoute {
    /// The source address that they have; unspecified where the kernel chooses it.
    pub(super) source: IpAddr,
    /// The source address that was wanted is not an address of this host.
    pub(super) has_foreign_source: bool,
    /// The longest IP packet, in bytes; the `errno` where the kernel would send none.
    pub(super) mtu: Result<usize, i32>,
    /// None where there is no route, and where the address is the host's own.
    pub(super) device: Option<EgressDevice>,
    /// Where complete frames can be sent to.
    pub(super) next_hop: Option<NextHop>,
    /// Frames could be sent once the kernel has resolved the next hop.
    pub(super) awaits_next_hop: bool,
    /// The kernel should verify the address of the next hop, which it does when it sends there
    /// itself.
    pub(super) is_stale: bool,
    /// Whether messages of several datagrams are useful.
    pub(super) segments: bool,
}

impl EgressRoute {
    /// Asks the kernel. What it does not answer is absent from the result.
    pub(super) fn resolve(destination: SocketAddr, source: IpAddr, options: &UdpOptions) -> Self {
        let unspecified = unspecified_like(destination.ip());
        let wanted = if source.is_ipv4() == destination.is_ipv4() { source } else { unspecified };
        let has_foreign_source = wanted != unspecified && is_foreign(wanted);
        let from = if has_foreign_source { unspecified } else { wanted };
        let probe = RouteProbe::connect(destination, from, options);
        let mut resolved = Self {
            source: probe.as_ref().map_or(unspecified, |probe| probe.source),
            has_foreign_source: has_foreign_source || wanted != source,
            mtu: probe
                .map(|probe| probe.mtu)
                .map_err(|error| error.raw_os_error().unwrap_or(libc::ENETUNREACH)),
            device: None,
            next_hop: None,
            awaits_next_hop: false,
            is_stale: false,
            segments: options.can_segment_over(None),
        };
        if options.needs_device() {
            resolved.add_device(destination.ip(), options);
        }
        resolved
    }

    fn add_device(&mut self, destination: IpAddr, options: &UdpOptions) {
        let device = options.device.as_deref();
        let bound = device.and_then(|name| links::link_by_name(name).ok().flatten());
        let source = Some(self.source).filter(|source| !source.is_unspecified());
        let device_index = bound.as_ref().map(|link| link.index);
        let key = RouteKey { mark: options.mark, source, device_index };
        let Ok(route) = links::route_to(destination, key) else { return };
        if route.is_local {
            return;
        }
        let link = bound.or_else(|| links::link_by_index(route.device_index).ok().flatten());
        let Some(link) = link else { return };
        self.segments = options.can_segment_over(Some(&link));
        if options.egress == EgressMode::Auto && self.may_send_frames(&route, &link) {
            self.add_next_hop(route.gateway.unwrap_or(destination), &link);
        }
        let is_tunnel = link.kind.as_deref().is_some_and(|kind| TUNNELS.contains(&kind));
        self.device = Some(EgressDevice { index: link.index, name: link.name, is_tunnel });
    }

    /// Not where the kernel would change packets on their way out: an IPsec policy makes the
    /// MTU of the socket smaller than that of the route.
    fn may_send_frames(&self, route: &Route, link: &Link) -> bool {
        let route_mtu = usize::try_from(route.mtu.unwrap_or(link.mtu)).ok();
        link.is_ethernet
            && !link.is_loopback
            && link.resolves_neighbours
            && self.mtu.ok().is_some_and(|mtu| Some(mtu) == route_mtu)
            && !self.source.is_unspecified()
    }

    fn add_next_hop(&mut self, address: IpAddr, link: &Link) {
        let neighbour = links::neighbour(link.index, address).ok().flatten();
        self.awaits_next_hop = neighbour.is_none();
        let (Some(neighbour), Some(source)) = (neighbour, link.mac) else { return };
        self.is_stale = neighbour.is_stale;
        self.next_hop =
            Some(NextHop { device_index: link.index, source, destination: neighbour.mac });
    }
}

impl UdpOptions {
    /// Whether it matters which device copies leave by.
    fn needs_device(&self) -> bool {
        self.egress != EgressMode::UdpSockets || self.mark.is_some()
    }
}

/// What a connected UDP socket says of the way to an address.
struct RouteProbe {
    source: IpAddr,
    mtu: usize,
}

impl RouteProbe {
    fn connect(destination: SocketAddr, source: IpAddr, options: &UdpOptions) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(destination), Type::DGRAM, Some(Protocol::UDP))?;
        // Without the mark, or the device, the answer is that of the main routing table.
        let _ = options.mark.map(|mark| socket.set_mark(mark));
        let _ = options.device.as_ref().map(|name| socket.bind_device(Some(name.as_bytes())));
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect(&destination.into())?;
        let local = socket.local_addr()?.as_socket().map(|address| address.ip());
        let mtu = option::path_mtu(socket.as_fd(), destination.is_ipv4())?;
        Ok(Self { source: local.unwrap_or(source), mtu })
    }
}

/// Whether an address is not one of this host: no socket can be bound to it. `EINVAL` is the answer
/// for a link-local IPv6 address without an interface.
fn is_foreign(source: IpAddr) -> bool {
    let bound = UdpSocket::bind((source, 0));
    let error = bound.err().and_then(|error| error.raw_os_error());
    matches!(error, Some(libc::EADDRNOTAVAIL | libc::EINVAL))
}

pub(super) const fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
