//! What the kernel says of its network interfaces: a list, changes as they come, routes, offloads.
//!
//! What belongs here: questions to the kernel (rtnetlink, ethtool) and its answers as plain
//! values. What does not: sockets that carry frames, and what follows from an answer.
//!
//! Everything here speaks of the network namespace that the calling thread is in.
//!
//! Answers are read attribute by attribute, and one that is not as it should be is passed over: a
//! newer kernel that says more, or says it at greater length, hides no interface. That is why
//! netlink-packet-route is not used, whose messages are understood as a whole or not at all.

mod address;
mod link;
mod link_layer;
mod link_watch;
mod list;
mod namespace_thread;
mod neighbour;
mod netlink;
mod offloads;
mod route;
mod route_watch;

pub use super::sys::namespace::enter_network_namespace;
pub use link::Link;
pub use link_watch::{LinkEvent, LinkWatch};
pub use list::{link_by_index, link_by_name, links};
pub use namespace_thread::NamespaceThread;
pub use neighbour::{Neighbour, neighbour};
pub use offloads::{Offloads, offloads};
pub use route::{Route, RouteKey, route_to};
pub use route_watch::RouteWatch;
