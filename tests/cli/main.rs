//! The command line as a user runs it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bad_input;
mod bench;
mod bench_compare;
mod contrib;
mod files;
mod hcl;
mod help;
mod impair;
mod interfaces;
mod lab;
mod mistakes;
mod outputs;
mod parameters;
mod receive;
mod receive_ending;
mod run;
mod sandbox;
mod signals;
mod target_addresses;
mod terminal;
mod tier;
mod unused_options;
mod workers;
