//! The HTTP/1.1 listener of every port that the program opens.
//!
//! What belongs here: connections, their bounds and time-outs, TLS, and the checks that hold for
//! each request whatever its path: the Host header and the headers that browsers send. What does
//! not: the pages and actions behind a port, which implement [`Service`].
//!
//! ```text
//! accept -> ConnectionTable (bounds) -> TLS -> head -> Host, Origin -> body -> Service -> answer
//! ```
//!
//! A web page can make its reader's browser send requests to any address that the reader reaches.
//! Its Origin header gives most of them away. A page whose own name was made to resolve to our
//! address (DNS rebinding) sends none, but its requests bear that name as Host. So a request is
//! accepted only for names that are known beforehand ([`HostNames`]).

mod browser;
mod connection;
mod connection_table;
mod error;
mod host;
mod limits;
mod server;
mod service;
mod tls;

pub use error::HttpError;
pub use host::HostNames;
pub use limits::Limits;
pub use server::{Event, Options, Server, serve};
pub use service::Service;
pub use tls::Certificate;
