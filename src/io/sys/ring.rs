//! A packet socket with a receive ring (TPACKET_V3) and its counters.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{c_int, c_uint, c_void};
use socket2::Socket;

use super::option::{set_int_option, set_struct_option, socklen_of};
use super::ring_memory::{RingGeometry, RingMemory};

/// Headroom of a frame in bytes, besides the `virtio_net_hdr`, for restoring a VLAN tag.
const RESERVED_LEN: c_int = 16;

/// `PACKET_VNET_HDR` of `linux/if_packet.h`.
pub(crate) const PACKET_VNET_HDR: c_int = 15;

/// A packet socket and the memory of its ring.
#[derive(Debug)]
pub(crate) struct Ring {
    socket: RingSocket,
    memory: RingMemory,
}

/// The socket of a ring.
#[derive(Debug)]
pub(crate) struct RingSocket(Socket);

impl Ring {
    /// Creates a ring on a packet socket that is not bound yet.
    pub(crate) fn new(socket: Socket, geometry: RingGeometry) -> io::Result<Self> {
        let packet = |name, value| set_int_option(socket.as_fd(), libc::SOL_PACKET, name, value);
        packet(libc::PACKET_VERSION, 2 /* TPACKET_V3 */)?;
        packet(PACKET_VNET_HDR, 1)?;
        packet(libc::PACKET_RESERVE, RESERVED_LEN)?;
        let number = |value: usize| c_uint::try_from(value).map_err(io::Error::other);
        let frame_len = 2048;
        let request = libc::tpacket_req3 {
            tp_block_size: number(geometry.block_len)?,
            tp_block_nr: number(geometry.blocks)?,
            tp_frame_size: number(frame_len)?,
            tp_frame_nr: number(geometry.block_len / frame_len * geometry.blocks)?,
            tp_retire_blk_tov: geometry.timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set_struct_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let memory = RingMemory::map(socket.as_fd(), geometry)?;
        Ok(Self { socket: RingSocket(socket), memory })
    }

    /// Splits the ring into its socket and its memory.
    pub(crate) fn into_parts(self) -> (RingSocket, RingMemory) {
        (self.socket, self.memory)
    }
}

impl RingSocket {
    /// The socket.
    pub(crate) const fn socket(&self) -> &Socket {
        &self.0
    }

    /// The kernel's counters since the last call: frames that the filter accepted, and how many of
    /// them it did not put into the ring, because of lack of room or because it could not write a
    /// `virtio_net_hdr`.
    pub(crate) fn statistics(&self) -> io::Result<(u32, u32)> {
        let mut counters =
            libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut len = socklen_of::<libc::tpacket_stats_v3>();
        let pointer: *mut c_void = (&raw mut counters).cast();
        // SAFETY: `pointer` points at `len` bytes of `counters`, which lives across the call and
        // for which every bit pattern is valid; the kernel writes no more than `len`.
        let failed = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                pointer,
                &raw mut len,
            )
        };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((counters.tp_packets, counters.tp_drops))
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for RingSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
