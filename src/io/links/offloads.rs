//! Reads which offloads of a network interface are enabled (`ethtool -k`).

use std::io;
use std::os::fd::AsFd;

use super::list::with_context;
use super::netlink::NetlinkSocket;
use crate::io::sys::ethtool;

/// The enabled offloads. An offload that the kernel does not report is not enabled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offloads {
    /// The device verifies checksums of received packets.
    pub rx_checksum: Option<bool>,
    /// The device completes checksums of sent packets, so a captured frame has a wrong one.
    pub tx_checksum: Option<bool>,
    /// TCP segmentation: the device splits sent segments, which are captured as one long frame.
    pub tso: Option<bool>,
    /// Generic segmentation: the kernel splits sent packets just before the driver.
    pub gso: Option<bool>,
    /// Generic receive offload: received packets are merged to long frames before they are
    /// captured.
    pub gro: Option<bool>,
    /// Large receive offload: the device merges received packets, which cannot be undone.
    pub lro: Option<bool>,
    /// UDP segmentation: the device splits the datagrams of one send.
    pub udp_segmentation: Option<bool>,
    /// The device removes the VLAN tags of received frames.
    pub rx_vlan: Option<bool>,
    /// The device inserts the VLAN tags of sent frames.
    pub tx_vlan: Option<bool>,
}

/// Queries the offloads of a network interface.
///
/// # Errors
/// There is no interface with this name, or the query fails for another reason than that the device
/// does not support it.
pub fn offloads(name: &str) -> io::Result<Offloads> {
    let query = || {
        let socket = NetlinkSocket::open(rustix::net::SocketFlags::empty(), 0)?;
        ethtool::features(socket.as_fd(), name)
    };
    match query() {
        Ok(features) => Ok(from_features(&features)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Offloads::default()),
        Err(error) => Err(with_context(&format!("cannot query the offloads of `{name}`"), &error)),
    }
}

/// The names are those of `netdev_features_strings` (net/ethtool/common.c), which are stable.
fn from_features(features: &[(String, bool)]) -> Offloads {
    let any = |wanted: fn(&str) -> bool| {
        let found = features.iter().filter(|(name, _)| wanted(name));
        found.map(|(_, is_on)| *is_on).reduce(|one, other| one || other)
    };
    Offloads {
        rx_checksum: any(|name| name == "rx-checksum"),
        tx_checksum: any(|name| name.starts_with("tx-checksum-")),
        tso: any(|name| name.starts_with("tx-tcp") && name.ends_with("-segmentation")),
        gso: any(|name| name == "tx-generic-segmentation"),
        gro: any(|name| name == "rx-gro"),
        lro: any(|name| name == "rx-lro"),
        udp_segmentation: any(|name| name == "tx-udp-segmentation"),
        rx_vlan: any(|name| name == "rx-vlan-hw-parse"),
        tx_vlan: any(|name| name == "tx-vlan-hw-insert"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offload_is_on_if_any_feature_is_and_unknown_without_features() {
        let features = [("tx-checksum-ipv4", false), ("tx-checksum-ip-generic", true)]
            .map(|(name, is_on)| (name.to_owned(), is_on));
        let offloads = from_features(&features);
        assert_eq!((offloads.tx_checksum, offloads.tso), (Some(true), None));
    }

    #[test]
    fn offloads_of_loopback_are_read_and_a_missing_device_is_an_error() {
        let offloads_of_loopback = offloads("lo").unwrap();
        assert_eq!(offloads_of_loopback.gso, Some(true));
        assert_eq!(offloads_of_loopback.lro, Some(false));
        assert!(offloads("no-such-link").is_err());
        assert!(offloads("longer-than-any-name-may-be").is_err());
    }
}
