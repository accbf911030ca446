//! The pad of the kernel tier: a bridge with one port, whose frames the kernel finishes.
//!
//! A clone of a super-frame, of a frame with an unfinished checksum, or of a frame with a VLAN tag
//! beside it cannot be encapsulated. The pad has no offloads, so the kernel segments super-frames,
//! completes checksums and inserts tags when it transmits a frame to the bridge. The bridge forwards
//! each frame to its port, and a program at the egress of the port sees only finished frames.
//!
//! ```text
//! bpf_clone_redirect -> tm-3f-pad (bridge) -> tm-3f-port (veth) | tm-3f-peer (veth, unused)
//! ```
//!
//! Devices outlive a process. So their names contain the mark of the process, and each pad reserves
//! a name in its network namespace while it exists. A pad whose name is not reserved belongs to a
//! process that was killed, and the next [`Pad::create`] removes it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};

use super::list::{link_by_index, links, with_context};
use super::netlink::{Attributes, NetlinkClient, NetlinkRequest};
use crate::io::reserved_name::ReservedName;
use crate::io::sys::ethtool;

/// The largest mark whose device names have at most 15 bytes.
const MAX_MARK: u32 = 0xff_ffff;

/// The largest MTU that a device can have, so that no frame is too long for the pad.
const MTU: u32 = 65_535;

/// The MTU of a new device. IPv6 ignores devices whose MTU is less than 1,280, and joins no multicast
/// group of a device that has no `IFF_MULTICAST` when its MTU becomes larger. So the kernel sends no
/// listener reports, as it otherwise does on a host that forwards IPv6.
const INITIAL_MTU: u32 = 1_000;

/// `IFF_UP`, `IFF_NOARP` and `IFF_MULTICAST` of linux/if.h.
const IFF_UP: u32 = 1;
const IFF_NOARP: u32 = 1 << 7;
const IFF_MULTICAST: u32 = 1 << 12;

/// Attributes of linux/if_link.h and linux/veth.h.
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const VETH_INFO_PEER: u16 = 1;

/// `IN6_ADDR_GEN_MODE_NONE`: no link-local address.
const NO_ADDRESSES: u8 = 1;

/// How often, and at which interval, the state of the bridge is read until it forwards frames. The
/// kernel delays the change of the state by at most one second (`linkwatch`).
const MAX_STATE_QUERIES: usize = 500;
const STATE_QUERY_INTERVAL: Duration = Duration::from_millis(10);

/// A bridge with one port and without offloads. Dropping it removes both.
#[derive(Debug)]
pub struct Pad {
    /// A socket in the network namespace of the devices.
    netlink: NetlinkClient,
    bridge: u32,
    port: u32,
    /// Says that the devices are in use.
    _reservation: ReservedName,
}

impl Pad {
    /// Creates a pad in the network namespace of the calling thread, which needs `CAP_NET_ADMIN`.
    /// Removes the pads of processes that were killed first.
    ///
    /// # Errors
    /// A pad with this mark exists, the process lacks the capability, the kernel has no bridge or
    /// veth devices, or an offload of the bridge cannot be switched off.
    pub fn create(mark: u32) -> io::Result<Self> {
        let build = || {
            let reservation = reserve(mark)?;
            let mut netlink = NetlinkClient::open()?;
            remove_unused(&mut netlink, mark)?;
            create_devices(&mut netlink, mark)?;
            let (bridge, port) = indexes(mark)?;
            // From here on, an error removes the devices.
            let mut pad = Self { netlink, bridge, port, _reservation: reservation };
            pad.configure(mark)?;
            Ok(pad)
        };
        let name = name_of(mark, "pad");
        build().map_err(|error| with_context(&format!("cannot create the pad `{name}`"), &error))
    }

    /// The interface index of the bridge, to which frames are redirected.
    #[must_use]
    pub const fn bridge_index(&self) -> u32 {
        self.bridge
    }

    /// The interface index of the port, through which each finished frame leaves.
    #[must_use]
    pub const fn port_index(&self) -> u32 {
        self.port
    }

