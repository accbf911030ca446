//! Sends requests to the kernel over rtnetlink and receives its messages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NetlinkBuffer, NetlinkHeader, parse_i32,
};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with,
};

/// The length of the receive buffer in bytes. A datagram of a dump has at most 32 KiB
/// (`netlink_dump`).
const BUFFER_LEN: usize = 65_536;

/// How long to wait for a response. The kernel responds at once unless a lock is held.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The length of a netlink header, in bytes. Messages begin at multiples of four.
const HEADER_LEN: usize = 16;

/// One message of a datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct NetlinkMessage<'a> {
    /// Its type, one of `RTM_*` or `NLMSG_*`.
    pub(super) kind: u16,
    flags: u16,
    sequence: u32,
    /// The bytes after its netlink header.
    pub(super) payload: &'a [u8],
}

/// The complete messages of a datagram.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = NetlinkMessage<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let buffer = NetlinkBuffer::new_checked(rest).ok()?;
        let len = usize::try_from(buffer.length()).ok()?.next_multiple_of(4);
        rest = rest.get(len..).unwrap_or_default();
        Some(NetlinkMessage {
            kind: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            payload: buffer.payload(),
        })
    })
}

/// A request: the fixed part of its type, and attributes.
#[derive(Debug, Clone)]
pub(super) struct NetlinkRequest {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl NetlinkRequest {
    /// A request of the type `kind`, one of `RTM_*`.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        Self { kind, flags: flags | NLM_F_REQUEST, body: fixed.to_vec() }
    }

    /// The request with one more attribute.
    pub(super) fn with_attribute(mut self, attribute: u16, value: &[u8]) -> Self {
        append_attribute(&mut self.body, attribute, value);
        self
    }

    /// The request with one more attribute, which contains attributes.
    pub(super) fn with_attributes(self, attribute: u16, nested: &Attributes) -> Self {
        self.with_attribute(attribute, &nested.bytes)
    }

    /// The encoded message, with its sequence number in the header.
    pub(super) fn bytes(&self, sequence_number: u32) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(HEADER_LEN + self.body.len()).unwrap_or(u32::MAX);
        header.message_type = self.kind;
        header.flags = self.flags;
        header.sequence_number = sequence_number;
        header.emit(&mut bytes);
        bytes.extend(&self.body);
        bytes
    }
}

/// The attributes in an attribute, or in the fixed part of a structure that has attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    /// Attributes that follow a structure, whose length is a multiple of four.
    pub(super) fn after(fixed: &[u8]) -> Self {
        Self { bytes: fixed.to_vec() }
    }

    /// The attributes with one more.
    pub(super) fn with(mut self, attribute: u16, value: &[u8]) -> Self {
        append_attribute(&mut self.bytes, attribute, value);
        self
    }

    /// The attributes with one more, which contains attributes.
    pub(super) fn with_nested(self, attribute: u16, nested: &Self) -> Self {
        self.with(attribute, &nested.bytes)
    }
}

fn append_attribute(bytes: &mut Vec<u8>, attribute: u16, value: &[u8]) {
    let attribute = DefaultNla::new(attribute, value.to_vec());
    let start = bytes.len();
    bytes.resize(start + attribute.buffer_len(), 0);
    attribute.emit(bytes.get_mut(start..).unwrap_or_default());
}

/// A socket that sends requests.
#[derive(Debug)]
pub(super) struct NetlinkClient {
    socket: NetlinkSocket,
    sequence: u32,
}

