//! Pace: at which moment a copy is due, and waiting for it.
//!
//! What belongs here: what a user may say about speed, the arithmetic of due times, the clock
//! that the program waits by, and the sink that holds copies back until they are due. What does
//! not: sending itself (that is the sink behind it), and time as it stands in captures.

mod clock;
mod pacer;
mod scheduler;
mod sink;
mod speed;

pub use clock::{Clock, MonotonicClock};
pub use pacer::{Pacer, RATE_AHEAD_NS, RECORDED_AHEAD_NS};
pub use sink::PacedSink;
pub use speed::Speed;