    fn configure(&mut self, mark: u32) -> io::Result<()> {
        let (bridge, port) = (self.bridge, self.port);
        let still_active = ethtool::disable_features(
            self.netlink.as_fd(),
            &name_of(mark, "pad"),
            is_transmit_offload,
        )?;
        if !still_active.is_empty() {
            let list = still_active.join(", ");
            return Err(io::Error::other(format!("these offloads cannot be switched off: {list}")));
        }
        let peer = named(mark, "peer");
        let of_peer = |flags| link_request(0, flags).with_attribute(libc::IFLA_IFNAME, &peer);
        for device in [link_request(bridge, 0), link_request(port, 0), of_peer(0)] {
            self.set_mtu(&device)?;
        }
        let enslave =
            link_request(port, 0).with_attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes());
        change(&mut self.netlink, &enslave)?;
        let no_learning = Attributes::default().with(IFLA_BRPORT_LEARNING, &[0]);
        let info = Attributes::default()
            .with(libc::IFLA_INFO_SLAVE_KIND, b"bridge\0")
            .with_nested(libc::IFLA_INFO_SLAVE_DATA, &no_learning);
        change(
            &mut self.netlink,
            &link_request(port, 0).with_attributes(libc::IFLA_LINKINFO, &info),
        )?;
        // The bridge is last, so that its port has a carrier when it starts to forward.
        for device in [of_peer(IFF_UP), link_request(port, IFF_UP), link_request(bridge, IFF_UP)] {
            change(&mut self.netlink, &device)?;
        }
        wait_until_running(bridge)
    }

    /// Allows long frames, and prevents IPv6 from choosing a link-local address for the device and
    /// sending packets about it.
    fn set_mtu(&mut self, device: &NetlinkRequest) -> io::Result<()> {
        let mtu = device.clone().with_attribute(libc::IFLA_MTU, &MTU.to_ne_bytes());
        change(&mut self.netlink, &mtu)?;
        let mode = Attributes::default().with(IFLA_INET6_ADDR_GEN_MODE, &[NO_ADDRESSES]);
        let family = u16::try_from(libc::AF_INET6).unwrap_or_default();
        let families = Attributes::default().with_nested(family, &mode);
        let no_addresses = device.clone().with_attributes(libc::IFLA_AF_SPEC, &families);
        match change(&mut self.netlink, &no_addresses) {
            // This kernel has no IPv6.
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(()),
            result => result,
        }
    }
}

impl Drop for Pad {
    fn drop(&mut self) {
        for index in [self.port, self.bridge] {
            // If this fails, the next pad in the namespace removes the device.
            let _ = remove(&mut self.netlink, index);
        }
    }
}

/// Whether a feature with this name of `netdev_features_strings` (net/ethtool/common.c) lets the
/// kernel transmit a frame to a device that the device has to finish.
fn is_transmit_offload(name: &str) -> bool {
    let is_segmentation = name.starts_with("tx-") && name.ends_with("-segmentation");
    is_segmentation
        || name.starts_with("tx-checksum-")
        || matches!(name, "tx-gso-list" | "tx-vlan-hw-insert" | "tx-vlan-stag-hw-insert")
}

fn reserve(mark: u32) -> io::Result<ReservedName> {
    if mark > MAX_MARK {
        let sentence = format!("mark {mark:#x}: expected at most {MAX_MARK:#x}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    reserve_if_unused(mark).ok_or_else(|| {
        let sentence = format!("mark {mark:#x}: a pad with this mark is in use");
        io::Error::new(io::ErrorKind::AddrInUse, sentence)
    })
}

fn reserve_if_unused(mark: u32) -> Option<ReservedName> {
    ReservedName::reserve(&format!("pad/{mark:#x}"))
}

/// The name of a device of the pad: `tm-3f-pad`, `tm-3f-port` or `tm-3f-peer`.
fn name_of(mark: u32, device: &str) -> String {
    format!("tm-{mark:x}-{device}")
}

/// The same name as the value of an attribute.
fn named(mark: u32, device: &str) -> Vec<u8> {
    format!("{}\0", name_of(mark, device)).into_bytes()
}

/// The mark in the name of a device of a pad.
fn mark_in(name: &str) -> Option<u32> {
    let (digits, device) = name.strip_prefix("tm-")?.split_once('-')?;
    let mark = u32::from_str_radix(digits, 16).ok()?;
    let is_exact = matches!(device, "pad" | "port" | "peer") && name_of(mark, device) == name;
    is_exact.then_some(mark)
}

/// Removes the devices whose marks are not reserved, and those with `own_mark`, which the caller has
/// reserved.
fn remove_unused(netlink: &mut NetlinkClient, own_mark: u32) -> io::Result<()> {
    for link in links()? {
        let is_kind = matches!(link.kind.as_deref(), Some("bridge" | "veth"));
        let Some(mark) = mark_in(&link.name).filter(|_| is_kind) else { continue };
        // The reservation keeps another process from creating this pad meanwhile.
        let reservation = reserve_if_unused(mark);
        if reservation.is_some() || mark == own_mark {
            remove(netlink, link.index)?;
        }
    }
    Ok(())
}

