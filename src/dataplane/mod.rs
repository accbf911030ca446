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
mod door;
mod frame;
mod table;
mod verdict;

pub use copy::{Copies, CopyRef, ETHERNET_LEN, MAX_OUTER_LEN, MirroredCopy, UDP_VXLAN_LEN};
pub use door::{DropCause, Drops, Sink, Source};
pub use frame::{BURST_LEN, Burst, Frame, Medium};
pub use table::{InterfaceEntry, MirrorTable, SessionEntry, TargetEntry};
pub use verdict::{NotMirrored, Outcome, Taken, Verdict};
