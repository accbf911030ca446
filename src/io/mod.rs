//! Doors: capture files, memory, queues, UDP sockets, pace, interfaces.
//!
//! What belongs here: everything that touches the world for the data plane, each door a `Source`
//! or a `Sink`, and in `sys` the only `unsafe` of the crate. What does not: decisions about
//! packets (`dataplane`), configuration (`control`), words for the user (`cli`).

pub mod capture;
pub mod clock;
#[cfg(feature = "live")]
pub mod links;
#[cfg(feature = "live")]
pub mod live;
pub mod memory;
#[cfg(feature = "live")]
pub mod memory_limit;
pub mod pace;
#[cfg(feature = "live")]
pub mod private_file;
pub mod queue;
#[cfg(feature = "live")]
pub mod receive;
pub mod record;
pub mod repair;
#[cfg(feature = "live")]
pub mod sandbox;
pub mod stop;
#[cfg(feature = "endpoint")]
pub mod store;
pub(crate) mod sys;
#[cfg(feature = "live")]
pub mod udp;

pub use stop::StopFlag;
