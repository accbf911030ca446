//! The bytes of the inner frame of a copy, borrowed from the source.

/// The inner frame of a copy, in the two pieces that the source lent it in; the second one is
/// nearly always empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerBytes<'a> {
    /// From the destination MAC address on.
    pub head: &'a [u8],
    /// What follows it.
    pub tail: &'a [u8],
}

impl<'a> InnerBytes<'a> {
    /// How many bytes it has.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No more than its first `len` bytes.
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

    /// Both pieces in one.
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
