//! Doors: capture files, memory, UDP sockets, pace. Everything that touches the world for the
//! data plane, and in `sys` the only `unsafe` of the crate.

pub mod pace;
pub mod receive;
pub mod stop;
mod sys;
pub mod udp;

pub use stop::StopFlag;
