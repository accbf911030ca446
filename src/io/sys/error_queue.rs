//! Reads the error queue of a socket with `IP_RECVERR` (`MSG_ERRQUEUE`, ip(7)): errors about
//! earlier datagrams.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, msghdr, sock_extended_err};
use socket2::{SockAddr, SockAddrStorage};

use super::option::socklen_of;

/// Room for the extended error, the offender's address and the time, aligned for a header.
type ControlBuffer = [u64; 32];

/// An error about an earlier datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueuedError {
    /// The errno if a host or router reported it; 0 if this host did.
    pub(crate) errno: c_int,
    /// The destination of the datagram.
    pub(crate) destination: Option<SocketAddr>,
}

/// Removes the next error from the queue; `None` if the queue is empty. Never waits.
pub(crate) fn next_error(socket: BorrowedFd<'_>) -> Option<QueuedError> {
    let mut control: ControlBuffer = [0; 32];
    // SAFETY: `msghdr` consists of numbers and raw pointers, for which all-zero bits are valid: a
    // message without address and bytes.
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    // SAFETY: an address consists of numbers, for which all-zero bits are valid.
    let mut name: SockAddrStorage = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut name).cast::<c_void>();
    message.msg_namelen = socklen_of::<SockAddrStorage>();
    message.msg_control = control.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = size_of::<ControlBuffer>();
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: `message` points at `name` and `control` alone, each with its own length, and all
    // three live across the call; the kernel writes no more than these lengths.
    let received_len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    if received_len < 0 {
        return None;
    }
    let len = message.msg_namelen.min(socklen_of::<SockAddrStorage>());
    // SAFETY: the kernel wrote an address of `len` bytes into `name`, all of which is initialised.
    let address = unsafe { SockAddr::new(name, len) };
    Some(QueuedError { errno: remote_errno(&message), destination: address.as_socket() })
}

fn remote_errno(message: &msghdr) -> c_int {
    // SAFETY: `message` was filled by `recvmsg` just now and its control buffer still lives.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: where it is not null, `header` points at a whole header within the part of the
    // control buffer that the kernel wrote: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` check that.
    while let Some(current) = unsafe { header.as_ref() } {
        if is_extended_error(current) {
            // SAFETY: such a message begins with a whole extended error (linux/errqueue.h), and
            // the control buffer has room for every message that this socket requested, so that
            // none is truncated; no alignment is required for the read.
            let error: sock_extended_err =
                unsafe { libc::CMSG_DATA(current).cast::<sock_extended_err>().read_unaligned() };
            let is_remote = error.ee_origin != libc::SO_EE_ORIGIN_LOCAL;
            return if is_remote { c_int::try_from(error.ee_errno).unwrap_or(0) } else { 0 };
        }
        // SAFETY: as for the first header.
        header = unsafe { libc::CMSG_NXTHDR(message, current) };
    }
    0
}

const fn is_extended_error(header: &cmsghdr) -> bool {
    matches!(
        (header.cmsg_level, header.cmsg_type),
        (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)
    )
}
