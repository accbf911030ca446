//! Capture files: pcap and pcapng, mapped or streamed, plain or compressed.
//!
//! What belongs here: everything from a file's name to frames. What does not: what the frames
//! mean. One parser for each format works on a window of bytes, whether that window is the whole
//! mapped file or the part of a stream that has come so far.

mod block_options;
mod error;
mod format;
mod frames;
mod interruptible;
mod link_type;
mod open;
mod pcap;
mod pcapng;
mod record;
mod source;
mod timestamp_resolution;
mod window;
mod zstd;

pub use error::DamagedCapture;
pub use open::OpenError;
pub use record::MAX_RECORD_LEN;
pub use source::CaptureSource;
