//! Doors: capture files, memory, queues, UDP sockets, pace, interfaces.
//!
//! What belongs here: everything that touches the world for the data plane, each door a `Source`
//! or a `Sink`, and in `sys` the only `unsafe` of the crate. What does not: decisions about
//! packets (`dataplane`), configuration (`control`), words for the user (`cli`).

pub mod capture;
pub mod clock;
pub mod links;
pub mod live;
pub mod memory;
pub mod memory_limit;
pub mod pace;
pub mod private_file;
pub mod queue;
pub mod receive;
pub mod record;
pub mod repair;
pub mod sandbox;
pub mod stop;
pub mod store;
pub(crate) mod sys;
pub mod udp;

pub use stop::StopFlag;
