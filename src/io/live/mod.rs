//! Live interfaces: frames as they pass, out of a packet ring or through pnet.
//!
//! What belongs here: opening an interface, waiting for frames without keeping them waiting,
//! lending them as they were on the wire. What does not: which interfaces there are and what
//! becomes of them (`links`), and what is made of super-frames (`repair`).
//!
//! ```text
//! kernel filter -> ring of blocks -> offload repair -> Burst
//!               -> wake socket (wakes a worker that sleeps while the wire is quiet)
//! ```
//!
//! What a ring delivered is compared with what was read from it (`ring_statistics`).

mod counts;
mod filter;
mod frame_repair;
mod idle_strategy;
mod memory_ring;
mod open;
mod options;
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

use crate::dataplane::{MirrorTable, Source};

/// A source that frames come to by themselves.
pub trait LiveSource: Source + Send {
    /// What was counted since the source was opened.
    fn counts(&mut self) -> SourceCounts;

    /// The same at the end: frames that are still in the source count as lost. Nothing is lent
    /// afterwards.
    fn final_counts(&mut self) -> SourceCounts {
        self.counts()
    }

    /// Whether frames have come that were not lent yet, as far as the kernel says.
    fn has_frames(&self) -> bool {
        false
    }

    /// Bytes of memory that the kernel fills with frames for this source; zero where it has none.
    fn memory_len(&self) -> usize;

    /// From now on the sessions of the interface at that index of this table are asked. Called
    /// before the table is in force, so that nothing is kept back which it wants. What came in
    /// earlier came in by the filter of the table before.
    ///
    /// # Errors
    /// The kernel refuses.
    fn set_table(&mut self, table: &MirrorTable, interface: u32) -> io::Result<()>;

    /// Hears what came of late and what became of it, about ten times a second.
    ///
    /// # Errors
    /// The kernel refuses.
    fn observe_traffic(&mut self, sample: &TrafficSample) -> io::Result<()>;

    /// How the kernel's filter stands.
    fn filter_state(&self) -> FilterState;

    /// What the user should hear, once.
    fn take_warnings(&mut self) -> Vec<String>;

    /// From now on nothing new comes in; what is there already is still lent.
    ///
    /// # Errors
    /// The kernel refuses.
    fn close(&mut self) -> io::Result<()>;
}
