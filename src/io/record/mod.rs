//! Capture files out: copies as records of pcap or pcapng.
//!
//! What belongs here: the two formats, and files that appear whole or not at all. What does not:
//! which copies there are.

#[cfg(target_os = "linux")]
mod nanoseconds;
#[cfg(target_os = "linux")]
mod output_file;
#[cfg(target_os = "linux")]
mod output_location;
#[cfg(target_os = "linux")]
mod partial_file;
mod pcap;
mod pcapng;

#[cfg(target_os = "linux")]
pub use output_file::OutputFile;
pub use pcap::{PcapSink, PcapWriter};
pub use pcapng::PcapngSink;

/// How fine the times of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

/// Whether a time is a whole number of microseconds.
#[inline]
const fn is_whole_microseconds(timestamp_ns: u64) -> bool {
    timestamp_ns.is_multiple_of(1_000)
}

/// The link type of all that is written here.
const ETHERNET: u32 = 1;

/// How much is held back before it is written, in bytes: large enough that a write is rare, small
/// enough to stay in the second-level cache.
const BUFFER_LEN: usize = 256 * 1024;
