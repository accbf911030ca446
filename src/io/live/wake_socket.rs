//! The wake socket: a second packet socket that wakes a sleeping worker at the first frame.
//!
//! The kernel says nothing of a ring's block until it is full or its time is over, so a worker
//! that waits for the ring alone hears of a frame on a quiet wire late. A plain packet socket
//! wakes at once. It gets one byte of each frame, has room for hardly any, and nobody looks at
//! what comes in. Under load, when nobody sleeps, it is unbound: a second tap would cost each
//! frame some 70 ns.

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

/// "Local Experimental EtherType 2" (IEEE 802): the protocol of a wake socket that is unbound.
/// Binding to no protocol at all would leave it as it was.
const UNUSED_PROTOCOL: u16 = 0x88b6;

/// How many bytes the kernel is to keep; it makes the least it allows of that.
const RECEIVE_BUFFER_LEN: usize = 1;

/// How many frames may wait in it: as many fit, and some more.
const MAX_QUEUED_FRAMES: usize = 16;

/// It receives frames.
const BOUND: u8 = 0;
/// It is being unbound, which takes the kernel some milliseconds.
const UNBINDING: u8 = 1;
/// It receives nothing.
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

    /// Unbinds it, without waiting for that.
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
            // An interface that is gone has unbound it already.
            let _ = option::bind_packet(socket.as_fd(), index, UNUSED_PROTOCOL);
            state.store(UNBOUND, Ordering::Release);
        };
        if thread::Builder::new().name("wake-socket".to_owned()).spawn(unbind).is_err() {
            self.state.store(BOUND, Ordering::Release);
        }
    }

    /// Binds it where it is not bound; false where it is still being unbound.
    pub(super) fn try_bind(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            BOUND => true,
            UNBINDING => false,
            _ => {
                // An interface that is gone wakes nobody here; the ring and the waker still do.
                let _ = option::bind_packet(self.socket.as_fd(), self.index, ALL_PROTOCOLS);
                self.state.store(BOUND, Ordering::Release);
                true
            }
        }
    }

    /// Wakes for what the filter lets through.
    pub(super) fn set_filter(&self, filter: &[Instruction]) -> io::Result<()> {
        filter::attach(&self.socket, filter)
    }

    /// What went wrong with the interface, which is told once.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Takes out what waits, so that the next frame wakes again.
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