impl NetlinkClient {
    pub(super) fn open() -> io::Result<Self> {
        let socket = NetlinkSocket::open(SocketFlags::empty(), 0)?;
        set_socket_timeout(&socket.fd, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends a request and calls `on_message` for each message of the response. Returns whether the
    /// data changed meanwhile, so that the response may be incomplete.
    pub(super) fn request(
        &mut self,
        request: &NetlinkRequest,
        mut on_message: impl FnMut(NetlinkMessage<'_>),
    ) -> io::Result<bool> {
        self.sequence += 1;
        let kernel = SocketAddrNetlink::new(0, 0);
        let bytes = request.bytes(self.sequence);
        sendto(&self.socket.fd, &bytes, SendFlags::empty(), &kernel)?;
        let mut changed = false;
        loop {
            let datagram = self.socket.receive()?;
            for message in messages(datagram).filter(|one| one.sequence == self.sequence) {
                changed |= message.flags & NLM_F_DUMP_INTR != 0;
                if matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
                    return check_final_status(message).map(|()| changed);
                }
                on_message(message);
                if message.flags & NLM_F_MULTIPART == 0 {
                    return Ok(changed);
                }
            }
        }
    }
}

impl AsFd for NetlinkClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Checks the last message of a response, which contains zero or a negated errno.
fn check_final_status(message: NetlinkMessage<'_>) -> io::Result<()> {
    match message.payload.get(..4).and_then(|code| parse_i32(code).ok()) {
        None | Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

/// A netlink socket with a buffer for one datagram.
#[derive(Debug)]
pub(super) struct NetlinkSocket {
    fd: OwnedFd,
    buffer: Box<[u8]>,
}

impl NetlinkSocket {
    /// Opens an rtnetlink socket that receives these multicast groups, one bit each.
    pub(super) fn open(flags: SocketFlags, groups: u32) -> io::Result<Self> {
        let flags = flags | SocketFlags::CLOEXEC;
        // The protocol `None` is 0, which is NETLINK_ROUTE.
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { fd, buffer: vec![0; BUFFER_LEN].into_boxed_slice() })
    }

    /// The next datagram from the kernel. Datagrams of other processes are ignored.
    pub(super) fn receive(&mut self) -> io::Result<&[u8]> {
        let len = loop {
            match recvfrom(&self.fd, &mut *self.buffer, RecvFlags::TRUNC) {
                Ok((_, len, sender)) => {
                    let sender = sender.and_then(|one| SocketAddrNetlink::try_from(one).ok());
                    if sender.is_some_and(|sender| sender.pid() == 0) {
                        break len;
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let too_long = || {
            let sentence = format!(
                "the kernel sent a message of {len} bytes: expected at most {BUFFER_LEN} bytes"
            );
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        };
        self.buffer.get(..len).ok_or_else(too_long)
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_request_decodes_to_the_same_message() {
        let request = NetlinkRequest::new(18, NLM_F_MULTIPART, &[7; 16])
            .with_attribute(3, b"eth0\0")
            .with_attribute(29, &[8]);
        let bytes = request.bytes(9);
        assert_eq!(bytes.len(), 16 + 16 + 12 + 8);
        let read: Vec<NetlinkMessage<'_>> = messages(&bytes).collect();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].kind, read[0].flags, read[0].sequence), (18, 3, 9));
        assert_eq!(read[0].payload, &bytes[16..]);
    }

    #[test]
    fn nested_attributes_are_encoded_with_their_lengths() {
        let inner = Attributes::default().with(1, &[7]);
        let outer = Attributes::after(&[5; 4]).with_nested(2, &inner);
        let bytes = NetlinkRequest::new(16, 0, &[]).with_attributes(18, &outer).bytes(1);
        let expected = [20, 0, 18, 0, 5, 5, 5, 5, 12, 0, 2, 0, 5, 0, 1, 0, 7, 0, 0, 0];
        assert_eq!(bytes[16..], expected);
    }

    #[test]
    fn a_truncated_datagram_ends_after_its_last_complete_message() {
        let mut bytes = NetlinkRequest::new(18, 0, &[7; 16]).bytes(1);
        bytes.extend(NetlinkRequest::new(19, 0, &[7; 5]).bytes(1));
        for len in 0..=bytes.len() {
            let whole = usize::from(len >= 32) + usize::from(len >= 53);
            assert_eq!(messages(&bytes[..len]).count(), whole, "{len}");
        }
    }

    #[test]
    fn a_message_length_of_0_ends_the_parsing() {
        assert_eq!(messages(&[0; 64]).count(), 0);
    }
}
