//! Fault injection: loses, duplicates, reorders and corrupts copies on their way to a sink, to test
//! the collector that receives them.
//!
//! What belongs here: the faults that a user can request, the random decisions, and the sink that
//! carries them out. What does not belong here: losses that were not requested, which are drops.
//!
//! The decisions depend on the seed and on the number of the copy, and on nothing else: not on
//! bursts, time or threads. Each kind of fault has random numbers of its own, so another share of
//! one kind does not change which copies the others concern.
//!
//! ```text
//! impairments   the requested faults: loss=1%,duplicate=0.1%,reorder=2%:8,corrupt=0.01%
//! sampler       the decision for each copy
//! counts        what was done
//! delayed       the copies that wait until others have overtaken them
//! batch         the copies of one call, as the inner sink receives them
//! sink          all together
//! optional      a sink with or without faults, selected at the start
//! ```

mod batch;
mod counts;
mod delayed;
mod impairments;
mod optional;
mod sampler;
mod sink;

pub use counts::ImpairmentCounts;
pub use impairments::{Impairments, Probability, Reordering};
pub use optional::OptionallyImpaired;
pub use sampler::seed_of;
pub use sink::ImpairedSink;