fn create_devices(netlink: &mut NetlinkClient, mark: u32) -> io::Result<()> {
    let bridge = Attributes::default()
        .with(IFLA_BR_STP_STATE, &0_u32.to_ne_bytes())
        .with(IFLA_BR_MCAST_SNOOPING, &[0]);
    create(netlink, &named(mark, "pad"), "bridge", &bridge)?;
    let peer = Attributes::after(&new_link_header())
        .with(libc::IFLA_IFNAME, &named(mark, "peer"))
        .with(libc::IFLA_MTU, &INITIAL_MTU.to_ne_bytes());
    let veth = Attributes::default().with_nested(VETH_INFO_PEER, &peer);
    create(netlink, &named(mark, "port"), "veth", &veth).inspect_err(|_| {
        let bridge = NetlinkRequest::new(libc::RTM_DELLINK, NLM_F_ACK, &link_header(0, 0, 0))
            .with_attribute(libc::IFLA_IFNAME, &named(mark, "pad"));
        let _ = change(netlink, &bridge);
    })
}

fn create(
    netlink: &mut NetlinkClient,
    name: &[u8],
    kind: &str,
    data: &Attributes,
) -> io::Result<()> {
    let info = Attributes::default()
        .with(libc::IFLA_INFO_KIND, format!("{kind}\0").as_bytes())
        .with_nested(libc::IFLA_INFO_DATA, data);
    let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    let request = NetlinkRequest::new(libc::RTM_NEWLINK, flags, &new_link_header())
        .with_attribute(libc::IFLA_IFNAME, name)
        .with_attribute(libc::IFLA_MTU, &INITIAL_MTU.to_ne_bytes())
        .with_attributes(libc::IFLA_LINKINFO, &info);
    let created = change(netlink, &request);
    created.map_err(|error| with_context(&format!("a device of the kind `{kind}`"), &error))
}

/// The indexes of the bridge and the port.
fn indexes(mark: u32) -> io::Result<(u32, u32)> {
    let links = links()?;
    let index = |device: &str| {
        let name = name_of(mark, device);
        let found = links.iter().find(|link| link.name == name);
        found.map(|link| link.index).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("`{name}` was removed meanwhile"))
        })
    };
    Ok((index("pad")?, index("port")?))
}

/// Waits until the bridge forwards frames to its port.
#[expect(clippy::disallowed_methods, reason = "waits for a device and not for a time")]
fn wait_until_running(bridge: u32) -> io::Result<()> {
    for _ in 0..MAX_STATE_QUERIES {
        if link_by_index(bridge)?.is_some_and(|link| link.is_running) {
            return Ok(());
        }
        std::thread::sleep(STATE_QUERY_INTERVAL);
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the bridge has no carrier after 5 s"))
}

fn remove(netlink: &mut NetlinkClient, index: u32) -> io::Result<()> {
    let request = NetlinkRequest::new(libc::RTM_DELLINK, NLM_F_ACK, &link_header(index, 0, 0));
    match change(netlink, &request) {
        // The other end of a veth device is removed with it.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        result => result,
    }
}

/// A change of a device that sets these flags.
fn link_request(index: u32, set_flags: u32) -> NetlinkRequest {
    NetlinkRequest::new(libc::RTM_NEWLINK, NLM_F_ACK, &link_header(index, set_flags, set_flags))
}

/// The header of a new device without ARP and multicast.
fn new_link_header() -> [u8; 16] {
    link_header(0, IFF_NOARP, IFF_NOARP | IFF_MULTICAST)
}

/// ```text
/// | family, 1 | padding, 1 | type, 2 | index, 4 | flags, 4 | mask of changed flags, 4 |
/// ```
fn link_header(index: u32, flags: u32, mask: u32) -> [u8; 16] {
    let words = [0, index, flags, mask].map(u32::to_ne_bytes);
    let mut header = [0; 16];
    for (slot, byte) in header.iter_mut().zip(words.as_flattened()) {
        *slot = *byte;
    }
    header
}

fn change(netlink: &mut NetlinkClient, request: &NetlinkRequest) -> io::Result<()> {
    netlink.request(request, |_| {}).map(drop)
}

#[cfg(test)]
mod tests;
