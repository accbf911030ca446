//! One packet record of a capture file, the same for both formats.

use crate::model::Direction;

/// The longest record that is accepted, in bytes. A longer length means that the file is damaged:
/// the longest frames come from segmentation offload with BIG TCP and have at most 512 KiB.
pub const MAX_RECORD_LEN: usize = 16 * 1024 * 1024;

/// One packet of a capture.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketRecord<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) wire_len: u32,
    pub(super) timestamp_ns: u64,
    pub(super) link_type: u16,
    pub(super) direction: Option<Direction>,
    /// The length of the record in the capture, in bytes.
    pub(super) stored_len: usize,
}

impl PacketRecord<'_> {
    /// The record without the frame check sequence of `fcs_len` bytes that the capture declares.
    ///
    /// AWS mirrors frames without one, so a copy must not contain it. A truncated record may
    /// contain a part of it or none. A record that is shorter than `fcs_len` on the wire stays
    /// unchanged.
    #[inline]
    pub(super) fn without_fcs(self, fcs_len: u8) -> Self {
        if fcs_len == 0 {
            return self;
        }
        let Some(wire_len) = self.wire_len.checked_sub(fcs_len.into()) else { return self };
        let len = usize::try_from(wire_len).unwrap_or(usize::MAX);
        Self { bytes: self.bytes.get(..len).unwrap_or(self.bytes), wire_len, ..self }
    }
}

/// The warning that a frame check sequence of `fcs_len` bytes is removed, if there is one.
pub(super) fn fcs_warning(fcs_len: u8) -> Option<String> {
    (fcs_len > 0).then(|| {
        format!(
            "its frames end with a frame check sequence of {fcs_len} bytes; it is removed, because \
             AWS mirrors frames without one"
        )
    })
}
