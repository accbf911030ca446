//! Capture input: both formats in all their variants, damage, streams, compression, real files.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "the lengths of generated captures are known")]

mod build;
mod compressed;
mod damage;
mod links;
mod open;
mod pcap;
mod pcapng;
mod properties;
mod reading;
mod real_captures;
