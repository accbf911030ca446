//! `run` in network namespaces: a mirrored host, a wire, and a monitor that checks the copies.
//!
//! Needs `ip`, `ethtool` and `setpriv`, and root or a user namespace in which it is root; prints
//! `NOT RUN:` otherwise.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop where its input is not as it should"
)]

mod access_control;
mod addresses;
mod attacks;
mod aws_cli;
mod binding;
mod byte_exact;
mod capacity;
mod collector;
mod concurrent_clients;
mod connection;
mod crash_recovery;
mod descriptors;
mod endpoint;
mod frames;
mod full_disk;
mod impair;
mod kernel_tier;
mod lab;
mod library;
mod link_changes;
mod loops;
mod mirror;
mod mtu;
mod mutual_mirroring;
mod order;
mod recorder;
mod reload;
mod run_options;
mod sandbox;
mod sessions;
mod shutdown;
mod soak;
mod tap;
mod target_outage;
mod target_port;
mod terraform;
mod tier_switch;
mod traffic;
mod unprivileged;
mod vpn;
mod waiting;
