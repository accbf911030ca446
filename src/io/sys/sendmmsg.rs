//! Many datagrams through one connected socket in one system call (`sendmmsg`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_uint, iovec, mmsghdr};

/// How many datagrams one call takes at the most.
pub(crate) const SEND_LEN: usize = 64;

/// One datagram in two pieces, so that the frame is not copied on its way to the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram<'a> {
    /// VXLAN header.
    pub(crate) vxlan: [u8; 8],
    /// The frame behind it.
    pub(crate) inner: &'a [u8],
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// So many datagrams, from the first on, are with the kernel.
    pub(crate) count: usize,
    /// What the kernel said of the one behind them, where it said anything (`errno`). Where it
    /// stopped in the middle it says nothing. Never absent where `count` is zero.
    pub(crate) error: Option<c_int>,
}

/// The arrays that the call reads, made once.
pub(crate) struct SendBatch {
    messages: Box<[mmsghdr; SEND_LEN]>,
    pieces: Box<[[iovec; 2]; SEND_LEN]>,
}

// SAFETY: the pointers in the arrays are written by `send` and read only within the same call of
// it, which borrows what they point at; between two calls nobody reads them.
unsafe impl Send for SendBatch {}

impl SendBatch {
    /// Empty arrays.
    pub(crate) fn new() -> Self {
        // SAFETY: `mmsghdr` is numbers and raw pointers, for which all bits zero are a value.
        let messages = unsafe { std::mem::zeroed() };
        let nothing = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self { messages: Box::new(messages), pieces: Box::new([[nothing; 2]; SEND_LEN]) }
    }

    /// Sends the datagrams in order, at least one and at most
    /// [`SEND_LEN`] of them. With `wait` false a full socket
    /// is `EAGAIN` at once, else after the timeout of the socket. A signal is no end.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: &[Datagram<'_>],
        wait: bool,
    ) -> Sent {
        let len = self.point_at(datagrams);
        let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
        loop {
            // SAFETY: the first `len` messages point at `pieces` of ours, and these at headers
            // and frames in `datagrams`, which is borrowed until this function returns; all of it
            // is only read, but for `msg_len` in `messages`, which we hold exclusively.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), self.messages.as_mut_ptr(), len, flags)
            };
            let error = match usize::try_from(sent) {
                Ok(0) => libc::EIO,
                Ok(count) => return Sent { count, error: None },
                Err(_) => io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO),
            };
            if error != libc::EINTR {
                return Sent { count: 0, error: Some(error) };
            }
        }
    }

    /// Fills the arrays: how many messages there are.
    fn point_at(&mut self, datagrams: &[Datagram<'_>]) -> c_uint {
        let mut len = 0;
        for ((message, pieces), datagram) in
            self.messages.iter_mut().zip(self.pieces.iter_mut()).zip(datagrams)
        {
            *pieces = [readable(&datagram.vxlan), readable(datagram.inner)];
            message.msg_hdr.msg_iov = pieces.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
            len += 1;
        }
        len
    }
}

/// The kernel's word for a piece of memory; in a send it is only read, whatever the type says.
fn readable(bytes: &[u8]) -> iovec {
    iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
