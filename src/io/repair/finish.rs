//! Finishes a checksum that was left for the network card, in its place.

use super::crc32c::crc32c;
use super::offload::Offload;
use super::packet::{IpPacket, SCTP};
use super::sum::{fold, sum};

/// Where SCTP keeps its checksum (RFC 9260, section 3.1).
const SCTP_CHECKSUM_AT: usize = 8;

/// Finishes the checksum of `frame`, which begins with its destination MAC address and was captured
/// whole: of a frame that was cut, the sum is not known.
///
/// As `skb_checksum_help` of the kernel, this sums to the end of the frame, takes the field to hold
/// the pseudo-header's sum, and puts 0xffff for zero whatever the protocol ("If the computed
/// checksum is zero, it is transmitted as all ones", RFC 768). SCTP gets its CRC32c instead.
///
/// False where the checksum would not lie within the frame, which is then left alone. True
/// also where there was nothing to finish.
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
    // It is counted with zeros in its own place (RFC 9260, section 6.8).
    *field = crc32c(&[head, &[0; 4], chunks]);
    true
}
