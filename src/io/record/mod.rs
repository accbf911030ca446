//! Capture files out: copies as records of pcap or pcapng.
//!
//! What belongs here: the two formats, and files that appear whole or not at all. What does not:
//! which copies there are.

mod format;
mod nanoseconds;
mod output_file;
mod output_location;
mod partial_file;
mod pcap;
mod pcapng;

pub use format::Precision;
pub use output_file::OutputFile;
pub use pcap::{PcapSink, PcapWriter};
pub use pcapng::PcapngSink;
