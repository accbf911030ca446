//! Capture input: both formats in all their variants, damage, streams, compression, real files.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken test ends")]
#![expect(clippy::indexing_slicing, reason = "the tests know the lengths of what they build")]

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
