//! Resolves how packets reach one address, from the kernel's tables: source address, device, next
//! hop and MTU.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use libc::c_int;
use socket2::{Domain, Protocol, Socket, Type};

use super::header::NextHop;
use super::options::{EgressMode, UdpOptions};
use crate::dataplane::DropCause;
use crate::dataplane::kernel::PathRoute;
use crate::io::links::{self, Link, Route, RouteKey};
use crate::io::sys::option;

/// Kinds of tunnel devices. Their packets may leave through a mirrored device.
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

/// Queueing disciplines that drop other packets than the new one, or answer `NET_XMIT_CN`, which
/// the kernel reports as a success (`net_xmit_errno` of linux/netdevice.h). Their losses have no
/// error.
const LOSSY_QUEUES: [&str; 8] =
    ["cake", "choke", "codel", "fq_codel", "hhf", "pfifo_head_drop", "red", "sfq"];

/// The device through which packets leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EgressDevice {
    pub(super) index: u32,
    pub(super) name: String,
    /// Whether it encapsulates packets in other packets.
    pub(super) is_tunnel: bool,
    /// Its queueing discipline, if the kernel does not report the packets that are lost there.
    pub(super) lossy_queue: Option<String>,
}

/// How packets reach an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EgressRoute {
    /// The source address of packets; unspecified if the kernel chooses it.
    pub(super) source: IpAddr,
    /// Whether the requested source address is not an address of this host.
    pub(super) has_foreign_source: bool,
    /// The longest IP packet in bytes; the `errno` if the kernel would send none.
    pub(super) mtu: Result<usize, i32>,
    /// `None` if there is no route, or if the address is the host's own.
    pub(super) device: Option<EgressDevice>,
    /// The index of the device of `UdpOptions::device`, if it exists.
    pub(super) bound_index: Option<u32>,
    /// The next hop, if complete frames can be sent.
    pub(super) next_hop: Option<NextHop>,
    /// Whether frames can be sent after the kernel has resolved the next hop.
    pub(super) awaits_next_hop: bool,
    /// Whether the kernel should verify the address of the next hop, which it does when it sends a
    /// packet there itself.
    pub(super) is_stale: bool,
    /// The device and the address of the next hop, if complete frames can be sent.
    pub(super) neighbour: Option<NeighbourId>,
    /// Whether messages of several datagrams may be sent.
    pub(super) segments: bool,
}

/// Identifies a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NeighbourId {
    /// The index of the device that leads to it.
    pub(crate) device_index: u32,
    /// Its IP address.
    pub(crate) address: IpAddr,
}

impl EgressRoute {
    /// Queries the kernel. Fields that it does not provide are absent.
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
            bound_index: None,
            next_hop: None,
            awaits_next_hop: false,
            is_stale: false,
            neighbour: None,
            segments: options.can_segment_over(None),
        };
        if options.needs_device() {
            resolved.add_device(destination.ip(), options);
        }
        resolved
    }

    fn add_device(&mut self, destination: IpAddr, options: &UdpOptions) {
        let bound = match options.device.as_deref().map(links::link_by_name) {
            Some(Ok(None)) => {
                self.mtu = Err(libc::ENODEV);
                return;
            }
            known => known.and_then(Result::ok).flatten(),
        };
        self.bound_index = bound.as_ref().map(|link| link.index);
        let source = Some(self.source).filter(|source| !source.is_unspecified());
        let key = RouteKey { mark: options.mark, source, device_index: self.bound_index };
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
        // The kernel accepts packets for a device without a carrier and discards them.
        if self.mtu.is_ok() && !link.is_running {
            self.mtu = Err(libc::ENETDOWN);
        }
        let is_tunnel = link.kind.as_deref().is_some_and(|kind| TUNNELS.contains(&kind));
        let lossy_queue = link.qdisc.filter(|qdisc| LOSSY_QUEUES.contains(&&**qdisc));
        self.device =
            Some(EgressDevice { index: link.index, name: link.name, is_tunnel, lossy_queue });
    }

    /// Whether complete frames may be sent: not if the kernel would change packets when sending. An
    /// IPsec policy makes the MTU of the socket smaller than that of the route.
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
        self.neighbour = Some(NeighbourId { device_index: link.index, address });
        self.awaits_next_hop = neighbour.is_none();
        let (Some(neighbour), Some(source)) = (neighbour, link.mac) else { return };
        self.is_stale = neighbour.is_stale;
        self.next_hop =
            Some(NextHop { device_index: link.index, source, destination: neighbour.mac });
    }
}

