//! Sends many messages through one unconnected socket in one system call (`sendmmsg`).
//!
//! A [`MessageBatch`] is filled message by message and sent once. Headers are written into its own
//! memory. The payload is not copied, unless it is so short that copying costs less than one more
//! piece (scatter-gather, `struct iovec`):
//!
//! ```text
//! messages   | address, pieces 0..2 | address, pieces 2..3 | ...
//! pieces     | headers | payload    | headers and payload  | ...      struct iovec
//! memory     | headers | headers and payload | ...                    copied by the batch
//! ```

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_uint, iovec, mmsghdr};
use socket2::SockAddr;

use super::option::socklen_of;

/// The maximum number of messages of one call.
pub(crate) const MAX_MESSAGES: usize = 128;

/// The maximum number of datagrams in one message: `UDP_MAX_SEGMENTS` of kernels before 6.9.
pub(crate) const MAX_SEGMENTS: usize = 64;

/// Payload up to this length in bytes is copied next to its headers, because one more piece costs
/// the kernel more.
const COPIED_LEN: usize = 256;

/// Memory for headers and short payload in bytes. It holds the longest message: 64 datagrams of at
/// most 256 bytes of headers and two short payloads each, and the headers before them.
const MEMORY_LEN: usize = 128 * 1024;

/// The maximum number of pieces of one call. One message has at most 3 for each of its datagrams
/// and one more, which is below the kernel's limit (`UIO_MAXIOV`, 1,024).
const MAX_PIECES: usize = 1_024;

/// The result of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SendResult {
    /// Number of messages, from the first, that the kernel accepted.
    pub(crate) count: usize,
    /// Why it refused the first message (`errno`). Always present when `count` is zero: the
    /// kernel reports an error of a later message only when that message is sent first.
    pub(crate) error: Option<c_int>,
}

/// The arrays that the call reads. They are allocated once.
pub(crate) struct SendBatch {
    messages: Box<[mmsghdr]>,
    pieces: Box<[iovec]>,
    memory: Box<[u8]>,
}

// SAFETY: the pointers in the arrays are written by a `MessageBatch` and followed only by its
// `send`, while it borrows both the arrays and the memory that the pointers lead to. Between two
// batches no code follows them, so it does not matter which thread owns the arrays.
unsafe impl Send for SendBatch {}

/// Messages that are being assembled. All memory that they refer to is borrowed for `'d`.
pub(crate) struct MessageBatch<'b, 'd> {
    arrays: &'b mut SendBatch,
    /// Number of complete messages.
    messages: usize,
    /// Number of pieces in use, including those of the message that is being written.
    pieces: usize,
    /// Number of bytes of memory in use.
    used: usize,
    /// Start of the piece that is being written, in memory.
    open: usize,
    /// Index of the first piece of the message that is being written.
    first_piece: usize,
    borrowed: PhantomData<&'d [u8]>,
}

impl SendBatch {
    /// Empty arrays.
    pub(crate) fn new() -> Self {
        // SAFETY: both consist of numbers and raw pointers, for which all-zero bits are valid.
        let (message, piece): (mmsghdr, iovec) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            messages: vec![message; MAX_MESSAGES].into_boxed_slice(),
            pieces: vec![piece; MAX_PIECES].into_boxed_slice(),
            memory: vec![0; MEMORY_LEN].into_boxed_slice(),
        }
    }

    /// A batch without messages.
    pub(crate) const fn begin<'d>(&mut self) -> MessageBatch<'_, 'd> {
        MessageBatch {
            arrays: self,
            messages: 0,
            pieces: 0,
            used: 0,
            open: 0,
            first_piece: 0,
            borrowed: PhantomData,
        }
    }
}

