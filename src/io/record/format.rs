//! Constants of the written formats, and the precision of their timestamps.

/// The precision of the timestamps of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

/// Whether a time is a whole number of microseconds.
#[inline]
pub(super) const fn is_whole_microseconds(timestamp_ns: u64) -> bool {
    timestamp_ns.is_multiple_of(1_000)
}

/// The link type of every written file: `LINKTYPE_ETHERNET`.
pub(super) const ETHERNET: u32 = 1;

/// Bytes that are buffered before a write: large enough that a write is rare, small enough to stay
/// in the second-level cache.
pub(super) const BUFFER_LEN: usize = 256 * 1024;

/// Lengths of the file header and of a record header of pcap, in bytes.
pub(super) const FILE_HEADER_LEN: usize = 24;
pub(super) const RECORD_HEADER_LEN: usize = 16;

/// The first four bytes of a pcap file with timestamps in microseconds or nanoseconds.
pub(super) const MICROSECOND_MAGIC: u32 = 0xa1b2_c3d4;
pub(super) const NANOSECOND_MAGIC: u32 = 0xa1b2_3c4d;
