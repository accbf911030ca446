//! The EC2 endpoint: requests in the EC2 query protocol, responses in XML, over `control::account`.
//!
//! What belongs here: the format, signature and response of a request, and limits against misuse by
//! clients. What does not: the consistency of resources (`control`), sockets for packets (`io`),
//! options of the program (`cli`).
//!
//! ```text
//! connection -> authenticate (account, action) -> Describe actions: read under a shared lock
//!                                              -> changes: one writer thread executes a batch,
//!                                                 persists it, publishes it to the data plane,
//!                                                 and sends the responses
//! ```

mod actions;
mod authenticate;
mod credentials;
mod describe;
mod endpoint;
mod error_response;
mod form;
mod http_response;
mod relay;
mod server;
mod signature;
mod sts;
mod upstream;
mod xml;

/// The crate whose types [`Endpoint::respond`] takes.
pub use ::http;
pub use credentials::{Access, Credentials};
pub use endpoint::{Endpoint, Persist, Publish, PublishedChange};
pub use server::serve;
pub use upstream::Upstream;
