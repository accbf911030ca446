//! Opening an interface: one ring for each worker, all of them a fanout group.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Socket, Type};

use super::filter::{self, KernelFilter};
use super::ring_size::geometry;
use super::ring_source::RingSource;
use super::wake_socket::WakeSocket;
use super::waker::Waker;
use crate::io::sys::ring::Ring;
use crate::io::sys::{option, resource};

const ALL_PROTOCOLS: u16 = 3;

/// Frames can be read while their block is still open, where stores become visible in the order
/// in which they are made.
pub(super) const READS_OPEN_BLOCKS: bool = cfg!(target_arch = "x86_64");

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

/// Opens the interface at `index` for as many workers as there are wakers. Frames of one flow all
/// go to one of them.
///
/// # Errors
/// No right to (`CAP_NET_RAW`), no such interface, no memory.
pub fn open(index: u32, options: &RingOptions, wakers: &[Waker]) -> io::Result<Vec<RingSource>> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    let mut group = None;
    let mut sources = Vec::with_capacity(wakers.len());
    for waker in wakers {
        // The wake socket first: the tap that was added last gets a frame first, so that the
        // frame is in the ring when the wake socket wakes.
        let wake_socket = WakeSocket::open(index, options.mark, options.is_loopback)?;
        let ring = ring(index, options)?;
        if wakers.len() > 1 {
            group = Some(option::join_fanout(ring.as_fd(), group)?);
        }
        sources.push(RingSource::new(ring, wake_socket, waker.clone(), options));
    }
    Ok(sources)
}

fn ring(index: i32, options: &RingOptions) -> io::Result<Ring> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    resource::check_reserve(&socket)?;
    filter::attach(&socket, &filter::exclude_own_copies(options.mark, filter::MAX_SNAPLEN))?;
    if options.is_loopback {
        option::ignore_outgoing(socket.as_fd())?;
    }
    let ring = Ring::new(socket, geometry(options.ring_len))?;
    option::bind_packet(ring.as_fd(), index, ALL_PROTOCOLS)?;
    Ok(ring)
}
