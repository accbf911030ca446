//! CRC32c, the checksum of SCTP (RFC 9260, appendix A). It processes one byte at a time, because
//! SCTP is rare.

/// The polynomial 0x1EDC6F41 with reversed bits.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of the concatenated `parts`, in transmission order.
pub(super) fn crc32c(parts: &[&[u8]]) -> [u8; 4] {
    let bytes = parts.iter().copied().flatten();
    let register = bytes.fold(u32::MAX, |register, byte| {
        let [low, ..] = (register ^ u32::from(*byte)).to_le_bytes();
        TABLE.get(usize::from(low)).copied().unwrap_or_default() ^ (register >> 8)
    });
    (!register).to_le_bytes()
}

/// The effect of each byte value on the register.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut byte = 0;
    while let Some((entry, others)) = rest.split_first_mut() {
        *entry = shifted(byte);
        byte += 1;
        rest = others;
    }
    table
};

const fn shifted(mut register: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        register = if register & 1 == 0 { register >> 1 } else { (register >> 1) ^ POLYNOMIAL };
        bit += 1;
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_matches_published_check_values() {
        // The usual check value, and two values of RFC 3720, appendix B.4 (the digest of iSCSI).
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283_u32.to_le_bytes());
        assert_eq!(crc32c(&[&[0; 32]]), [0xaa, 0x36, 0x91, 0x8a]);
        assert_eq!(crc32c(&[&[0xff; 20], &[0xff; 12]]), [0x43, 0xab, 0xa8, 0x62]);
    }
}
