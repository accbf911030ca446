//! The bell: a second packet socket that wakes a sleeping worker at the first frame.
//!
//! The kernel says nothing of a ring's block until it is full or its time is over, so a worker
//! that waits for the ring alone hears of a frame on a quiet wire late. A plain packet socket
//! wakes at once. It gets one byte of each frame, has room for hardly any, and nobody looks at
//! what comes in. Under load, when nobody sleeps, it is taken down: a second tap would cost each
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

/// "Local Experimental EtherType 2" (IEEE 802): what the bell hears when it hears nothing. Binding
/// to no protocol at all would leave it as it was.
const NOBODYS: u16 = 0x88b6;

/// How many bytes the kernel is to keep; it makes the least it allows of that.
const ROOM: usize = 1;

/// How many frames may wait in it: as many fit, and some more.
const MOST_WAITING: usize = 16;

/// It rings.
const HANGS: u8 = 0;
/// It is being taken down, which takes the kernel some milliseconds.
const LEAVES: u8 = 1;
/// It hears nothing.
const AWAY: u8 = 2;

#[derive(Debug)]
pub(super) struct Bell {
    socket: Arc<Socket>,
    index: i32,
    state: Arc<AtomicU8>,
}

impl Bell {
    /// A bell for the frames of the interface at `index`.
    pub(super) fn hang(index: i32, mark: Option<u32>, is_loopback: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        resource::keep_reserve(&socket)?;
        filter::attach(&socket, &filter::own_only(mark, 1))?;
        socket.set_recv_buffer_size(ROOM)?;
        socket.set_nonblocking(true)?;
        if is_loopback {
            option::ignore_outgoing(socket.as_fd())?;
        }
        option::bind_packet(socket.as_fd(), index, ALL_PROTOCOLS)?;
        let state = Arc::new(AtomicU8::new(HANGS));
        Ok(Self { socket: Arc::new(socket), index, state })
    }

    /// Takes it down, without waiting for that.
    pub(super) fn take_down(&self) {
        if self.state.compare_exchange(HANGS, LEAVES, Ordering::AcqRel, Ordering::Acquire).is_err()
        {
            return;
        }
        let (socket, state, index) =
            (Arc::clone(&self.socket), Arc::clone(&self.state), self.index);
        let unbind = move || {
            // An interface that is gone has taken it down already.
            let _ = option::bind_packet(socket.as_fd(), index, NOBODYS);
            state.store(AWAY, Ordering::Release);
        };
        if thread::Builder::new().name("bell".to_owned()).spawn(unbind).is_err() {
            self.state.store(HANGS, Ordering::Release);
        }
    }

    /// Sees to it that it hangs; false where it is still being taken down.
    pub(super) fn hangs(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            HANGS => true,
            LEAVES => false,
            _ => {
                // An interface that is gone rings no bell; the ring and the waker still wake.
                let _ = option::bind_packet(self.socket.as_fd(), self.index, ALL_PROTOCOLS);
                self.state.store(HANGS, Ordering::Release);
                true
            }
        }
    }

    /// Rings for what the filter lets through.
    pub(super) fn heed(&self, filter: &[Instruction]) -> io::Result<()> {
        filter::attach(&self.socket, filter)
    }

    /// What went wrong with the interface, which is told once.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Takes out what waits, so that the next frame rings again.
    pub(super) fn silence(&self) {
        let mut byte = [MaybeUninit::uninit()];
        for _ in 0..MOST_WAITING {
            if self.socket.recv(&mut byte).is_err() {
                return;
            }
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
