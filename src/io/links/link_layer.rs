//! The link layer of an interface: `ARPHRD_*` of linux/if_arp.h, with the names of `ip link`.

/// Whether frames begin with an Ethernet header. Those of loopback do, with addresses of zeros.
pub(super) const fn is_ethernet(layer: u16) -> bool {
    matches!(layer, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK)
}

/// The name of the link layer, or its number in brackets.
pub(super) fn name(layer: u16) -> String {
    let name = match layer {
        libc::ARPHRD_ETHER => "ether",
        libc::ARPHRD_LOOPBACK => "loopback",
        libc::ARPHRD_INFINIBAND => "infiniband",
        libc::ARPHRD_CAN => "can",
        libc::ARPHRD_PPP => "ppp",
        RAWIP => "rawip",
        libc::ARPHRD_TUNNEL => "ipip",
        libc::ARPHRD_TUNNEL6 => "tunnel6",
        libc::ARPHRD_SIT => "sit",
        libc::ARPHRD_IPGRE => "gre",
        IP6GRE => "gre6",
        libc::ARPHRD_IEEE80211 => "ieee802.11",
        libc::ARPHRD_IEEE80211_RADIOTAP => "ieee802.11/radiotap",
        NETLINK => "netlink",
        VSOCKMON => "vsockmon",
        libc::ARPHRD_NONE => "none",
        other => return format!("[{other}]"),
    };
    name.to_owned()
}

/// Constants that the libc crate does not have.
const RAWIP: u16 = 519;
const IP6GRE: u16 = 823;
const NETLINK: u16 = 824;
const VSOCKMON: u16 = 826;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_link_layer_is_shown_by_number() {
        assert_eq!(
            (name(1), name(65_534), name(4_711)),
            ("ether".into(), "none".into(), "[4711]".into())
        );
    }
}
