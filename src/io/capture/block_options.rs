//! The options of a pcapng block: code, length, value, padded to four bytes.

/// Iterates over the options: code and value. An option that is longer than its block yields an
/// error and ends the iteration.
pub(super) struct BlockOptions<'a> {
    rest: &'a [u8],
    big_endian: bool,
}

impl<'a> BlockOptions<'a> {
    pub(super) const fn new(rest: &'a [u8], big_endian: bool) -> Self {
        Self { rest, big_endian }
    }

    fn read_u16(&self, pair: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }
}

impl<'a> Iterator for BlockOptions<'a> {
    type Item = Result<(u16, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&[c0, c1, l0, l1], tail) = std::mem::take(&mut self.rest).split_first_chunk()?;
        let code = self.read_u16([c0, c1]);
        if code == 0 {
            return None;
        }
        let len = usize::from(self.read_u16([l0, l1]));
        let Some((value, tail)) = tail.split_at_checked(len.next_multiple_of(4)) else {
            return Some(Err(format!("option {code} of {len} bytes in a shorter block")));
        };
        self.rest = tail;
        Some(Ok((code, value.get(..len).unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_the_block_end_or_at_code_0() {
        let bytes = [1, 0, 3, 0, 7, 8, 9, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0];
        let read: Vec<_> = BlockOptions::new(&bytes, false).map(Result::unwrap).collect();
        assert_eq!(read, [(1, &[7, 8, 9][..]), (2, &[])]);
        assert_eq!(BlockOptions::new(&bytes[..8], false).count(), 1);
        assert_eq!(BlockOptions::new(&[], true).count(), 0);
    }

    #[test]
    fn an_oversized_option_ends_the_list() {
        let read: Vec<_> = BlockOptions::new(&[0, 1, 0, 9, 0, 0, 0, 0, 1, 1], true).collect();
        assert_eq!(read, [Err("option 1 of 9 bytes in a shorter block".to_owned())]);
    }
}
