//! Queries the kernel for its network interfaces, their changes, routes, neighbours and offloads,
//! and creates the devices of the kernel tier.
//!
//! What belongs here: requests to the kernel (rtnetlink, ethtool) and its responses as plain
//! values. What does not belong here: sockets that carry frames, and decisions based on a response.
//!
//! Everything here refers to the network namespace of the calling thread.
//!
//! Responses are parsed attribute by attribute, and an invalid attribute is skipped. So an
//! interface is not lost if a newer kernel sends more or longer attributes. This is the reason not
//! to use netlink-packet-route, which fails on the whole message.

mod address;
mod link;
mod link_layer;
mod link_watch;
mod list;
mod namespace_thread;
mod neighbour;
mod netlink;
mod offloads;
mod pad;
mod route;
mod route_watch;

pub use super::sys::namespace::enter_network_namespace;
pub use link::Link;
pub use link_watch::{LinkEvent, LinkWatch};
pub use list::{link_by_index, link_by_name, links};
pub use namespace_thread::NamespaceThread;
pub use neighbour::{Neighbour, neighbour, resolve_neighbour};
pub use offloads::{Offloads, offloads};
pub use pad::Pad;
pub use route::{Route, RouteKey, route_to};
pub use route_watch::RouteWatch;
