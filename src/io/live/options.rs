//! How an interface is captured.

use super::filter::KernelFilter;

/// How an interface is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Bytes of the ring of each worker; [`ring_memory_len`](super::ring_memory_len) says how many
    /// of them are taken.
    pub ring_len: usize,
    /// Never sleep: look for frames all the time.
    pub busy_poll: bool,
    /// Copies and tunnels around copies that bear this mark are our own, and are kept out.
    pub mark: Option<u32>,
    /// Whether it is a loopback device, on which each frame passes twice: out and in. It is taken
    /// once, coming in.
    pub is_loopback: bool,
    /// The longest packet behind the Ethernet header; zero where it is not known, and then frames
    /// are never cut before they are here.
    pub mtu: u32,
    /// When the kernel drops what no session can want.
    pub kernel_filter: KernelFilter,
}

impl RingOptions {
    /// The default length of a ring in bytes, and the most that a ring of `run` takes by default:
    /// two TCP streams of 20 MB fit, even if the worker does not run meanwhile.
    pub const RING_LEN: usize = 64 << 20;

    /// The least that a ring takes where memory has to be shared by many.
    pub const MIN_RING_LEN: usize = 1 << 20;
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            ring_len: Self::RING_LEN,
            busy_poll: false,
            mark: None,
            is_loopback: false,
            mtu: 0,
            kernel_filter: KernelFilter::Auto,
        }
    }
}
