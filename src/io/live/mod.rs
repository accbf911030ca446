//! Live capture: reads the frames of a network interface from a packet ring, or through pnet.
//!
//! What belongs here: opening an interface, waiting for frames with low delay, and delivering them
//! as they were on the wire. What does not: listing interfaces (`links`) and segmenting
//! super-frames (`repair`).
//!
//! ```text
//! kernel filter -> ring of blocks -> offload repair -> Burst
//!               -> wake socket (wakes a worker that sleeps while there is no traffic)
//! ```
//!
//! `ring_statistics` compares the kernel's counters with what was read, so that every lost frame is
//! counted.

mod counts;
mod filter;
mod frame_repair;
mod idle_strategy;
mod memory_ring;
mod open;
mod options;
#[cfg(feature = "pnet")]
mod pnet;
mod ring_frames;
mod ring_reader;
mod ring_size;
mod ring_source;
mod ring_statistics;
mod socket_mark;
mod wake_socket;
mod waker;

use std::io;

#[cfg(feature = "pnet")]
pub use self::pnet::PnetSource;
pub use counts::SourceCounts;
pub use filter::{FilterState, KernelFilter, TrafficSample};
pub use memory_ring::{MemoryRing, SlotsPassed};
pub use open::open;
pub use options::RingOptions;
pub use ring_size::ring_memory_len;
pub use ring_source::RingSource;
pub use socket_mark::SocketMark;
pub use waker::Waker;

use crate::dataplane::{InterfaceIndex, MirrorTable, Source};

/// A source of frames from a network interface.
pub trait LiveSource: Source + Send {
    /// The counters since the source was opened.
    fn counts(&mut self) -> SourceCounts;

    /// The counters at the end: frames that are still in the source count as lost. The source
    /// delivers nothing afterwards.
    fn final_counts(&mut self) -> SourceCounts {
        self.counts()
    }

    /// Whether the kernel has stored frames that were not delivered yet.
    fn has_frames(&self) -> bool {
        false
    }

    /// Whether frames that were not delivered yet use at least half of the memory.
    fn is_half_full(&mut self) -> bool {
        false
    }

    /// Bytes of memory that the kernel fills with frames for this source; 0 if there is no such
    /// memory.
    fn memory_len(&self) -> usize;

    /// Adapts the kernel filter to the sessions of an interface of `table`. Call it before the table is used, so that the filter does not drop frames that the new table
    /// mirrors. Frames that are already in the source passed the filter of the previous table.
    ///
    /// # Errors
    /// The kernel rejects the filter.
    fn set_table(&mut self, table: &MirrorTable, interface: InterfaceIndex) -> io::Result<()>;

    /// Reports the recent traffic and how much of it was mirrored, about ten times per second.
    ///
    /// # Errors
    /// The kernel rejects the filter.
    fn observe_traffic(&mut self, sample: &TrafficSample) -> io::Result<()>;

    /// The state of the kernel filter.
    fn filter_state(&self) -> FilterState;

    /// Returns the warnings since the last call.
    fn take_warnings(&mut self) -> Vec<String>;

    /// Stops capturing. Frames that are already in the source are still delivered.
    ///
    /// # Errors
    /// The kernel rejects the filter.
    fn close(&mut self) -> io::Result<()>;
}
