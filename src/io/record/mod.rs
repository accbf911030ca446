//! Writes capture files: copies as records of pcap or pcapng.
//!
//! What belongs here: the two formats, and output files that are complete or absent. What does not
//! belong here: the selection of copies.

mod format;
#[cfg(target_os = "linux")]
mod nanoseconds;
#[cfg(target_os = "linux")]
mod ordered_file;
#[cfg(target_os = "linux")]
mod output_file;
#[cfg(target_os = "linux")]
mod output_location;
#[cfg(target_os = "linux")]
mod partial_file;
mod pcap;
mod pcapng;
mod record_buffer;
mod record_clock;

pub use format::Precision;
#[cfg(target_os = "linux")]
pub use ordered_file::{ChunkSink, OrderedFile};
#[cfg(target_os = "linux")]
pub use output_file::OutputFile;
pub use pcap::{PcapSink, PcapWriter};
pub use pcapng::PcapngSink;
