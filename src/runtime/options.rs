//! The options of live mirroring.

use std::fmt;
use std::net::SocketAddr;

use super::namespace::InterfaceNamespace;
use super::tier::Tier;
use crate::control::CompileOptions;
use crate::http::HostNames;
use crate::io::impair::Impairments;
use crate::io::live::RingOptions;
use crate::io::udp::{EgressMode, UdpOptions};

/// How the frames of all interfaces are captured and how their copies are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which tier mirrors the interfaces.
    pub tier: Tier,
    /// How frames are captured.
    pub capture: CaptureMethod,
    /// The number of worker threads for each interface. The kernel distributes the frames by flow:
    /// those of one flow always go to the same worker, except IP fragments.
    pub workers: u16,
    /// The numbers of the processors that the worker threads are pinned to, in rotation. If it is
    /// empty, the kernel schedules the threads on all processors.
    pub cpus: Vec<u16>,
    /// The memory of the ring of each worker.
    pub ring_size: RingSize,
    /// How rings are opened. `ring_len`, `mtu` and `is_loopback` are ignored: they are set for each
    /// device.
    pub ring: RingOptions,
    /// How copies are sent.
    pub udp: UdpOptions,
    /// The faults that are injected into the copies. The seed of [`Options::compile`] selects the
    /// copies. `None`, the default: no faults.
    pub impairments: Option<Impairments>,
    /// The network namespace of the mirrored interfaces. Copies are sent from the namespace of the
    /// process.
    pub namespace: InterfaceNamespace,
    /// How sessions are compiled.
    pub compile: CompileOptions,
    /// Where metrics and health are served. `None`, the default: they are not served.
    pub metrics: Option<MetricsOptions>,
}

impl Options {
    /// Whether programs may be loaded into the kernel while interfaces are mirrored, which needs
    /// CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
    #[must_use]
    pub fn may_use_kernel_tier(&self) -> bool {
        self.tier != Tier::Ring && self.kernel_tier_conflict().is_none()
    }

    /// The option that excludes the kernel tier, as a sentence without a period.
    pub(super) fn kernel_tier_conflict(&self) -> Option<&'static str> {
        let is_ring = self.capture == CaptureMethod::Ring;
        let conflicts = [
            (!is_ring, "frames are captured with pnet"),
            (self.impairments.is_some(), "fault injection acts on copies in user space"),
            (!self.namespace.is_own(), "the interfaces are not in the namespace that sends"),
            (self.udp.egress != EgressMode::Auto, "copies are sent as IP packets through sockets"),
            (self.ring.mark.is_none(), "copies have no mark"),
        ];
        conflicts.into_iter().find(|(applies, _)| *applies).map(|(_, sentence)| sentence)
    }
}

impl Default for Options {
    /// The ring tier, one worker for each interface, a ring of automatic size, and no metrics. Copies have no
    /// socket mark: set the same mark in `ring` and `udp` if copies can leave by a mirrored
    /// interface, so that they are not mirrored again.
    fn default() -> Self {
        Self {
            tier: Tier::default(),
            capture: CaptureMethod::default(),
            workers: 1,
            cpus: Vec::new(),
            ring_size: RingSize::Auto,
            ring: RingOptions::default(),
            udp: UdpOptions::default(),
            impairments: None,
            namespace: InterfaceNamespace::default(),
            compile: CompileOptions::default(),
            metrics: None,
        }
    }
}

/// Where metrics and health are served.
#[derive(Debug, Clone)]
pub struct MetricsOptions {
    /// The address and TCP port to listen on. The system chooses the port if it is 0.
    pub address: SocketAddr,
    /// The names for this host that the listener accepts in the Host header.
    pub hosts: HostNames,
}

/// How frames are captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CaptureMethod {
    /// With packet rings (`PACKET_RX_RING` of packet(7)). Segmentation and checksum offloads are
    /// undone, so that the copies are the packets on the wire.
    #[default]
    Ring,
    /// With pnet, one frame at a time: portable and slow. It needs `workers` to be 1, and offloads
    /// are not undone.
    #[cfg(feature = "pnet")]
    Pnet,
}

/// The memory of the ring of each worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RingSize {
    /// An equal share of the budget of all rings, from 1 MiB to 64 MiB for each ring. The budget is
    /// 1/16 of the memory that the process may use, but at most 320 MiB.
    #[default]
    Auto,
    /// This number of bytes for each ring, from [`RingSize::MIN`] to [`RingSize::MAX`].
    Fixed(usize),
}

impl RingSize {
    /// The size of the smallest ring, in bytes: 512 KiB.
    pub const MIN: usize = 512 * 1024;

    /// The size of the largest ring, in bytes: 4 GiB.
    pub const MAX: usize = 4 << 30;
}

impl fmt::Display for RingSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Fixed(len) => write!(f, "{}", ByteSize(*len)),
        }
    }
}

/// A number of bytes. It is displayed as MiB or KiB if that is a whole number, as in `64MiB`, and
/// as bytes otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub usize);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1 << 20;
        match self.0 {
            whole if whole.is_multiple_of(MIB) => write!(f, "{}MiB", whole / MIB),
            whole if whole.is_multiple_of(1024) => write!(f, "{}KiB", whole / 1024),
            bytes => write!(f, "{bytes}"),
        }
    }
}
