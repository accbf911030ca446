//! The Internet checksum (RFC 1071) over the pieces of a packet.

use super::inner_bytes::InnerBytes;

/// Sum over both pieces of a frame. If the first piece has an odd length, the bytes of the second
/// piece's sum are swapped (RFC 1071, section 2 (B)).
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

/// Sum of big-endian 16-bit words; an odd last byte is padded with a zero byte (RFC 1071). The
/// result is folded to 16 bits, so that such sums can be added.
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
    // The sum can be taken in any byte order and swapped once at the end (RFC 1071, section 2 (B)).
    u64::from(u16::from_be_bytes(fold(sum).to_ne_bytes()))
}

/// Folds a sum to 16 bits: adds the carries to the low bits.
#[inline]
pub(crate) fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from(sum & 0xffff).unwrap_or_default()
}
