//! Reads capture files: pcap and pcapng, mapped or streamed, plain or compressed.
//!
//! What belongs here: everything from the name of a file to its frames. What does not belong here:
//! the evaluation of the frames. There is one parser for each format. It works on a window of
//! bytes, which is the whole mapped file or the part of a stream that was received so far.

mod block_options;
mod chunk;
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

pub use chunk::CaptureChunk;
pub use error::DamagedCapture;
pub use open::OpenError;
pub use record::MAX_RECORD_LEN;
pub use source::CaptureSource;
