//! Events of live mirroring, as values: the caller decides what to print.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::options::ByteSize;
use super::tier::{ActiveTier, InterfaceTier};
use crate::dataplane::Counters;
use crate::http;
use crate::io::udp::TargetState;

/// The number of lines at the end of the verifier's log that are displayed.
const MAX_LOG_LINES: usize = 20;

/// The severity of an event, from the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A normal change of state.
    Info,
    /// A problem. Mirroring continues, possibly without the named interface or target.
    Warning,
    /// A defect of this program.
    Error,
}

/// An event of live mirroring. Its `Display` is one sentence without a period.
///
/// In all variants, `device` is the name of a mirrored device, `index` its interface index,
/// `error` the cause as a sentence, and `workers` a number of worker threads.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the documentation of the enum and of the variants names them")]
pub enum Event {
    /// A device is captured from now on. `is_up`: whether its link is up. `tier`: the tier that
    /// mirrors it, and why it is not the kernel tier.
    InterfaceAttached { device: String, index: u32, is_up: bool, tier: InterfaceTier },
    /// The interface moves to this tier, to the ring for this reason. Copies that
    /// neither tier sends meanwhile are counted as dropped.
    TierChanged { device: String, tier: ActiveTier, reason: String },
    /// The log of the kernel's verifier, which rejected a program for the device. Its last lines are
    /// displayed.
    VerifierLog { device: String, log: String },
    /// A mirrored device no longer exists. It is captured again when it reappears.
    InterfaceRemoved { device: String },
    /// The link of a mirrored device went up or down.
    InterfaceStateChanged { device: String, is_up: bool },
    /// A device cannot be captured. This is retried once a second and reported once for each cause.
    CaptureFailed { device: String, error: String },
    /// The capture of a device ended with an error. The device is opened again; frames that pass
    /// it until then are neither mirrored nor counted.
    CaptureEnded { device: String, error: String },
    /// The kernel has no memory for a ring of `len` bytes; one of `smaller_len` bytes is tried.
    RingShrunk { device: String, len: usize, smaller_len: usize },
    /// The memory of the rings in MiB, as a sentence. `is_reduced`: the rings are smaller than the
    /// default of 64 MiB.
    RingMemory { sentence: String, is_reduced: bool },
    /// The workers of all interfaces need at most `needed` file descriptors.
    DescriptorsNeeded { workers: usize, needed: usize },
    /// There are file descriptors for only `max_workers` of all workers.
    DescriptorsShort { workers: usize, needed: usize, max_workers: usize },
    /// A worker could not be pinned to the processor with the number `cpu`. It runs unpinned.
    PinFailed { cpu: u16, error: String },
    /// A worker warns. `device` is `None` if the warning concerns its targets.
    WorkerWarning { device: Option<String>, message: String },
    /// A worker found a defect of this program.
    WorkerError { device: String, message: String },
    /// A worker thread ended without a command, by a defect of this program. No heartbeat follows.
    WorkerLost,
    /// Watching the links or routes of the kernel failed, as a sentence.
    WatchFailed(String),
    /// Copies to `target` leave through the device `tunnel`, whose packets may leave by one of the
    /// `mirrored` devices and be mirrored again.
    TunnelRoute { target: SocketAddr, tunnel: String, mirrored: Vec<String> },
    /// A target began to refuse copies, or accepts them again. `sentence` describes its `state`.
    TargetChanged { state: TargetState, sentence: String },
    /// The addresses of a device that is a source or a target changed, as a sentence.
    AddressesChanged(String),
    /// The endpoint's target with the ID `target` has a forbidden address, so the copies of the
    /// sessions with the IDs `sessions` are dropped. `reason` is a sentence.
    TargetInactive { target: String, reason: String, sessions: Vec<String> },
    /// The target with this ID has sessions and no address, so their copies are dropped.
    TargetAddressUnknown(String),
    /// The address of a target became known.
    TargetAddressKnown { target: String, addresses: Vec<SocketAddr> },
    /// Copies of a session would return to its own source, as a sentence.
    SessionComesBack(String),
    /// The endpoint's state file cannot be written, so changes are rejected. The value is the
    /// cause.
    StateNotWritable(String),
    /// The endpoint's state file can be written again.
    StateWritable,
    /// The endpoint has no state file: its resources are lost on exit.
    StateNotKept,
    /// A client created or changed a rule that matches only protocol 0, HOPOPT, as a sentence.
    RuleOfProtocolZero(String),
    /// Metrics are served at this address.
    MetricsServed(SocketAddr),
    /// Which requests the endpoint accepts, as a sentence.
    EndpointAccess(String),
    /// The endpoint is served at this address. `scheme` is `http` or `https`.
    EndpointServed { scheme: &'static str, address: SocketAddr },
    /// The endpoint accepts requests with any signature.
    EndpointIsOpen,
    /// The endpoint listens on an address other than loopback, without TLS.
    EndpointNotEncrypted,
    /// The listener `name` reached a limit, or is below it again.
    Listener { name: &'static str, event: http::Event },
    /// Sent once a second while all workers run: the sum of all counters since the start, and the
    /// targets that refuse copies.
    Heartbeat { counters: Box<Counters>, failing: Vec<(SocketAddr, TargetState)> },
}

impl Event {
    /// The severity of this event.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::InterfaceAttached { .. }
            | Self::InterfaceRemoved { .. }
            | Self::TierChanged { tier: ActiveTier::Kernel, .. }
            | Self::VerifierLog { .. }
            | Self::InterfaceStateChanged { .. }
            | Self::RingMemory { .. }
            | Self::DescriptorsNeeded { .. }
            | Self::AddressesChanged(_)
            | Self::TargetChanged { state: TargetState::Accepting, .. }
            | Self::TargetAddressKnown { .. }
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
            Self::InterfaceAttached { device, index, is_up, tier } => {
                let state = if *is_up { "" } else { ", which is down" };
                write!(f, "mirroring {device} (index {index}){state}{tier}")
            }
            Self::TierChanged { .. } | Self::VerifierLog { .. } => self.fmt_tier(f),
            Self::InterfaceRemoved { device } => {
                write!(f, "{device} no longer exists: waiting for it to reappear")
            }
            Self::InterfaceStateChanged { device, is_up: true } => {
                write!(f, "{device} is up: mirroring it")
            }
            Self::InterfaceStateChanged { device, is_up: false } => {
                write!(f, "{device} is down: waiting")
            }
            Self::CaptureFailed { device, error } => {
                write!(f, "cannot capture {device}: {error}; retrying every second")
            }
            Self::CaptureEnded { device, error } => {
                write!(
                    f,
                    "the capture of {device} ended: {error}; it is opened again, and frames until \
                     then are neither mirrored nor counted"
                )
            }
            Self::RingShrunk { device, len, smaller_len } => {
                let (len, smaller) = (ByteSize(*len), ByteSize(*smaller_len));
                write!(f, "{device}: no memory for a ring of {len}: trying {smaller}")
            }
            Self::PinFailed { cpu, error } => {
                write!(f, "cannot pin a worker to processor {cpu}: {error}; it runs unpinned")
            }
            Self::DescriptorsNeeded { workers, needed } => {
                let noun = if *workers == 1 { "worker" } else { "workers" };
                write!(f, "file descriptors: up to {needed} for {workers} {noun}")
            }
            Self::DescriptorsShort { workers, needed, max_workers } => write!(
                f,
                "{workers} workers need {needed} file descriptors, but the limit permits only \
                 {max_workers} workers: raise the limit (`ulimit -n`)"
            ),
            _ => self.fmt_rest(f),
        }
    }
}

