//! The lengths of the outer headers, and the outer headers of one copy.

use std::ops::Deref;

/// Length of the longest outer header in bytes: Ethernet, IPv6, UDP, GENEVE, IPv6, UDP, VXLAN.
pub const MAX_OUTER_LEN: usize = VXLAN_OUTER_LEN + GENEVE_OVERHEAD_LEN[1];

/// Length of the longest outer header without GENEVE in bytes: Ethernet, IPv6, UDP, VXLAN.
pub(super) const VXLAN_OUTER_LEN: usize = 70;

/// Length of the outer Ethernet header in bytes. Only copies in capture files have one.
pub const ETHERNET_LEN: usize = 14;

/// Length of the UDP and VXLAN headers in bytes. They end every outer header.
pub const UDP_VXLAN_LEN: usize = 16;

/// Bytes that GENEVE adds to a copy over IPv4 and over IPv6: the GENEVE header with its options,
/// and a second UDP and IP header.
pub const GENEVE_OVERHEAD_LEN: [usize; 2] = [40 + 28, 40 + 48];

/// The outer headers of one copy, from Ethernet to VXLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterHeader {
    pub(crate) bytes: [u8; MAX_OUTER_LEN],
    pub(crate) len: usize,
}

impl Deref for OuterHeader {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}
