//! Socket options that no library provides.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, socklen_t};

/// Sets option `name` of `level` to an integer.
pub(crate) fn set_int_option(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    let len = socklen_of::<c_int>();
    let pointer = (&raw const value).cast();
    // SAFETY: `pointer` points at `len` bytes of `value`, which lives across the call and is only
    // read; the descriptor is open as long as it is borrowed.
    let failed = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, len) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Types of which `setsockopt` may read all bytes: without padding and pointers.
///
/// # Safety
/// Every byte of a value is initialised.
pub(crate) unsafe trait InitializedBytes {}

// SAFETY: seven 32-bit numbers in a row.
unsafe impl InitializedBytes for libc::tpacket_req3 {}
// SAFETY: numbers without a gap between them: 2 + 2 + 4 + 2 + 1 + 1 + 8 bytes.
unsafe impl InitializedBytes for libc::sockaddr_ll {}

// SAFETY: eight 32-bit numbers in a row.
unsafe impl InitializedBytes for [u32; 8] {}

/// Sets option `name` of `level` to a kernel structure.
pub(crate) fn set_struct_option<T: InitializedBytes>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: `pointer` points at a whole `T`, all bytes of which are initialised
    // (`InitializedBytes`), which is borrowed across the call and only read.
    let failed =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, socklen_of::<T>()) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds a packet socket to an interface, for frames of `protocol` (0: none).
pub(crate) fn bind_packet(
    socket: BorrowedFd<'_>,
    interface: c_int,
    protocol: u16,
) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: protocol.to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let pointer = (&raw const address).cast();
    let len = socklen_of::<libc::sockaddr_ll>();
    // SAFETY: `pointer` points at a whole address, which lives across the call and is only read.
    let failed = unsafe { libc::bind(socket.as_raw_fd(), pointer, len) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Excludes frames that leave through the interface (`PACKET_IGNORE_OUTGOING` of
/// `linux/if_packet.h`).
pub(crate) fn ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_int_option(socket, libc::SOL_PACKET, 23, 1)
}

/// Distributes the frames of an interface to several packet sockets by flow hash. Joins `group`, or
/// creates a group; returns its number.
pub(crate) fn join_fanout(socket: BorrowedFd<'_>, group: Option<u16>) -> io::Result<u16> {
    let algorithm = i64::from(libc::PACKET_FANOUT_HASH) << 16;
    let unique_id = i64::from(libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16;
    let value = group.map_or(unique_id | algorithm, |group| i64::from(group) | algorithm);
    let value = c_int::try_from(value).map_err(io::Error::other)?;
    set_int_option(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, value)?;
    let joined = int_option(socket, libc::SOL_PACKET, libc::PACKET_FANOUT)?;
    let [low, high, ..] = joined.to_le_bytes();
    Ok(u16::from_le_bytes([low, high]))
}

/// Reads option `name` of `level`, which is an integer.
pub(crate) fn int_option(socket: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = socklen_of::<c_int>();
    let pointer = (&raw mut value).cast();
    // SAFETY: `pointer` points at `len` bytes of `value`, which lives across the call and for which
    // every bit pattern is valid; the kernel writes no more than `len`.
    let failed =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, pointer, &raw mut len) };
    if failed == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// The longest IP packet that the route of a connected socket carries, in bytes.
pub(crate) fn path_mtu(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<usize> {
    let (level, name) = if is_ipv4 {
        (libc::IPPROTO_IP, libc::IP_MTU)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU)
    };
    usize::try_from(int_option(socket, level, name)?).map_err(io::Error::other)
}

/// Number of datagrams since the socket was opened that the kernel received and dropped because of
/// lack of room or a wrong checksum.
pub(crate) fn receive_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut counters = [0_u32; 16];
    let mut len = socklen_of::<[u32; 16]>();
    let pointer = counters.as_mut_ptr().cast();
    // SAFETY: `pointer` points at `len` bytes of `counters`, which lives across the call and for
    // which every bit pattern is valid; the kernel writes no more than `len`.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            pointer,
            &raw mut len,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    let index = usize::try_from(libc::SK_MEMINFO_DROPS).unwrap_or(usize::MAX);
    Ok(counters.get(index).copied().unwrap_or(0))
}

/// The size of a `T` in the type of the socket calls.
pub(super) fn socklen_of<T>() -> socklen_t {
    socklen_t::try_from(size_of::<T>()).unwrap_or(socklen_t::MAX)
}
