//! Completes, in place, a checksum that was left to the network card.

use super::crc32c::crc32c;
use super::offload::Offload;
use super::packet::{IpPacket, SCTP};
use super::sum::{fold, sum};

/// Offset of the checksum in the SCTP header (RFC 9260, section 3.1).
const SCTP_CHECKSUM_AT: usize = 8;

/// Completes the checksum of `frame`, which begins with the destination MAC address. The frame must
/// be captured completely, because the checksum covers all bytes.
///
/// Like `skb_checksum_help` of the kernel, this sums up to the end of the frame and expects the sum
/// of the pseudo-header in the checksum field. It writes 0xffff for zero for every protocol ("If
/// the computed checksum is zero, it is transmitted as all ones", RFC 768). SCTP gets its CRC32c
/// instead.
///
/// Example: the bytes from `csum_start` to the end sum to 0x1234, including the pseudo-header's
/// sum. The field becomes 0xedcb, the complement.
///
/// Returns false and changes nothing if the checksum is not within the frame. Returns true also if
/// there is nothing to complete.
pub fn finish_checksum(frame: &mut [u8], offload: &Offload) -> bool {
    let Some((start, offset)) = offload.unfinished_checksum() else {
        return true;
    };
    if offset == SCTP_CHECKSUM_AT && is_sctp(frame, start) {
        return frame.get_mut(start..).is_some_and(put_crc);
    }
    frame.get_mut(start..).is_some_and(|covered| put_checksum(covered, offset))
}

fn is_sctp(frame: &[u8], start: usize) -> bool {
    IpPacket::parse(frame).is_some_and(|ip| ip.protocol == SCTP && ip.transport == start)
}

fn put_checksum(covered: &mut [u8], offset: usize) -> bool {
    let total = sum(covered);
    let Some(field) = covered.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) else {
        return false;
    };
    let checksum = match !fold(total) {
        0 => u16::MAX,
        checksum => checksum,
    };
    *field = checksum.to_be_bytes();
    true
}

fn put_crc(covered: &mut [u8]) -> bool {
    let Some((head, rest)) = covered.split_at_mut_checked(SCTP_CHECKSUM_AT) else {
        return false;
    };
    let Some((field, chunks)) = rest.split_first_chunk_mut::<4>() else {
        return false;
    };
    // The checksum field counts as zero (RFC 9260, section 6.8).
    *field = crc32c(&[head, &[0; 4], chunks]);
    true
}
