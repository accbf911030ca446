//! The bytes of the inner frame of a copy, borrowed from the source.

/// The inner frame of a copy, in two pieces as the source lent it. The second piece is empty except
/// for a segment of a super-frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerBytes<'a> {
    /// The first piece; it begins with the destination MAC address.
    pub head: &'a [u8],
    /// The bytes after `head`.
    pub tail: &'a [u8],
}

impl<'a> InnerBytes<'a> {
    /// Length of both pieces in bytes.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether both pieces are empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same frame, truncated to at most `len` bytes.
    #[inline]
    #[must_use]
    pub fn cut(self, len: usize) -> Self {
        match self.head.get(..len) {
            Some(head) => Self { head, tail: &[] },
            None => {
                let left = len.saturating_sub(self.head.len());
                Self { tail: self.tail.get(..left).unwrap_or(self.tail), ..self }
            }
        }
    }

    /// Both pieces in one vector.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        [self.head, self.tail].concat()
    }
}

impl<'a> From<&'a [u8]> for InnerBytes<'a> {
    fn from(head: &'a [u8]) -> Self {
        Self { head, tail: &[] }
    }
}
