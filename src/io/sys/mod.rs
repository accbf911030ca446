//! The only `unsafe` of the crate: memory mappings, prefetch, and the system calls that no safe
//! library offers in the shape we need. Each block names its invariant and who keeps it.
#![expect(unsafe_code, reason = "this is the one place for it")]

mod map;

pub(crate) use map::{Map, prefetch};
