//! The lengths of the outer headers, and the outer headers of one copy.

use std::ops::Deref;

/// The longest outer header: Ethernet, IPv6, UDP, GENEVE, and again IPv6, UDP, VXLAN.
pub const MAX_OUTER_LEN: usize = VXLAN_OUTER_LEN + GENEVE_OVERHEAD_LEN[1];

/// The longest one without GENEVE: Ethernet, IPv6, UDP, VXLAN.
pub(super) const VXLAN_OUTER_LEN: usize = 70;

/// Ethernet header of the outer frame; only capture files bear it.
pub const ETHERNET_LEN: usize = 14;

/// UDP and VXLAN header: the end of every outer header.
pub const UDP_VXLAN_LEN: usize = 16;

/// What GENEVE adds to a copy, in bytes: GENEVE with its options, and a second UDP and IP header.
pub const GENEVE_OVERHEAD_LEN: [usize; 2] = [40 + 28, 40 + 48];

/// The outer headers of one copy, from Ethernet to VXLAN, by value.
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
