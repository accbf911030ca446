//! The Internet checksum (RFC 1071) over the pieces of a packet.

use super::inner_bytes::InnerBytes;

/// A second piece that begins at an odd place has its words the other way round (RFC 1071,
/// section 2 (B)).
#[inline]
pub(crate) fn sum_of_pieces(inner: InnerBytes<'_>) -> u64 {
    let head = sum_of_words(inner.head);
    if inner.tail.is_empty() {
        return head;
    }
    let tail = fold(sum_of_words(inner.tail));
    let is_odd = inner.head.len() % 2 == 1;
    head + u64::from(if is_odd { tail.swap_bytes() } else { tail })
}

/// Sum of big-endian 16-bit words, the last one filled up with a zero byte (RFC 1071), folded
/// so far that it can be added to others.
#[inline]
pub(crate) fn sum_of_words(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    let mut sum = 0_u64;
    for chunk in &mut chunks {
        sum += u64::from(u32::from_ne_bytes(chunk.try_into().unwrap_or_default()));
    }
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(chunks.remainder()) {
        *place = *byte;
    }
    sum += u64::from(u32::from_ne_bytes(last));
    // Byte order does not matter to the sum but for a swap at its end (RFC 1071, section 2 (B)).
    u64::from(u16::from_be_bytes(fold(sum).to_ne_bytes()))
}

#[inline]
pub(crate) fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from(sum & 0xffff).unwrap_or_default()
}
