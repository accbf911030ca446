//! A second packet socket that wakes a sleeping worker at the first frame.
//!
//! The kernel reports a block of a ring only when the block is full or its timeout expires. A
//! worker that waits for the ring alone would notice a single frame late. A plain packet socket
//! becomes readable at once. This one receives one byte of each frame into a minimal buffer, and
//! the data is not used. Under load, while the worker does not sleep, the socket is unbound: a
//! second tap costs about 70 ns per frame.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::filter::{self, Instruction};
use crate::io::sys::{option, resource};

const ALL_PROTOCOLS: u16 = 3;

/// "Local Experimental EtherType 2" (IEEE 802): the protocol of an unbound wake socket. Binding to
/// protocol 0 would leave the previous binding in place.
const UNUSED_PROTOCOL: u16 = 0x88b6;

/// Requested receive buffer in bytes; the kernel raises it to its minimum.
const RECEIVE_BUFFER_LEN: usize = 1;

/// An upper bound of the frames that fit into the receive buffer.
const MAX_QUEUED_FRAMES: usize = 16;

/// The socket receives frames.
const BOUND: u8 = 0;
/// The socket is being unbound, which takes the kernel some milliseconds.
const UNBINDING: u8 = 1;
/// The socket receives no frames.
const UNBOUND: u8 = 2;

#[derive(Debug)]
pub(super) struct WakeSocket {
    socket: Arc<Socket>,
    index: i32,
    state: Arc<AtomicU8>,
}

impl WakeSocket {
    /// A wake socket for the frames of the interface at `index`.
    pub(super) fn open(index: i32, mark: Option<u32>, is_loopback: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        resource::check_reserve(&socket)?;
        filter::attach(&socket, &filter::exclude_own_copies(mark, 1))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_LEN)?;
        socket.set_nonblocking(true)?;
        if is_loopback {
            option::ignore_outgoing(socket.as_fd())?;
        }
        option::bind_packet(socket.as_fd(), index, ALL_PROTOCOLS)?;
        let state = Arc::new(AtomicU8::new(BOUND));
        Ok(Self { socket: Arc::new(socket), index, state })
    }

    /// Starts to unbind the socket and does not wait for the end.
    pub(super) fn unbind(&self) {
        if self
            .state
            .compare_exchange(BOUND, UNBINDING, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        let (socket, state, index) =
            (Arc::clone(&self.socket), Arc::clone(&self.state), self.index);
        let unbind = move || {
            // A removed interface has unbound the socket already.
            let _ = option::bind_packet(socket.as_fd(), index, UNUSED_PROTOCOL);
            state.store(UNBOUND, Ordering::Release);
        };
        if thread::Builder::new().name("wake-socket".to_owned()).spawn(unbind).is_err() {
            self.state.store(BOUND, Ordering::Release);
        }
    }

    /// Binds the socket if it is not bound; returns false while it is still being unbound.
    pub(super) fn try_bind(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            BOUND => true,
            UNBINDING => false,
            _ => {
                // A removed interface sends no frames; the ring and the waker still wake the
                // worker.
                let _ = option::bind_packet(self.socket.as_fd(), self.index, ALL_PROTOCOLS);
                self.state.store(BOUND, Ordering::Release);
                true
            }
        }
    }

    /// Wakes only for frames that the filter accepts.
    pub(super) fn set_filter(&self, filter: &[Instruction]) -> io::Result<()> {
        filter::attach(&self.socket, filter)
    }

    /// The pending error of the interface, which the kernel reports once.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Discards the received data, so that the next frame wakes the worker again.
    pub(super) fn drain(&self) {
        let mut byte = [MaybeUninit::uninit()];
        for _ in 0..MAX_QUEUED_FRAMES {
            if self.socket.recv(&mut byte).is_err() {
                return;
            }
        }
    }
}

impl AsFd for WakeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
