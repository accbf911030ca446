//! The way of one packet: frame, flow key, mirror table, encapsulation, counters, the only loop.
//!
//! What belongs here: all that is done for each packet, and the shapes it is done with. What does
//! not: files, sockets, clocks, locks, names of users' things beyond what a report prints, and
//! allocation once a worker runs. It imports only `model`.
//!
//! ```text
//! Source::fill -> FlowKey::parse -> MirrorTable::decide -> OuterTemplate::wrap -> Sink::send
//! ```

mod copy;
mod counters;
mod docket;
mod door;
mod exclusions;
mod flow_cache;
mod flow_hash;
mod flow_key;
mod frame;
mod geneve;
mod headers;
mod loop_guard;
mod membership;
mod nesting;
mod outer;
mod rules;
mod rulings;
mod spread;
mod table;
mod verdict;
mod worker;
mod wrap;

pub use copy::{
    Copies, ETHERNET_LEN, Inner, MAX_OUTER_LEN, MirroredCopy, OuterHeader, UDP_VXLAN_LEN,
};
pub use counters::{Counters, DirectionCounters, SessionCounters};
pub use door::{DropCause, Drops, Sink, Source};
pub use flow_hash::{FIRST_SOURCE_PORT, SOURCE_PORTS, flow_hash, flow_tag};
pub use flow_key::FlowKey;
pub use frame::{BURST_LEN, Burst, Frame, MAX_BURST_LEN, Medium};
pub use geneve::GENEVE_FRONT_LEN;
pub use loop_guard::LoopGuard;
pub use outer::{MAX_INNER_OVER_IPV4, MAX_INNER_OVER_IPV6, OuterTemplate};
pub(crate) use outer::{fold, sum_of_pieces, sum_of_words};
pub use rules::{Decision, EngineKind, EngineStats, RuleSet};
pub use rulings::RuleCache;
pub use table::{MirrorTable, SessionEntry, TableParts, TargetEntry};
pub use verdict::{NotMirrored, Outcome, Taken, Verdict};
pub use worker::{StepError, Worker};
