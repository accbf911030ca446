//! Lists the network interfaces with their addresses, and finds one by name or index.

use std::io;

use netlink_packet_core::NLM_F_DUMP;

use super::address;
use super::link::Link;
use super::netlink::{NetlinkClient, NetlinkRequest};

/// The number of attempts to read a list that does not change meanwhile. The last one is accepted.
const MAX_ATTEMPTS: usize = 10;

/// The length of a name with its terminating zero, in bytes (`IFNAMSIZ`).
const IFNAMSIZ: usize = 16;

/// All network interfaces, by index.
///
/// # Errors
/// The kernel does not respond.
pub fn links() -> io::Result<Vec<Link>> {
    let list = || {
        let mut netlink = NetlinkClient::open()?;
        let mut links = dump(&mut netlink, &link_request(NLM_F_DUMP), Link::parse)?;
        add_addresses(&mut netlink, &mut links)?;
        links.sort_by_key(|link| link.index);
        Ok(links)
    };
    list().map_err(|error: io::Error| with_context("cannot list the network interfaces", &error))
}

/// The network interface with this name or alternative name; none if there is no such interface.
///
/// # Errors
/// The kernel does not respond.
pub fn link_by_name(name: &str) -> io::Result<Option<Link>> {
    if name.is_empty() || name.len() >= IFNAMSIZ || name.contains('\0') {
        return Ok(None);
    }
    let find = || {
        let mut netlink = NetlinkClient::open()?;
        let request =
            link_request(0).with_attribute(libc::IFLA_IFNAME, format!("{name}\0").as_bytes());
        let mut found = Vec::new();
        netlink.request(&request, |message| found.extend(Link::parse(message.payload)))?;
        add_addresses(&mut netlink, &mut found)?;
        Ok(found.pop())
    };
    find().or_else(|error: io::Error| match error.raw_os_error() {
        Some(libc::ENODEV) => Ok(None),
        _ => Err(with_context(&format!("cannot query the network interface `{name}`"), &error)),
    })
}

/// The network interface with this index, without its addresses; none if there is no such
/// interface.
///
/// # Errors
/// The kernel does not respond.
pub fn link_by_index(index: u32) -> io::Result<Option<Link>> {
    let find = || {
        let mut netlink = NetlinkClient::open()?;
        let mut fixed = [0; 16];
        if let Some(index_bytes) = fixed.get_mut(4..8) {
            index_bytes.copy_from_slice(&index.to_ne_bytes());
        }
        let skip_counters = libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes();
        let request = NetlinkRequest::new(libc::RTM_GETLINK, 0, &fixed)
            .with_attribute(libc::IFLA_EXT_MASK, &skip_counters);
        let mut found = None;
        netlink.request(&request, |message| found = Link::parse(message.payload))?;
        Ok(found)
    };
    find().or_else(|error: io::Error| match error.raw_os_error() {
        Some(libc::ENODEV) => Ok(None),
        _ => Err(with_context(&format!("cannot query the network interface {index}"), &error)),
    })
}

/// Adds the failed action to an error and keeps its kind.
pub(super) fn with_context(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// A request without counters, which are the largest part of a response and not needed here.
fn link_request(flags: u16) -> NetlinkRequest {
    let skip_counters = libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes();
    NetlinkRequest::new(libc::RTM_GETLINK, flags, &[0; 16])
        .with_attribute(libc::IFLA_EXT_MASK, &skip_counters)
}

fn add_addresses(netlink: &mut NetlinkClient, links: &mut [Link]) -> io::Result<()> {
    let request = NetlinkRequest::new(libc::RTM_GETADDR, NLM_F_DUMP, &[0; 8]);
    for (index, address, prefix_len) in dump(netlink, &request, address::parse)? {
        if let Some(link) = links.iter_mut().find(|link| link.index == index) {
            link.addresses.push(address);
            link.broadcasts.extend(address::broadcast_address(address, prefix_len));
        }
    }
    Ok(())
}

fn dump<T>(
    netlink: &mut NetlinkClient,
    request: &NetlinkRequest,
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for _ in 0..MAX_ATTEMPTS {
        found.clear();
        if !netlink.request(request, |message| found.extend(read(message.payload)))? {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_contains_loopback() {
        let links = links().unwrap();
        let loopback = links.iter().find(|link| link.is_loopback).unwrap();
        assert!(loopback.is_ethernet && loopback.mac.is_none() && loopback.mtu > 0);
        let by_name = link_by_name(&loopback.name).unwrap().unwrap();
        assert_eq!(by_name.index, loopback.index);
    }

    #[test]
    fn an_unknown_interface_name_gives_none() {
        for name in ["", "no-such-link", "longer-than-any-name-may-be", "a\0b", "a b/c"] {
            assert_eq!(link_by_name(name).unwrap(), None, "{name}");
        }
    }
}
