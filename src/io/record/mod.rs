//! Writes capture files: copies as records of pcap or pcapng.
//!
//! What belongs here: the two formats, and output files that are complete or absent. What does not
//! belong here: the selection of copies.

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
