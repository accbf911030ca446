//! Receives many datagrams from one socket in one system call (`recvmmsg`).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_uint, iovec, mmsghdr, msghdr, sockaddr_storage, timespec};
use socket2::SockAddr;

use super::option::socklen_of;

/// The maximum number of datagrams of one call.
pub(crate) const RECEIVE_LEN: usize = 64;

/// Buffer length in bytes, longer than any UDP datagram, so that none is truncated.
const BUFFER_LEN: usize = 65_536;

/// Room for the timestamp, aligned for a control message header.
type ControlBuffer = [u64; 8];

/// One received datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    /// Its payload.
    pub(crate) bytes: &'a [u8],
    /// The sender's address.
    pub(crate) peer: Option<SocketAddr>,
    /// The time at which the kernel received it, in ns since 1970; 0 if unknown.
    pub(crate) timestamp_ns: u64,
}

/// The arrays that the call writes. They are allocated once.
pub(crate) struct ReceiveBatch {
    messages: Box<[mmsghdr]>,
    pieces: Box<[iovec]>,
    names: Box<[sockaddr_storage]>,
    controls: Box<[ControlBuffer]>,
    buffers: Vec<u8>,
    count: usize,
}

// SAFETY: the pointers in the arrays point at heap memory that the batch owns and that stays where
// it is when the batch moves. `receive` writes them before each call; they are followed by the
// kernel within the call, and by `timestamp_ns` for the messages of that call.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    /// Room for [`RECEIVE_LEN`] datagrams of any length.
    pub(crate) fn new() -> Self {
        // SAFETY: all three consist of numbers and raw pointers, for which all-zero bits are valid.
        let (message, piece, name): (mmsghdr, iovec, sockaddr_storage) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            messages: vec![message; RECEIVE_LEN].into_boxed_slice(),
            pieces: vec![piece; RECEIVE_LEN].into_boxed_slice(),
            names: vec![name; RECEIVE_LEN].into_boxed_slice(),
            controls: vec![[0; 8]; RECEIVE_LEN].into_boxed_slice(),
            buffers: vec![0; RECEIVE_LEN * BUFFER_LEN],
            count: 0,
        }
    }

    /// Waits for a datagram up to the socket's time-out, and receives it and those queued after
    /// it, at most `limit`. Returns their number; 0 after the time-out or a signal.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, limit: usize) -> io::Result<usize> {
        self.count = 0;
        let len = self.point_at_buffers(limit);
        // SAFETY: each of the first `len` messages points at a buffer, a name and a control buffer
        // of this batch, with their lengths. They live and are borrowed exclusively across the
        // call, and no two messages share one. No timeout is passed.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                len,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        match usize::try_from(received) {
            Ok(count) => self.count = count,
            Err(_) => ignore_timeout(io::Error::last_os_error())?,
        }
        Ok(self.count)
    }

    /// The datagrams of the last call.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.messages
            .iter()
            .zip(&self.names)
            .zip(self.buffers.chunks_exact(BUFFER_LEN))
            .take(self.count)
            .map(|((message, name), buffer)| Received {
                bytes: payload_of(message, buffer),
                peer: peer(&message.msg_hdr, name),
                timestamp_ns: timestamp_ns(&message.msg_hdr),
            })
    }

    fn point_at_buffers(&mut self, limit: usize) -> c_uint {
        let mut len = 0;
        let buffers = self.buffers.chunks_exact_mut(BUFFER_LEN);
        let parts = self.pieces.iter_mut().zip(&mut self.names).zip(&mut self.controls);
        for ((message, ((piece, name), control)), buffer) in
            self.messages.iter_mut().zip(parts).zip(buffers).take(limit)
        {
            *piece = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut message.msg_hdr;
            header.msg_iov = piece;
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = socklen_of::<sockaddr_storage>();
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of::<ControlBuffer>();
            len += 1;
        }
        len
    }
}

/// Ignores time-outs, signals and errors of earlier sends.
fn ignore_timeout(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR | libc::ECONNREFUSED) => Ok(()),
        _ => Err(error),
    }
}

fn payload_of<'a>(message: &mmsghdr, buffer: &'a [u8]) -> &'a [u8] {
    usize::try_from(message.msg_len).ok().and_then(|len| buffer.get(..len)).unwrap_or(buffer)
}

fn peer(header: &msghdr, name: &sockaddr_storage) -> Option<SocketAddr> {
    let len = header.msg_namelen;
    // SAFETY: the kernel wrote an address of `len` bytes into `name`, and the rest of it is
    // whatever was there before, all of it initialised.
    let address = unsafe {
        SockAddr::new(std::ptr::from_ref(name).cast::<socket2::SockAddrStorage>().read(), len)
    };
    address.as_socket()
}

fn timestamp_ns(header: &msghdr) -> u64 {
    // SAFETY: `header` was filled by `recvmmsg` in `receive`, so it names the control buffer of
    // the batch that it is borrowed from, and how much of that the kernel wrote.
    let control = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() };
    let Some(control) = control else { return 0 };
    if (control.cmsg_level, control.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return 0;
    }
    // SAFETY: the first header stands at the start of a `ControlBuffer`, in which a `timespec`
    // after it fits whatever its own length says, and all bytes of which are initialised; no
    // alignment is required for the read. Such a message holds a `timespec` (socket(7)).
    let time: timespec = unsafe { libc::CMSG_DATA(control).cast::<timespec>().read_unaligned() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest_ns = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest_ns)
}