impl<'d> MessageBatch<'_, 'd> {
    /// Number of messages.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.messages
    }

    /// Begins a message of at most `datagrams` datagrams, each with at most `header_len` bytes of
    /// headers and two slices of payload, and with `header_len` bytes of headers before all.
    /// Returns false if there is no room: send the batch first. An empty batch has room for
    /// [`MAX_SEGMENTS`] datagrams with 256 bytes of headers each.
    pub(crate) fn begin_message(&mut self, datagrams: usize, header_len: usize) -> bool {
        let pieces = datagrams * 3 + 1;
        let memory = (datagrams + 1) * (header_len + 2 * COPIED_LEN);
        let has_room = self.messages < MAX_MESSAGES
            && self.pieces + pieces <= MAX_PIECES
            && self.used + memory <= MEMORY_LEN;
        self.first_piece = self.pieces;
        self.open = self.used;
        has_room
    }

    /// Appends headers, which are copied.
    #[inline]
    pub(crate) fn append_copied(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        if let Some(room) = self.arrays.memory.get_mut(self.used..end) {
            room.copy_from_slice(bytes);
            self.used = end;
        }
    }

    /// Appends payload, which is copied only if it is short.
    #[inline]
    pub(crate) fn append_borrowed(&mut self, bytes: &'d [u8]) {
        if bytes.len() <= COPIED_LEN {
            return self.append_copied(bytes);
        }
        self.close_piece();
        self.push_piece(bytes.as_ptr(), bytes.len());
    }

    /// Ends the message, which is sent to `address`.
    #[inline]
    pub(crate) fn end_message(&mut self, address: &'d SockAddr) {
        self.close_piece();
        let pieces = self.arrays.pieces.get_mut(self.first_piece..self.pieces).unwrap_or_default();
        let Some(message) = self.arrays.messages.get_mut(self.messages) else { return };
        message.msg_hdr.msg_iovlen = pieces.len();
        message.msg_hdr.msg_iov = pieces.as_mut_ptr();
        // The kernel only reads the address, although the type is mutable.
        message.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
        message.msg_hdr.msg_namelen = address.len();
        self.messages += 1;
    }

    /// Sends the messages in order, as many as the kernel accepts. With `wait` false a full socket
    /// is `EAGAIN` at once, otherwise after the time-out of the socket. A signal does not end the
    /// call.
    pub(crate) fn send(self, socket: BorrowedFd<'_>, wait: bool) -> SendResult {
        let len = c_uint::try_from(self.messages).unwrap_or(0);
        let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
        loop {
            // SAFETY: the first `len` messages were written by `end_message` of this batch. Their
            // names and foreign pieces are borrowed for `'d`, which outlives `self`; the other
            // pieces lie in `memory`, and the lists of pieces in `pieces`, which `self` borrows
            // exclusively and which never move or grow. Their control pointers are null and their
            // lengths zero since `new`. The kernel only reads all of it, except for `msg_len` in
            // `messages`.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), self.arrays.messages.as_mut_ptr(), len, flags)
            };
            let error = match usize::try_from(sent) {
                Ok(0) => libc::EIO,
                Ok(count) => return SendResult { count, error: None },
                Err(_) => io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO),
            };
            if error != libc::EINTR {
                return SendResult { count: 0, error: Some(error) };
            }
        }
    }

    /// Adds a piece for the bytes that were copied since the last piece.
    #[inline]
    fn close_piece(&mut self) {
        let written = self.arrays.memory.get(self.open..self.used).unwrap_or_default();
        let (start, len) = (written.as_ptr(), written.len());
        if len > 0 {
            self.push_piece(start, len);
        }
        self.open = self.used;
    }

    #[inline]
    fn push_piece(&mut self, start: *const u8, len: usize) {
        if let Some(piece) = self.arrays.pieces.get_mut(self.pieces) {
            // A send only reads the piece, although the type is mutable.
            *piece = iovec { iov_base: start.cast_mut().cast(), iov_len: len };
            self.pieces += 1;
        }
    }
}

/// The address of a frame that leaves through the device at `index` (packet(7)).
pub(crate) fn link_address(index: u32, protocol: u16) -> SockAddr {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: protocol.to_be(),
        sll_ifindex: c_int::try_from(index).unwrap_or_default(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    // SAFETY: all-zero bits are valid for `sockaddr_storage`, which is larger than a `sockaddr_ll`
    // and aligned for any address, so writing one to its start stays within it.
    let storage = unsafe {
        let mut storage: socket2::SockAddrStorage = std::mem::zeroed();
        (&raw mut storage).cast::<libc::sockaddr_ll>().write(address);
        storage
    };
    // SAFETY: `storage` begins with a whole address of that family and length.
    unsafe { SockAddr::new(storage, socklen_of::<libc::sockaddr_ll>()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    fn receiver() -> (UdpSocket, SockAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap().into();
        (socket, address)
    }

    #[test]
    fn messages_of_any_pieces_arrive_whole_and_in_order() {
        let (receiver, address) = receiver();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let payloads: Vec<Vec<u8>> =
            [0, 1, 255, 256, 257, 1_400].iter().map(|len| vec![0xab; *len]).collect();
        let mut arrays = SendBatch::new();
        let mut batch = arrays.begin();
        for payload in &payloads {
            assert!(batch.begin_message(1, 2));
            batch.append_copied(&[1, 2]);
            batch.append_borrowed(payload);
            batch.append_borrowed(&payload[..1.min(payload.len())]);
            batch.end_message(&address);
        }
        assert_eq!(batch.len(), payloads.len());
        let sent = batch.send(sender.as_fd(), true);
        assert_eq!(sent, SendResult { count: payloads.len(), error: None });
        let mut room = [0; 2_000];
        for payload in &payloads {
            let len = receiver.recv(&mut room).unwrap();
            let last = &payload[..1.min(payload.len())];
            assert_eq!(room[..len], [&[1, 2], &payload[..], last].concat());
        }
    }

    #[test]
    fn a_full_batch_refuses_further_messages() {
        let (_, address) = receiver();
        let mut arrays = SendBatch::new();
        let mut batch = arrays.begin();
        assert!(batch.begin_message(MAX_SEGMENTS, 256), "any one message fits");
        let mut count = 0;
        while batch.begin_message(1, 60) {
            batch.append_copied(&[0; 60]);
            batch.append_borrowed(&[7; 256]);
            batch.end_message(&address);
            count += 1;
        }
        assert!(count > 64 && count <= MAX_MESSAGES, "{count}");
        // A caller that ignores the result loses bytes but causes no invalid access.
        for _ in 0..3_000 {
            batch.append_copied(&[0; 200]);
            batch.append_borrowed(&[7; 300]);
        }
        batch.end_message(&address);
        assert!(batch.used <= MEMORY_LEN && batch.pieces <= MAX_PIECES);
        assert!(batch.len() <= MAX_MESSAGES);
    }
}
