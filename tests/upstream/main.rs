//! The EC2 endpoint in front of another emulator of AWS: one that the tests write, and moto's
//! server where it is installed.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic where a value is not as expected"
)]

mod describe;
mod emulator;
mod forward;
mod learn;
mod moto;
mod stack;
mod tags;
