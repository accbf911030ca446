//! What happens while interfaces are mirrored, as values: the caller decides what to print.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::options::ByteSize;
use crate::dataplane::Counters;
use crate::http;
use crate::io::udp::TargetState;

/// How important an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something happened as it should.
    Info,
    /// Something is odd, and mirroring goes on.
    Warning,
    /// A fault of this program.
    Error,
}

/// Something that happened. Its `Display` is one sentence without a period.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the variants' sentences name")]
pub enum Event {
    /// The frames of a device come in from now on.
    InterfaceAttached { device: String, index: u32, is_up: bool },
    /// A mirrored device was removed.
    InterfaceRemoved { device: String },
    /// A mirrored device went up or down.
    InterfaceStateChanged { device: String, is_up: bool },
    /// A device cannot be captured.
    CaptureFailed { device: String, error: String },
    /// Capturing a device ended with an error.
    CaptureEnded { device: String, error: String },
    /// The kernel has no memory for a ring of this size, so a smaller one is tried.
    RingShrunk { device: String, len: usize, smaller_len: usize },
    /// How much memory rings take, as a sentence; `is_reduced`: less than they could use.
    RingMemory { sentence: String, is_reduced: bool },
    /// How many file descriptors the workers need at most.
    DescriptorsNeeded { workers: usize, needed: usize },
    /// There are too few file descriptors for all workers.
    DescriptorsShort { workers: usize, needed: usize, max_workers: usize },
    /// A worker could not be pinned to a processor.
    PinFailed { cpu: u16, error: String },
    /// A worker warns; `device` is absent where the warning concerns its targets.
    WorkerWarning { device: Option<String>, message: String },
    /// A worker found a fault of this program.
    WorkerError { device: String, message: String },
    /// A worker thread ended that was not told to: mirroring cannot go on.
    WorkerLost,
    /// A watch of the kernel's links or routes failed.
    WatchFailed(String),
    /// Copies to a target leave through a tunnel, whose packets may leave by a mirrored device.
    TunnelRoute { target: SocketAddr, tunnel: String, mirrored: Vec<String> },
    /// A target began to refuse copies, or accepts them again, as a sentence.
    TargetChanged(String),
    /// The addresses of a device that is a source or a target changed, as a sentence.
    AddressesChanged(String),
    /// A target of the endpoint has a forbidden address, so its sessions are inactive.
    TargetInactive { target: String, reason: String, sessions: Vec<String> },
    /// Copies of a session would come back to its own source, as a sentence.
    SessionComesBack(String),
    /// The endpoint's state file cannot be written, so changes are refused.
    StateNotWritable(String),
    /// The endpoint's state file can be written again.
    StateWritable,
    /// The endpoint has no state file.
    StateNotKept,
    /// Metrics are served.
    MetricsServed(SocketAddr),
    /// Whose requests the endpoint accepts, as a sentence.
    EndpointAccess(String),
    /// The endpoint is served.
    EndpointServed { scheme: &'static str, address: SocketAddr },
    /// The endpoint accepts requests with any signature.
    EndpointIsOpen,
    /// The connections of the endpoint are not encrypted, and it listens on other than loopback.
    EndpointNotEncrypted,
    /// The listener of that name reached a limit, or left it.
    Listener { name: &'static str, event: http::Event },
    /// Comes once a second while all workers run: the sum of all counters so far, and the targets
    /// that refuse copies.
    Heartbeat { counters: Box<Counters>, failing: Vec<(SocketAddr, TargetState)> },
}

impl Event {
    /// How important it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::InterfaceAttached { .. }
            | Self::InterfaceRemoved { .. }
            | Self::InterfaceStateChanged { .. }
            | Self::RingMemory { .. }
            | Self::DescriptorsNeeded { .. }
            | Self::AddressesChanged(_)
            | Self::StateWritable
            | Self::MetricsServed(_)
            | Self::EndpointAccess(_)
            | Self::EndpointServed { .. }
            | Self::Heartbeat { .. }
            | Self::Listener { event: http::Event::OverloadEnded(_), .. } => Severity::Info,
            Self::WorkerError { .. } | Self::WorkerLost => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceAttached { device, index, is_up } => {
                let state = if *is_up { "" } else { ", which is down" };
                write!(f, "mirroring {device} (index {index}){state}")
            }
            Self::InterfaceRemoved { device } => {
                write!(f, "{device} is gone: waiting for it to come back")
            }
            Self::InterfaceStateChanged { device, is_up: true } => {
                write!(f, "{device} is up: going on")
            }
            Self::InterfaceStateChanged { device, is_up: false } => {
                write!(f, "{device} is down: waiting")
            }
            Self::CaptureFailed { device, error } => {
                write!(f, "cannot capture {device}: {error}; trying again")
            }
            Self::CaptureEnded { device, error } => {
                write!(f, "capturing {device} ended: {error}; beginning anew")
            }
            Self::RingShrunk { device, len, smaller_len } => {
                let (len, smaller) = (ByteSize(*len), ByteSize(*smaller_len));
                write!(f, "{device}: no memory for a ring of {len}: trying {smaller}")
            }
            Self::PinFailed { cpu, error } => {
                write!(f, "cannot pin a worker to processor {cpu}: {error}")
            }
            Self::DescriptorsNeeded { workers, needed } => {
                write!(f, "file descriptors: up to {needed} for {workers} workers")
            }
            Self::DescriptorsShort { workers, needed, max_workers } => write!(
                f,
                "{workers} workers need {needed} file descriptors, and there are enough for \
                 {max_workers}: raise the limit (`ulimit -n`)"
            ),
            _ => self.fmt_rest(f),
        }
    }
}

