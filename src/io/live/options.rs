//! How an interface is captured.

use super::filter::KernelFilter;

/// How an interface is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// The maximum length of each worker's ring, in bytes.
    /// [`ring_memory_len`](super::ring_memory_len) returns how many of them are allocated.
    pub ring_len: usize,
    /// Never sleep: poll the ring continuously.
    pub busy_poll: bool,
    /// The mark (`SO_MARK`) of our own copies. Copies, and tunnel packets around copies, that have
    /// this mark are not captured.
    pub mark: Option<u32>,
    /// Whether the interface is a loopback device. Each frame passes it twice, outgoing and
    /// incoming; only the incoming one is captured.
    pub is_loopback: bool,
    /// The MTU in bytes; 0 if it is unknown. The kernel does not truncate frames if it is 0.
    pub mtu: u32,
    /// When the kernel drops frames that no session can mirror.
    pub kernel_filter: KernelFilter,
    /// Whether no frame is captured before [`LiveSource::set_table`](super::LiveSource::set_table).
    pub starts_closed: bool,
}

impl RingOptions {
    /// The default length of a ring in bytes. It holds two TCP streams of 20 MB while the worker
    /// does not run.
    pub const RING_LEN: usize = 64 << 20;

    /// The minimum length of a ring in bytes, used where many rings share the memory.
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
            starts_closed: false,
        }
    }
}
