//! The sum of the Internet checksum (RFC 1071), many bytes at a time.

/// The ones' complement sum of the 16-bit words of `bytes`, folded to 16 bits. An odd last byte is
/// the high half of a word. Sums of parts can be added if the length of each part but the last is
/// even.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    // Words of any width and byte order give the same sum, with swapped bytes (RFC 1071, section
    // 2). The compiler turns eight lanes of four bytes into vector instructions.
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut lanes = [0_u64; 8];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let (words, last) = rest.as_chunks();
    let mut padded = [0; 4];
    for (slot, byte) in padded.iter_mut().zip(last) {
        *slot = *byte;
    }
    let words = words.iter().chain([&padded]);
    let total = words.map(|word| u64::from(u32::from_ne_bytes(*word))).chain(lanes).sum();
    u64::from(u16::from_be(fold(total)))
}

/// Folds a sum to 16 bits. Only a sum of 0 becomes 0.
pub(super) fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The value to add to a sum to remove `word` from it (RFC 1624, section 3).
pub(super) fn complement(word: u16) -> u64 {
    u64::from(!word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::reference_sum as plain;
    use super::*;

    #[test]
    fn the_sum_matches_the_example_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn every_byte_counts_at_any_length() {
        for len in 0..200 {
            for set in 0..len {
                let mut bytes = vec![0; len];
                bytes[set] = 1;
                assert_eq!(sum(&bytes), if set % 2 == 0 { 0x100 } else { 1 });
            }
        }
        assert_eq!(sum(&vec![0xff; 600_001]), u64::from(plain(&vec![0xff; 600_001])));
    }

    proptest! {
        #[test]
        fn the_sum_equals_the_sum_of_16_bit_words(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            prop_assert_eq!(sum(&bytes), u64::from(plain(&bytes)));
        }

        #[test]
        fn subtracting_a_word_undoes_adding_it(word in any::<u16>(), others in 1_u64..1 << 40) {
            prop_assert_eq!(fold(others + u64::from(word) + complement(word)), fold(others));
        }
    }
}