impl Event {
    /// The second half of the sentences.
    fn fmt_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerError { device, message }
            | Self::WorkerWarning { device: Some(device), message } => {
                write!(f, "{device}: {message}")
            }
            Self::WorkerLost => {
                f.write_str("a worker thread ended early; this is a fault of traffic-mirror")
            }
            Self::TunnelRoute { target, tunnel, mirrored } => write!(
                f,
                "copies to {target} leave through the tunnel {tunnel}: if its packets leave by a \
                 mirrored interface ({}), every copy is mirrored again",
                mirrored.join(", ")
            ),
            Self::TargetInactive { target, reason, sessions } if sessions.is_empty() => {
                write!(f, "target {target}: {reason} it has no session")
            }
            Self::TargetInactive { target, reason, sessions } => write!(
                f,
                "target {target}: {reason} inactive until it has another address: {}",
                sessions.join(", ")
            ),
            Self::StateNotWritable(error) => write!(
                f,
                "the state file cannot be written, so changes are refused until it can: {error}"
            ),
            Self::StateWritable => {
                f.write_str("the state file can be written again; changes are accepted")
            }
            Self::StateNotKept => f.write_str(
                "the state of the EC2 endpoint is kept in memory only and lost on exit: it has no \
                 state file",
            ),
            Self::MetricsServed(address) => write!(f, "metrics on http://{address}/metrics"),
            Self::EndpointServed { scheme, address } => {
                write!(f, "EC2 endpoint on {scheme}://{address}")
            }
            Self::EndpointIsOpen => f.write_str(
                "requests without a valid signature are accepted: every local user can send the \
                 traffic of this host to any address",
            ),
            Self::EndpointNotEncrypted => {
                f.write_str("connections to the EC2 endpoint are not encrypted")
            }
            Self::Listener { name, event } => write!(f, "{name}: {event}"),
            Self::Heartbeat { counters, .. } => {
                write!(f, "{} frames received, {} copies", counters.received, counters.mirrored())
            }
            Self::RingMemory { sentence, .. }
            | Self::WorkerWarning { message: sentence, .. }
            | Self::WatchFailed(sentence)
            | Self::TargetChanged(sentence)
            | Self::AddressesChanged(sentence)
            | Self::SessionComesBack(sentence)
            | Self::EndpointAccess(sentence) => f.write_str(sentence),
            // `fmt` has written all others.
            _ => Ok(()),
        }
    }
}

/// Where events go. It is called on many threads and must not block: a worker may wait for it.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSink {
    /// Calls `receive` for each event.
    #[must_use]
    pub fn new(receive: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Ignores all events.
    #[must_use]
    pub fn ignore() -> Self {
        Self::new(drop)
    }

    pub(super) fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}
