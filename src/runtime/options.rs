//! What live mirroring is started with, as values.

use std::fmt;
use std::net::SocketAddr;

use super::namespace::InterfaceNamespace;
use crate::control::CompileOptions;
use crate::http::HostNames;
use crate::io::live::RingOptions;
use crate::io::udp::UdpOptions;

/// How frames are captured, sent and counted, for all interfaces.
#[derive(Debug, Clone)]
pub struct Options {
    /// How frames are captured.
    pub capture: CaptureMethod,
    /// Worker threads for each interface; the frames of one flow always go to the same worker.
    pub workers: u16,
    /// Processors that the threads are pinned to, in turn; empty: the kernel places them.
    pub cpus: Vec<u16>,
    /// Memory of the ring of each worker.
    pub ring_size: RingSize,
    /// How rings are opened; the length, the MTU and `is_loopback` are set for each device.
    pub ring: RingOptions,
    /// How copies are sent.
    pub udp: UdpOptions,
    /// The network namespace of the mirrored interfaces.
    pub namespace: InterfaceNamespace,
    /// How sessions are compiled.
    pub compile: CompileOptions,
    /// Where metrics and health are served; nowhere by default.
    pub metrics: Option<MetricsOptions>,
}

impl Default for Options {
    /// One worker for each interface and no metrics. The copies have no mark: set the same mark in
    /// `ring` and `udp` if copies can leave by a mirrored interface.
    fn default() -> Self {
        Self {
            capture: CaptureMethod::default(),
            workers: 1,
            cpus: Vec::new(),
            ring_size: RingSize::Auto,
            ring: RingOptions::default(),
            udp: UdpOptions::default(),
            namespace: InterfaceNamespace::default(),
            compile: CompileOptions::default(),
            metrics: None,
        }
    }
}

/// Where metrics and health are served.
#[derive(Debug, Clone)]
pub struct MetricsOptions {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The names that clients may use for this host.
    pub hosts: HostNames,
}

/// How frames are captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CaptureMethod {
    /// By packet rings (`PACKET_RX_RING`), with the effects of offloads repaired.
    #[default]
    Ring,
    /// By pnet, one frame at a time and as it comes: portable, slow, one worker, no repair.
    #[cfg(feature = "pnet")]
    Pnet,
}

/// Memory of the ring of each worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RingSize {
    /// A share of a budget for all rings: 1/16 of the memory that the process may use, at most
    /// 320 MiB; 1 MiB to 64 MiB for each ring.
    #[default]
    Auto,
    /// This number of bytes, from [`RingSize::MIN`] to [`RingSize::MAX`].
    Fixed(usize),
}

impl RingSize {
    /// The smallest ring in bytes.
    pub const MIN: usize = 512 * 1024;

    /// The largest ring in bytes.
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

/// A number of bytes, written with the largest unit that divides it, as in `64MiB`.
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
