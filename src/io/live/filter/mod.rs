//! The kernel filter of a ring: a classic BPF program (`Documentation/networking/filter.rst` of
//! Linux) that drops frames that no session can mirror, and truncates frames to the longest
//! PacketLength.
//!
//! What belongs here: which frames, and how many bytes of them, the sessions of an interface can
//! mirror; the program for that; and when it runs. What does not: which session mirrors a frame,
//! which the data plane decides. A filter may accept too much and never too little.
//!
//! ```text
//! our mark, and can be a copy of ours          -> drop
//! not plain IPv4 or IPv6                       -> accept whole
//! matches no rule of any session               -> drop (only under load: `auto_filter`)
//! short, unfinished checksum, super-frame      -> accept whole (offload repair needs all bytes)
//! tunnel, or a source port of copies           -> accept whole (the loop guard reads the content)
//! all others                                   -> truncate to the longest PacketLength
//! ```
//!
//! Example: the sessions of an interface accept ingress TCP to port 443, with PacketLength 128.
//! Under load, an incoming frame of 1,514 bytes to port 443 with a complete checksum is truncated
//! to 128 bytes. The same frame to port 22 is dropped in the kernel and not counted. A frame of 64
//! KiB to port 443 is a super-frame and is accepted whole, because each of its segments is
//! mirrored.

mod auto_filter;
mod controller;
mod layout;
mod own_copies;
mod program;
mod program_builder;
#[cfg(test)]
mod tests;
mod wanted_packets;

use std::io;

use socket2::{SockFilter, Socket};

pub(super) use controller::{FilterSockets, KernelFilterController};
pub(super) use program::{MAX_SNAPLEN, exclude_own_copies};
pub(super) use program_builder::Instruction;

/// When the kernel drops frames that no session of the interface can mirror. Such frames are not
/// counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KernelFilter {
    /// While fewer than half of more than 50,000 frames/s are mirrored.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never. The kernel does not truncate frames either.
    Never,
}

/// The state of the kernel filter of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterState {
    /// Whether the kernel drops frames that no session can mirror, so that not all frames are
    /// counted.
    pub is_filtering: bool,
    /// Frames that were truncated although their checksum or segmentation was unfinished. After the
    /// first one the kernel truncates no more frames.
    pub overtruncated: u64,
}

/// The traffic of a source in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficSample {
    /// Length of the interval in nanoseconds.
    pub elapsed_ns: u64,
    /// Frames that were received.
    pub frames: u64,
    /// Frames that were mirrored.
    pub mirrored: u64,
}

/// A filter that accepts no frames.
pub(super) fn reject_all() -> Vec<Instruction> {
    vec![Instruction::returning(0)]
}

/// Replaces the filter of a socket atomically.
pub(super) fn attach(socket: &Socket, filter: &[Instruction]) -> io::Result<()> {
    let filter: Vec<SockFilter> = filter.iter().copied().map(Instruction::to_sock_filter).collect();
    socket.attach_filter(&filter)
}
