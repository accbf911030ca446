//! Live interfaces: frames as they pass, out of a packet ring or through pnet.
//!
//! What belongs here: opening an interface, waiting for frames without keeping them waiting,
//! lending them as they were on the wire. What does not: which interfaces there are and what
//! becomes of them (`links`), and what is made of super-frames (`repair`).
//!
//! ```text
//! kernel filter -> ring of blocks -> offload repair -> Burst
//!               -> bell (wakes a worker that sleeps while the wire is quiet)
//! ```

mod bell;
mod filter;
mod mend;
mod open;
mod reader;
mod rest;
mod ring_source;
mod wake;

use std::io;

pub use open::{RingOptions, open};
pub use ring_source::RingSource;
pub use wake::{Waker, waker};

use crate::dataplane::Source;

/// A source that frames come to by themselves.
pub trait LiveSource: Source + Send {
    /// How many frames came, and how many of them were lost because nobody took them in time,
    /// since it was last asked.
    fn take_counts(&mut self) -> (u64, u64);

    /// From now on nothing new comes in; what is there already is still lent.
    ///
    /// # Errors
    /// The kernel refuses.
    fn close(&mut self) -> io::Result<()>;
}
