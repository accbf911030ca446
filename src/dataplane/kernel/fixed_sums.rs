//! The sums of the words of outer headers that are the same for all copies of a path.

use std::ops::Range;

use super::context::HeaderKind;
use super::far_headers::{
    GENEVE_OVER_IPV6_LEN, IN_GENEVE_IPV4, IN_GENEVE_IPV6, OUTER, VXLAN_OVER_IPV6_LEN,
};
use crate::dataplane::encap::{fold, sum_of_words};

const UDP: u64 = 17;
/// The sum of an IPv6 packet with a UDP datagram whose checksum is correct. The datagram and its
/// pseudo-header sum to zero. The header differs from the pseudo-header by its first word 0x6000
/// and by the hop limit, which is in one word 0x11ff with the protocol.
const PACKET_WITH_CHECKSUM: u64 = 0x6000 + 0x11ff - UDP;

/// Sets the fields to zero that the programs write, and returns the sum of the other words that a
/// checksum has: in the lower 16 bits for the first checksum, in the upper ones for that in GENEVE.
pub(super) fn take_fixed_sums(kind: HeaderKind, header: &mut [u8]) -> u32 {
    let outer = usize::from(OUTER.unsigned_abs());
    let in_ipv4 = usize::from(IN_GENEVE_IPV4.unsigned_abs());
    let in_ipv6 = usize::from(IN_GENEVE_IPV6.unsigned_abs());
    let vxlan_end = usize::from(VXLAN_OVER_IPV6_LEN.unsigned_abs());
    let geneve_end = usize::from(GENEVE_OVER_IPV6_LEN.unsigned_abs());
    let (first, second) = match kind {
        HeaderKind::VxlanOverIpv4 => (take_ipv4_sum(header, outer), 0),
        HeaderKind::VxlanOverIpv6 => (take_ipv6_sum(header, outer..vxlan_end), 0),
        HeaderKind::GeneveOverIpv4 => {
            (take_ipv4_sum(header, outer), take_ipv4_sum(header, in_ipv4))
        }
        HeaderKind::GeneveOverIpv6 => {
            let sum = take_ipv6_sum(header, outer..in_ipv6) + PACKET_WITH_CHECKSUM;
            (sum, take_ipv6_sum(header, in_ipv6..geneve_end))
        }
    };
    u32::from(fold(second)) << 16 | u32::from(fold(first))
}

/// The sum of the IPv4 header that begins at `start`.
fn take_ipv4_sum(header: &mut [u8], start: usize) -> u64 {
    clear(header, start + 2..start + 4);
    clear(header, start + 10..start + 12);
    header.get(start..start + 20).map_or(0, sum_of_words)
}

/// The sum of the pseudo-header and of the UDP header and what follows it, of an IPv6 packet.
fn take_ipv6_sum(header: &mut [u8], range: Range<usize>) -> u64 {
    clear(header, range.start + 40..range.start + 42);
    clear(header, range.start + 44..range.start + 48);
    header.get(range.start + 8..range.end).map_or(0, sum_of_words) + UDP
}

fn clear(header: &mut [u8], range: Range<usize>) {
    header.get_mut(range).into_iter().flatten().for_each(|byte| *byte = 0);
}
