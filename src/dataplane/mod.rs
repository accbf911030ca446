//! The path of one packet: frame, flow key, mirror table, encapsulation, counters, and the only
//! loop that drives them.
//!
//! What belongs here: everything that runs for each packet, and the types that it uses. What does
//! not belong here: files, sockets, clocks, locks, and memory allocation after a worker has
//! started. Without them a worker runs in memory and gives the same result each time. This module
//! imports only `model`.
//!
//! ```text
//! Source::fill -> PlainLanes, LookupBatch -> RuleSet -> Copies -> Sink::send -> Counters
//! ```
//!
//! `worker` has the loop. `MirrorTable::decide` gives the outcome of a single flow key.

mod aws_exclusions;
mod compiled_rules;
mod compiled_target;
mod counters;
mod encap;
mod endpoints;
mod flow_cache;
mod flow_hash;
mod flow_key;
mod frame;
mod headers;
mod index;
mod interface_lookup;
mod ipv4_fields;
#[cfg(feature = "live")]
pub mod kernel;
mod known_targets;
mod lookup_batch;
mod loop_guard;
mod nesting;
mod plain_lanes;
mod rules;
mod table;
mod table_parts;
mod verdict;
mod worker;

pub use compiled_rules::RuleCache;
pub use compiled_target::CompiledTarget;
pub use counters::{Counters, DirectionCounters, SessionCounters};
pub(crate) use encap::CopyRef;
pub use encap::{
    Copies, ETHERNET_LEN, GENEVE_OVERHEAD_LEN, InnerBytes, MAX_INNER_OVER_IPV4,
    MAX_INNER_OVER_IPV6, MAX_OUTER_LEN, MirroredCopy, OuterHeader, OuterTemplate, UDP_VXLAN_LEN,
};
#[cfg(feature = "live")]
pub(crate) use encap::{fold, sum_of_pieces, sum_of_words};
pub use endpoints::{DropCause, Drops, Sink, Source};
pub use flow_hash::{FIRST_SOURCE_PORT, SOURCE_PORTS, flow_hash, flow_tag};
pub use flow_key::FlowKey;
pub use frame::{BURST_LEN, Burst, Frame, MAX_BURST_LEN, Medium};
pub use index::{InterfaceIndex, RuleIndex, SessionIndex, TargetIndex};
pub use loop_guard::LoopGuard;
pub use rules::{Answer, EngineKind, EngineStats, RuleSet, SessionDecision};
pub use table::MirrorTable;
pub use table_parts::{CompiledSession, TableParts};
pub use verdict::{AcceptedBy, MirrorOutcome, NotMirrored, SessionMatch, Verdict};
pub use worker::{StepError, Worker};