/// How complete frames leave to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FrameRoute {
    /// Frames leave by this device.
    Ready {
        /// The route.
        route: PathRoute,
        /// The next hop, if the kernel should verify its Ethernet address.
        stale: Option<NeighbourId>,
    },
    /// The Ethernet address of this next hop is not known yet.
    Unresolved(NeighbourId),
    /// The kernel would send nothing, for this cause.
    Unreachable(DropCause),
    /// Only the kernel's IP stack can send to the address. The value says why.
    NeedsIpStack(&'static str),
}

impl EgressRoute {
    /// How complete frames leave.
    pub(super) fn frame_route(&self) -> FrameRoute {
        let mtu = match self.mtu {
            Ok(mtu) => mtu,
            Err(errno) => return FrameRoute::Unreachable(cause_of(errno)),
        };
        match self.next_hop {
            Some(hop) => FrameRoute::Ready {
                route: PathRoute {
                    device_index: hop.device_index,
                    source_mac: hop.source,
                    next_hop_mac: hop.destination,
                    source: self.source,
                    mtu,
                },
                stale: self.neighbour.filter(|_| self.is_stale),
            },
            None => self.route_without_next_hop(),
        }
    }

    fn route_without_next_hop(&self) -> FrameRoute {
        match self.neighbour.filter(|_| self.awaits_next_hop) {
            Some(neighbour) => FrameRoute::Unresolved(neighbour),
            None if self.device.is_none() => {
                FrameRoute::NeedsIpStack("it is an address of this host")
            }
            None => FrameRoute::NeedsIpStack(
                "its route does not lead to a neighbour on an Ethernet device, or has IPsec",
            ),
        }
    }
}

/// The cause of a dropped copy for an error of the kernel.
pub(super) const fn cause_of(errno: c_int) -> DropCause {
    match errno {
        libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM => DropCause::NoBuffers,
        libc::EMSGSIZE => DropCause::MessageTooLong,
        libc::ECONNREFUSED => DropCause::TargetRefused,
        libc::ENETUNREACH
        | libc::EHOSTUNREACH
        | libc::ENETDOWN
        | libc::ENXIO
        | libc::ENODEV
        | libc::EHOSTDOWN
        | libc::EADDRNOTAVAIL => DropCause::TargetUnreachable,
        _ => DropCause::SendFailed,
    }
}

impl UdpOptions {
    /// Whether the egress device must be known.
    fn needs_device(&self) -> bool {
        self.egress != EgressMode::UdpSockets || self.mark.is_some() || self.device.is_some()
    }
}

/// The properties of a path that a connected UDP socket reports.
struct RouteProbe {
    source: IpAddr,
    mtu: usize,
}

impl RouteProbe {
    fn connect(destination: SocketAddr, source: IpAddr, options: &UdpOptions) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(destination), Type::DGRAM, Some(Protocol::UDP))?;
        // If the mark or the device is rejected, the result is that of the main routing table.
        let _ = options.mark.map(|mark| socket.set_mark(mark));
        let _ = options.device.as_ref().map(|name| socket.bind_device(Some(name.as_bytes())));
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect(&destination.into())?;
        let local = socket.local_addr()?.as_socket().map(|address| address.ip());
        let mtu = option::path_mtu(socket.as_fd(), destination.is_ipv4())?;
        Ok(Self { source: local.unwrap_or(source), mtu })
    }
}

/// Whether an address is not one of this host: no socket can be bound to it. The error is `EINVAL`
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
