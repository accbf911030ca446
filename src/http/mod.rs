//! The HTTP/1.1 listener of every port that the program opens.
//!
//! What belongs here: connections, their limits and time-outs, TLS, and the checks of every request
//! whatever its path: the Host header and the headers that browsers send. What does not belong
//! here: the pages and actions of a port, which implement [`Service`].
//!
//! ```text
//! accept -> ConnectionTable (limits) -> TLS -> head -> Host, Origin -> body -> Service -> response
//! ```
//!
//! A web page can make its user's browser send requests to every address that the user can reach.
//! The Origin header reveals most of these requests. A page whose own name resolves to our address
//! (DNS rebinding) sends no Origin, but its requests have that name in the Host header. So a
//! request is accepted only for names that are configured in advance ([`HostNames`]).

mod body;
mod browser;
mod connection;
mod connection_table;
mod error;
mod health;
mod host;
mod limits;
mod server;
mod service;
mod tls;

pub use body::Body;
pub use error::HttpError;
pub use health::healthy_text;
pub use host::HostNames;
pub use limits::Limits;
pub use server::{Event, Options, Server, serve};
pub use service::Service;
pub use tls::Certificate;
