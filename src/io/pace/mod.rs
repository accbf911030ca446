//! Pacing: computes when a copy is due and waits until then.
//!
//! What belongs here: the speeds that a user can give, the computation of due times, the clock for
//! waiting, and the sink that delays copies. What does not: sending (the inner sink), and the
//! timestamps of captures.

mod clock;
mod max_gap;
mod pacer;
mod recorded_time;
mod scheduler;
mod sink;
mod speed;

pub use clock::{Clock, MonotonicClock};
pub use max_gap::MaxGap;
pub use pacer::{Pacer, RATE_AHEAD_NS, RECORDED_AHEAD_NS};
pub use sink::PacedSink;
pub use speed::Speed;