impl Event {
    /// Writes the sentences about tiers.
    fn fmt_tier(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TierChanged { device, tier: ActiveTier::Ring, reason } => write!(
                f,
                "{device} moves to the ring tier: {reason}; frames until then are counted as \
                 dropped (tier_switch)"
            ),
            Self::TierChanged { device, reason, .. } => write!(
                f,
                "{device} moves to the kernel tier: {reason}; frames until then are mirrored or \
                 counted as dropped (tier_switch)"
            ),
            Self::VerifierLog { device, log } => {
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.split_at(lines.len().saturating_sub(MAX_LOG_LINES)).1;
                write!(f, "{device}: the log of the verifier ends with: {}", last.join("\n"))
            }
            // `fmt` writes all others.
            _ => Ok(()),
        }
    }

    /// Writes the sentences about the addresses of targets.
    fn fmt_target(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetInactive { target, reason, sessions } if sessions.is_empty() => {
                write!(f, "target {target}: {reason} it has no session")
            }
            Self::TargetInactive { target, reason, sessions } => write!(
                f,
                "target {target}: {reason} The copies of these sessions are dropped until it has another \
                 address: {}",
                sessions.join(", ")
            ),
            Self::TargetAddressUnknown(target) => write!(
                f,
                "target {target} has no address, so the copies of its sessions are dropped as \
                 no_target_address until it has one"
            ),
            Self::TargetAddressKnown { target, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let noun = if addresses.len() == 1 { "the address" } else { "the addresses" };
                let them = if addresses.len() == 1 { "it" } else { "them" };
                let all = addresses.join(", ");
                write!(f, "target {target} has {noun} {all}: copies are sent to {them}")
            }
            // `fmt_rest` writes all others.
            _ => Ok(()),
        }
    }

    /// Writes the sentences that `fmt` does not write.
    fn fmt_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerError { device, message }
            | Self::WorkerWarning { device: Some(device), message } => {
                write!(f, "{device}: {message}")
            }
            Self::WorkerLost => f.write_str(
                "a worker thread ended early; this is a defect of traffic-mirror, please report it",
            ),
            Self::TunnelRoute { target, tunnel, mirrored } => write!(
                f,
                "copies to {target} leave through the tunnel {tunnel}: if its packets leave by a \
                 mirrored interface ({}), every copy is mirrored again",
                mirrored.join(", ")
            ),
            Self::TargetInactive { .. }
            | Self::TargetAddressUnknown(_)
            | Self::TargetAddressKnown { .. } => self.fmt_target(f),
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
            | Self::TargetChanged { sentence, .. }
            | Self::AddressesChanged(sentence)
            | Self::SessionComesBack(sentence)
            | Self::RuleOfProtocolZero(sentence)
            | Self::EndpointAccess(sentence) => f.write_str(sentence),
            // `fmt` writes all others.
            _ => Ok(()),
        }
    }
}

/// Receives events. Clones share the receiver.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSink {
    /// Calls `receive` for each event, on many threads and possibly at the same time. It must not
    /// block, because worker threads and the supervisor's thread wait for it.
    #[must_use]
    pub fn new(receive: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Ignores all events.
    #[must_use]
    pub fn ignore() -> Self {
        Self::new(drop)
    }

    /// Calls the receiver.
    pub(super) fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}
