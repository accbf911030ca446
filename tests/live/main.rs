//! `run` in network namespaces: a host that is mirrored, a wire, and a monitor that judges.
//!
//! Needs `ip`, `ethtool` and `setpriv`, and root or a user namespace in which it is root; says
//! aloud when it cannot run.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop where its input is not as it should"
)]

mod access;
mod addresses;
mod bytes;
mod capacity;
mod collector;
mod command_line;
mod confined;
mod connection;
mod crowd;
mod descriptors;
mod ending;
mod endpoint;
mod flags;
mod flaps;
mod frames;
mod full_disk;
mod hostile;
mod kills;
mod lab;
mod loops;
mod mirror;
mod mtu;
mod mutual;
mod namespace;
mod order;
mod recorder;
mod reload;
mod sessions;
mod soak;
mod tap;
mod target_port;
mod targets;
mod terraform;
mod traffic;
mod unprivileged;
mod vpn;
mod waiting;
