//! Which work the driver or the kernel leaves to the device, or bundles (`ethtool -k`).

use std::io;
use std::os::fd::AsFd;

use super::list::with_context;
use super::netlink::NetlinkSocket;
use crate::io::sys::ethtool;

/// What is switched on; none where the kernel does not know of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Checksums of what comes in were looked at by the device.
    pub rx_checksum: Option<bool>,
    /// Checksums of what goes out are left unfinished: a captured frame bears a wrong one.
    pub tx_checksum: Option<bool>,
    /// TCP segmentation: what goes out is cut by the device, and captured as one long frame.
    pub tso: Option<bool>,
    /// Generic segmentation: what goes out is cut late.
    pub gso: Option<bool>,
    /// Generic receive offload: what comes in is joined into long frames before it is captured.
    pub gro: Option<bool>,
    /// Large receive offload: the device joins what comes in, beyond repair.
    pub lro: Option<bool>,
    /// UDP datagrams of one send are cut by the device.
    pub udp_segmentation: Option<bool>,
    /// The device takes VLAN tags off what comes in.
    pub rx_vlan: Option<bool>,
    /// The device puts VLAN tags into what goes out.
    pub tx_vlan: Option<bool>,
}

/// Asks for the offloads of a network interface.
///
/// # Errors
/// There is no interface of this name, or the kernel has no answer for another reason than that
/// the device does not know the question.
pub fn offloads(name: &str) -> io::Result<Offloads> {
    let query = || {
        let socket = NetlinkSocket::open(rustix::net::SocketFlags::empty(), 0)?;
        ethtool::features(socket.as_fd(), name)
    };
    match query() {
        Ok(features) => Ok(from_features(&features)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Offloads::default()),
        Err(error) => {
            Err(with_context(&format!("cannot ask for the offloads of `{name}`"), &error))
        }
    }
}

/// The names are those of `netdev_features_strings` (net/ethtool/common.c), which are promised
/// not to change.
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
