//! Input and output: capture files, memory, queues, UDP sockets, pace, interfaces.
//!
//! What belongs here: all access to files, the network, time and the kernel. Where frames come from
//! is a [`Source`](crate::dataplane::Source), where copies go is a
//! [`Sink`](crate::dataplane::Sink). `sys` contains the only `unsafe` code of the crate. What does
//! not belong here: decisions about packets (`dataplane`), configuration (`control`) and messages
//! to the user (`cli`).

pub mod capture;
pub mod clock;
pub mod impair;
#[cfg(feature = "live")]
pub mod kernel;
#[cfg(feature = "live")]
pub mod links;
#[cfg(feature = "live")]
pub mod live;
pub mod memory;
#[cfg(feature = "live")]
pub mod memory_limit;
pub mod pace;
#[cfg(target_os = "linux")]
pub mod parallel;
#[cfg(all(unix, any(feature = "live", feature = "lab")))]
pub mod private_file;
pub mod queue;
pub(crate) mod random;
#[cfg(feature = "live")]
pub mod receive;
pub mod record;
pub mod repair;
#[cfg(feature = "live")]
mod reserved_name;
#[cfg(feature = "live")]
pub mod sandbox;
#[cfg(feature = "live")]
pub mod stop;
mod stop_flag;
#[cfg(feature = "endpoint")]
pub mod store;
pub(crate) mod sys;
#[cfg(feature = "live")]
pub mod udp;

pub use stop_flag::StopFlag;
