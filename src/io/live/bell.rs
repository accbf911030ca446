//! The bell: a second packet socket that wakes a sleeping worker at the first frame.
//!
//! The kernel says nothing of a ring's block until it is full or its time is over, so a worker
//! that waits for the ring alone hears of a frame on a quiet wire late. A plain packet socket
//! wakes at once. It gets one byte of each frame, has room for hardly any, and nobody looks at
//! what comes in: under load it is full, and costs next to nothing.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Socket, Type};

use super::filter::{self, Instruction};
use crate::io::sys::option;

const ALL_PROTOCOLS: u16 = 3;

/// How many bytes the kernel is to keep; it makes the least it allows of that.
const ROOM: usize = 1;

/// How many frames may wait in it: as many fit, and some more.
const MOST_WAITING: usize = 16;

#[derive(Debug)]
pub(super) struct Bell(Socket);

impl Bell {
    /// A bell for the frames of the interface at `index`.
    pub(super) fn hang(index: i32, mark: Option<u32>, is_loopback: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        filter::attach(&socket, &filter::own_only(mark, 1))?;
        socket.set_recv_buffer_size(ROOM)?;
        socket.set_nonblocking(true)?;
        if is_loopback {
            option::ignore_outgoing(socket.as_fd())?;
        }
        option::bind_packet(socket.as_fd(), index, ALL_PROTOCOLS)?;
        Ok(Self(socket))
    }

    /// Rings for what the filter lets through.
    pub(super) fn heed(&self, filter: &[Instruction]) -> io::Result<()> {
        filter::attach(&self.0, filter)
    }

    /// What went wrong with the interface, which is told once.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Takes out what waits, so that the next frame rings again.
    pub(super) fn silence(&self) {
        let mut byte = [MaybeUninit::uninit()];
        for _ in 0..MOST_WAITING {
            if self.0.recv(&mut byte).is_err() {
                return;
            }
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
