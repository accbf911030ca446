//! The wire of EC2: query protocol in, XML out, over `control::account`.
//!
//! What belongs here: how a request is written, signed and answered, and what a client may not do
//! to us. What does not: whether resources go together (that is `control`), sockets that carry
//! packets, the program's own options.
//!
//! ```text
//! a connection -> authenticate (who, what) -> read: Describe, under a shared lock
//!                                          -> changes: one writer thread takes what came
//!                                             together, changes the account, has it
//!                                             published, answers all
//! ```

mod actions;
mod authenticate;
mod credentials;
mod describe;
mod endpoint;
mod error_response;
mod form;
mod server;
mod signature;
mod sts;
mod xml;

/// The types in which a request comes to [`Endpoint::ask`].
pub use ::http;
pub use credentials::{Access, Credentials};
pub use endpoint::{Endpoint, Persist, Publish, PublishedChange};
pub use server::serve;
