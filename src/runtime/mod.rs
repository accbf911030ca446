//! Live mirroring as a library: captures interfaces and sends copies over UDP until it is stopped.
//!
//! What belongs here: threads, commands to them, changes of the resources, devices that appear and
//! disappear, the endpoint and the metrics of a run. Options and events are values: this module
//! prints nothing and does not know the command line. What does not belong here: the processing of
//! a frame (`dataplane`), and how frames are captured and copies are sent (`io`).
//!
//! Start with [`LiveMirror::start`]. `examples/mirror_an_interface.rs` is a complete program.
//!
//! ```text
//! endpoint's writer, LiveMirror::replace, background compilation
//!   | LiveTables: compiles the tables of the interfaces that a change touches
//!   |                                        | messages: first or last session, links
//!   | commands: table                        v
//!   |                        SupervisorLoop, Supervisor: devices, workers, heartbeat
//!   |                          | commands: source, end       ^ status: counters
//!   v                          v                             |
//! a worker thread for each ring: RingSource -> Worker::step -> UdpSink
//! ```

mod command;
mod descriptors;
mod device_opener;
#[cfg(feature = "endpoint")]
pub mod endpoint;
mod error;
mod event;
mod interface_workers;
mod kernel_programs;
mod link_watch;
mod live_mirror;
mod live_tables;
mod load_sampler;
mod message;
mod metrics;
mod monitor;
mod namespace;
mod options;
mod own_traffic;
mod receipt;
mod ring_budget;
mod routes;
mod shared_guard;
mod snapshot;
mod source_accounting;
mod status;
mod storm_detector;
mod supervisor;
mod supervisor_loop;
mod sync;
mod task_pool;
mod tier;
mod tier_chooser;
mod tier_policy;
mod totals;
mod worker_registry;
mod worker_starter;
mod worker_thread;

pub use error::Error;
pub use event::{Event, EventSink, Severity};
pub use live_mirror::{LiveMirror, Resources};
pub use namespace::InterfaceNamespace;
pub use options::{ByteSize, CaptureMethod, MetricsOptions, Options, RingSize};
pub use snapshot::{InterfaceSnapshot, RingSnapshot, Snapshot, WorkerSnapshot};
pub use tier::{ActiveTier, InterfaceTier, Tier};
pub use totals::Summary;
