//! The kernel's filter in front of a ring: classic BPF that keeps out what nobody wants.
//!
//! What belongs here: which frames, and how much of them, the sessions of an interface can want at
//! all, the program that says so to the kernel, and when it pays. What does not: which session
//! takes a frame, which is decided once, in the data plane. Everything here may let through too
//! much and never too little.
//!
//! ```text
//! our mark, and can be a copy of ours  -> nothing
//! not plain IP                         -> whole
//! matches no rule of any session       -> nothing   (only under load: `switch`)
//! short, unfinished, super, tunnelled  -> whole
//! from a source port of copies         -> whole     (what it carries is looked at: loop guard)
//! else                                 -> the longest PacketLength
//! ```

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

/// When the kernel drops frames that no session of the interface can want. Such frames are not
/// counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KernelFilter {
    /// While many more frames come than are mirrored.
    #[default]
    Auto,
    /// All the time.
    Always,
    /// Never; and frames are not cut there either.
    Never,
}

/// How the kernel's filter of a source stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterState {
    /// The kernel drops what no session can want, so not all frames are counted.
    pub is_filtering: bool,
    /// Frames that were cut although a checksum or the segments were still to be made. At the
    /// first of them cutting ends.
    pub overtruncated: u64,
}

/// What came in some time, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficSample {
    /// How long the time was.
    pub elapsed_ns: u64,
    /// Frames that came.
    pub frames: u64,
    /// Copies that were made.
    pub mirrored: u64,
}

/// Lets nothing through.
pub(super) fn reject_all() -> Vec<Instruction> {
    vec![Instruction::returning(0)]
}

/// Puts a filter in the place of the one before, at once.
pub(super) fn attach(socket: &Socket, filter: &[Instruction]) -> io::Result<()> {
    let filter: Vec<SockFilter> = filter.iter().copied().map(Instruction::to_sock_filter).collect();
    socket.attach_filter(&filter)
}
