//! Many datagrams through one connected socket in one system call (`sendmmsg`), runs of equally
//! long ones as one message that the kernel or the network card cuts (`UDP_SEGMENT`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_uint, cmsghdr, iovec, mmsghdr};

use crate::dataplane::Inner;

/// How many messages one call takes at the most.
pub(crate) const SEND_LEN: usize = 64;

/// How many datagrams one message takes at the most: `UDP_MAX_SEGMENTS` of kernels before 6.9.
pub(crate) const MAX_SEGMENTS: usize = 64;

/// How many datagrams one call takes at the most, so that the arrays stay small.
const MAX_DATAGRAMS: usize = 2048;

/// Pieces of a datagram: GENEVE front, VXLAN header, and the two of the inner frame.
const PIECES: usize = 4;

/// Datagrams of a run that are no longer than this are put side by side first: to tell the kernel
/// of each piece is dearer than to copy them.
const GATHERED_LEN: usize = 256;

/// One datagram in pieces, so that the frame is not copied on its way to the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram<'a> {
    /// What stands in front of that; nearly always empty.
    pub(crate) front: &'a [u8],
    /// VXLAN header.
    pub(crate) vxlan: [u8; 8],
    /// The frame behind it.
    pub(crate) inner: Inner<'a>,
}

impl Datagram<'_> {
    /// How long the datagram is, in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.front.len() + self.vxlan.len() + self.inner.len()
    }
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// So many runs, from the first on, are with the kernel.
    pub(crate) count: usize,
    /// What the kernel said of the one behind them, where it said anything (`errno`). Where it
    /// stopped in the middle it says nothing. Never absent where `count` is zero.
    pub(crate) error: Option<c_int>,
}

/// A control message that holds one 16-bit number, laid out as `cmsg(3)` has it on 64 bits.
#[repr(C)]
struct SegmentLen {
    header: cmsghdr,
    len: u16,
    padding: [u8; 6],
}

/// The arrays that the call reads, made once.
pub(crate) struct SendBatch {
    messages: Box<[mmsghdr; SEND_LEN]>,
    controls: Vec<SegmentLen>,
    pieces: Vec<iovec>,
    gathered: Vec<u8>,
}

// SAFETY: the pointers in the arrays are written by `send` and read only within the same call of
// it, which borrows what they point at; between two calls nobody reads them.
unsafe impl Send for SendBatch {}

impl SendBatch {
    /// Empty arrays.
    pub(crate) fn new() -> Self {
        // SAFETY: `mmsghdr` is numbers and raw pointers, for which all bits zero are a value.
        let messages = unsafe { std::mem::zeroed() };
        let controls = (0..SEND_LEN).map(|_| SegmentLen::new()).collect();
        Self {
            messages: Box::new(messages),
            controls,
            pieces: Vec::with_capacity(MAX_DATAGRAMS * PIECES),
            gathered: Vec::with_capacity(MAX_DATAGRAMS * GATHERED_LEN),
        }
    }

    /// Sends runs of datagrams in order, as many as one call takes: `runs` says how many
    /// datagrams each has, from 1 to [`MAX_SEGMENTS`], all but the last of a run of one length.
    /// With `wait` false a full socket is `EAGAIN` at once, else after the timeout of the socket.
    /// A signal is no end.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: &[Datagram<'_>],
        runs: &[usize],
        wait: bool,
    ) -> Sent {
        let len = self.point_at(datagrams, runs);
        let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
        loop {
            // SAFETY: the first `len` messages point at `pieces` and `controls` of ours, and the
            // pieces at headers and frames in `datagrams`, which is borrowed until this function
            // returns; all of it is only read, but for `msg_len` in `messages`, which we hold
            // exclusively. `pieces` and `gathered` never grow beyond what was reserved for them
            // in `new`, so nothing in them moves.
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
    fn point_at(&mut self, datagrams: &[Datagram<'_>], runs: &[usize]) -> c_uint {
        self.pieces.clear();
        self.gathered.clear();
        let mut rest = datagrams;
        let (mut len, mut taken) = (0, 0);
        // Where the pieces lie is known from the start: they never grow beyond what is reserved.
        let base = self.pieces.as_mut_ptr();
        for ((message, control), run) in
            self.messages.iter_mut().zip(self.controls.iter_mut()).zip(runs)
        {
            let Some((run, behind)) = rest.split_at_checked(*run) else { break };
            // So many pieces, and so many bytes side by side, are reserved.
            if taken + run.len() > MAX_DATAGRAMS {
                break;
            }
            taken += run.len();
            let first = self.pieces.len();
            match run {
                [longest, _, ..] if longest.len() <= GATHERED_LEN => {
                    self.pieces.push(gather(&mut self.gathered, run));
                }
                _ => run.iter().for_each(|datagram| put_pieces(&mut self.pieces, datagram)),
            }
            message.msg_hdr.msg_iovlen = self.pieces.len() - first;
            message.msg_hdr.msg_iov = base.wrapping_add(first);
            (message.msg_hdr.msg_control, message.msg_hdr.msg_controllen) = match run {
                [first, _, ..] => {
                    control.len = u16::try_from(first.len()).unwrap_or(u16::MAX);
                    ((&raw mut *control).cast(), size_of::<SegmentLen>())
                }
                _ => (std::ptr::null_mut(), 0),
            };
            rest = behind;
            len += 1;
        }
        len
    }
}

impl SegmentLen {
    fn new() -> Self {
        // SAFETY: a `cmsghdr` is numbers, for which all bits zero are a value.
        let mut header: cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = size_of::<cmsghdr>() + size_of::<u16>();
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        Self { header, len: 0, padding: [0; 6] }
    }
}

/// Puts datagrams side by side, where there is room reserved for as many as one call takes.
fn gather(gathered: &mut Vec<u8>, run: &[Datagram<'_>]) -> iovec {
    let start = gathered.len();
    for datagram in run {
        if !datagram.front.is_empty() {
            gathered.extend_from_slice(datagram.front);
        }
        gathered.extend_from_slice(&datagram.vxlan);
        gathered.extend_from_slice(datagram.inner.head);
        gathered.extend_from_slice(datagram.inner.tail);
    }
    readable(gathered.get(start..).unwrap_or_default())
}

fn put_pieces(pieces: &mut Vec<iovec>, datagram: &Datagram<'_>) {
    if !datagram.front.is_empty() {
        pieces.push(readable(datagram.front));
    }
    pieces.push(readable(&datagram.vxlan));
    pieces.push(readable(datagram.inner.head));
    if !datagram.inner.tail.is_empty() {
        pieces.push(readable(datagram.inner.tail));
    }
}

/// The kernel's word for a piece of memory; in a send it is only read, whatever the type says.
fn readable(bytes: &[u8]) -> iovec {
    iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
