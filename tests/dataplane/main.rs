//! The data plane in memory: packets, rules, tables and counters, without files and sockets.

mod engines;
mod etherparse;
mod loops;
mod recompile;
mod truncated;
mod whole_path;
