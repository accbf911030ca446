//! Looks up the route to a target (`RTM_GETROUTE`).

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{NlasIterator, parse_ip, parse_u32};

use super::list::with_context;
use super::netlink::{NetlinkClient, NetlinkRequest};

/// The attribute of `RTA_METRICS` with the MTU (`RTAX_MTU` of linux/rtnetlink.h).
const RTAX_MTU: u16 = 2;

/// The route of the kernel for packets to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The index of the outgoing interface.
    pub device_index: u32,
    /// The MTU in bytes, if the route or path MTU discovery sets one below that of the interface.
    pub mtu: Option<u32>,
    /// The source address of packets whose sender selects none.
    pub source: Option<IpAddr>,
    /// The next router; none if the target is a neighbour.
    pub gateway: Option<IpAddr>,
    /// Whether the target is the host itself.
    pub is_local: bool,
}

/// The values besides the target that select a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteKey {
    /// The mark of the packet (`SO_MARK`), for policy routing.
    pub mark: Option<u32>,
    /// The source address of the packet.
    pub source: Option<IpAddr>,
    /// The index of the device that the socket is bound to (`SO_BINDTODEVICE`).
    pub device_index: Option<u32>,
}

/// Looks up the route for a packet to `target`. Of several next hops the kernel returns the one
/// that it would choose.
///
/// # Errors
/// There is no route (`NetworkUnreachable`, `HostUnreachable`, `PermissionDenied`, or
/// `InvalidInput` for a black hole, depending on the routing table), or source and target have
/// different IP versions (`InvalidInput`). An IPv4 source that is not an address of the host has no
/// route either (`NetworkUnreachable`).
pub fn route_to(target: IpAddr, key: RouteKey) -> io::Result<Route> {
    let query = || {
        let request = request(target.to_canonical(), key)?;
        let mut answer = None;
        NetlinkClient::open()?
            .request(&request, |message| answer = Some(parse_route(message.payload)))?;
        answer.unwrap_or_else(|| Err(io::ErrorKind::NetworkUnreachable.into()))
    };
    query().map_err(|error| with_context(&format!("no route to {target}"), &error))
}

/// ```text
/// | family, 1 | length of dst, 1 | of src, 1 | tos, 1 | table, protocol, scope, type | flags, 4 |
/// ```
fn request(target: IpAddr, key: RouteKey) -> io::Result<NetlinkRequest> {
    let source = key.source.map(|one| one.to_canonical());
    if source.is_some_and(|source| source.is_ipv4() != target.is_ipv4()) {
        let mixed = "the source address has another IP version than the target";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, mixed));
    }
    let (family, bits) = match target {
        IpAddr::V4(_) => (libc::AF_INET, 32),
        IpAddr::V6(_) => (libc::AF_INET6, 128),
    };
    let family = u8::try_from(family).unwrap_or_default();
    let source_bits = if source.is_some() { bits } else { 0 };
    let fixed = [family, bits, source_bits, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut request = NetlinkRequest::new(libc::RTM_GETROUTE, 0, &fixed)
        .with_attribute(libc::RTA_DST, &octets(target));
    if let Some(source) = source {
        request = request.with_attribute(libc::RTA_SRC, &octets(source));
    }
    if let Some(mark) = key.mark {
        request = request.with_attribute(libc::RTA_MARK, &mark.to_ne_bytes());
    }
    if let Some(index) = key.device_index {
        request = request.with_attribute(libc::RTA_OIF, &index.to_ne_bytes());
    }
    Ok(request)
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn parse_route(payload: &[u8]) -> io::Result<Route> {
    let truncated =
        || io::Error::new(io::ErrorKind::InvalidData, "the response of the kernel is truncated");
    let (fixed, attributes) = payload.split_first_chunk::<12>().ok_or_else(truncated)?;
    let [_, _, _, _, _, _, _, kind, ..] = *fixed;
    match kind {
        libc::RTN_BLACKHOLE => return Err(io::ErrorKind::InvalidInput.into()),
        libc::RTN_UNREACHABLE => return Err(io::ErrorKind::HostUnreachable.into()),
        libc::RTN_PROHIBIT => return Err(io::ErrorKind::PermissionDenied.into()),
        _ => {}
    }
    let is_local = kind == libc::RTN_LOCAL;
    let mut route = Route { device_index: 0, mtu: None, source: None, gateway: None, is_local };
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        let value = attribute.value();
        match attribute.kind() {
            libc::RTA_OIF => route.device_index = parse_u32(value).unwrap_or_default(),
            libc::RTA_PREFSRC => route.source = parse_ip(value).ok(),
            libc::RTA_GATEWAY => route.gateway = parse_ip(value).ok(),
            libc::RTA_VIA => route.gateway = parse_via(value),
            libc::RTA_METRICS => route.mtu = parse_mtu(value),
            _ => {}
        }
    }
    Ok(route)
}

/// Parses a router of the other IP version: two bytes for the address family, then the address.
fn parse_via(value: &[u8]) -> Option<IpAddr> {
    let address = value.get(2..)?;
    let octets: Option<[u8; 16]> = address.try_into().ok();
    octets.map(|octets| Ipv6Addr::from(octets).into()).or_else(|| parse_ip(address).ok())
}

fn parse_mtu(nested: &[u8]) -> Option<u32> {
    let mut metrics = NlasIterator::new(nested).map_while(Result::ok);
    metrics.find(|one| one.kind() == RTAX_MTU).and_then(|one| parse_u32(one.value()).ok())
}
