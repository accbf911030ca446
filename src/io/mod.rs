//! Input and output: capture files, memory, queues, UDP sockets, pace, interfaces.
//!
//! What belongs here: all access to files, the network, time and the kernel. Where frames come from
//! is a [`Source`](crate::dataplane::Source), where copies go is a
//! [`Sink`](crate::dataplane::Sink). `sys` contains the only `unsafe` code of the crate. What does
//! not belong here: decisions about packets (`dataplane`), configuration (`control`) and messages
//! to the user (`cli`).

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
