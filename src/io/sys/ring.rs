//! A receive ring of AF_PACKET, version 3: blocks of memory that the kernel fills with frames.
//!
//! ```text
//! block:  0 version | 4 offset to private | 8 status | 12 packets | 16 first packet | 20 length ...
//! packet: 0 next | 4 s | 8 ns | 12 captured | 16 wire | 20 status | 24 mac | 26 net
//!         28 hash | 32 tag | 36 tag's EtherType | 48 sockaddr_ll | ... | mac-10 virtio_net_hdr | mac frame
//! ```
//!
//! The layouts are those of `linux/if_packet.h`. A block is ours from when its status says so
//! until we give it back; in a block that is still the kernel's, a frame is ours from when all of
//! its header is written (see [`Ring::slot`]).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use libc::{c_int, c_uint, c_void};
use socket2::Socket;

use super::option::{len_of, set_number, set_struct};

/// Length of the `virtio_net_hdr` in front of each frame.
pub(crate) const VNET_LEN: usize = 10;

/// Room in front of a frame beside the `virtio_net_hdr`, so that a VLAN tag can be put back.
const RESERVED_LEN: c_int = 16;

const BLOCK_STATUS: usize = 8;
const BLOCK_PACKETS: usize = 12;
const BLOCK_FIRST: usize = 16;

const PACKET_HEADER_LEN: usize = 48;
const LINK_ADDRESS_LEN: usize = 20;
const PACKET_LINK_FAMILY: usize = PACKET_HEADER_LEN;
const PACKET_LINK_INDEX: usize = PACKET_HEADER_LEN + 4;
const PACKET_LINK_TYPE: usize = PACKET_HEADER_LEN + 10;

/// `PACKET_VNET_HDR` and `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`.
const PACKET_VNET_HDR: c_int = 15;

/// How large a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Length of a block in bytes: a multiple of the page size.
    pub(crate) block_len: usize,
    /// How many blocks there are.
    pub(crate) blocks: usize,
    /// After how many milliseconds the kernel gives up a block that is not full.
    pub(crate) timeout_ms: u32,
}

/// One frame as it lies in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where the frame begins in its block.
    pub(crate) start: usize,
    /// How many of its bytes are there.
    pub(crate) captured_len: usize,
    /// How many it had.
    pub(crate) wire_len: u32,
    /// Nanoseconds since 1970.
    pub(crate) timestamp_ns: u64,
    /// The VLAN tag that was taken out: control information and EtherType.
    pub(crate) tag: Option<(u16, u16)>,
    /// `sll_pkttype`.
    pub(crate) packet_type: u8,
    /// Where the next frame's header is, or, behind the last frame of a closed block, where what
    /// was written ends.
    pub(crate) next: usize,
}

/// The ring, its memory and its socket.
#[derive(Debug)]
pub(crate) struct Ring {
    socket: Socket,
    memory: NonNull<u8>,
    shape: Shape,
}

// SAFETY: the memory belongs to this ring alone, and the kernel does not care which thread reads
// it; nothing in it is bound to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Gives a packet socket, not bound yet, a ring.
    pub(crate) fn new(socket: Socket, shape: Shape) -> io::Result<Self> {
        let packet = |name, value| set_number(socket.as_fd(), libc::SOL_PACKET, name, value);
        packet(libc::PACKET_VERSION, 2 /* TPACKET_V3 */)?;
        packet(PACKET_VNET_HDR, 1)?;
        packet(libc::PACKET_RESERVE, RESERVED_LEN)?;
        let number = |value: usize| c_uint::try_from(value).map_err(io::Error::other);
        let frame_len = 2048;
        let request = libc::tpacket_req3 {
            tp_block_size: number(shape.block_len)?,
            tp_block_nr: number(shape.blocks)?,
            tp_frame_size: number(frame_len)?,
            tp_frame_nr: number(shape.block_len / frame_len * shape.blocks)?,
            tp_retire_blk_tov: shape.timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set_struct(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no memory of ours;
        // its length is that of the ring, which the kernel made just now.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                shape.block_len * shape.blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { socket, memory, shape })
    }

    /// The socket.
    pub(crate) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The shape.
    pub(crate) const fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the kernel is done with a block. What it wrote there is to be seen afterwards.
    #[inline]
    pub(crate) fn is_closed(&self, block: usize) -> bool {
        let status = self.word(block, BLOCK_STATUS, Ordering::Acquire).unwrap_or(0);
        status & libc::TP_STATUS_USER != 0
    }

    /// How many frames a block holds; in an open block some of them may not be whole yet.
    #[inline]
    pub(crate) fn packets(&self, block: usize) -> u32 {
        self.word(block, BLOCK_PACKETS, Ordering::Acquire).unwrap_or(0)
    }

    /// Where the header of the first frame of a block is.
    #[inline]
    pub(crate) fn first(&self, block: usize) -> usize {
        self.word(block, BLOCK_FIRST, Ordering::Relaxed).map_or(0, to_index)
    }

    /// Gives a block back to the kernel. Nothing lent from it is still borrowed, since that
    /// borrows the ring.
    pub(crate) fn release(&mut self, block: usize) {
        if let Some(status) = self.atomic_u32(block, BLOCK_STATUS) {
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
    }

    /// Fills the part of a closed block that `range` names with zeros, so that a frame that is
    /// written there later can be told from one that was there before.
    pub(crate) fn wipe(&mut self, block: usize, start: usize, end: usize) {
        if self.is_closed(block) {
            self.bytes_mut(block, start, end.saturating_sub(start)).fill(0);
        }
    }

    /// The frame whose header is at `at`; nothing where none is, or where it is not whole yet.
    ///
    /// In a closed block all is whole. In an open one the header was zero (see [`Ring::wipe`]) and
    /// is whole when its last fields are there: the kernel copies the frame, then writes the
    /// header, its status first and the index of the interface in the address last
    /// (`tpacket_rcv` in `net/packet/af_packet.c`).
    #[inline]
    pub(crate) fn slot(&self, block: usize, at: usize) -> Option<Slot> {
        let word = |offset| self.word(block, at + offset, Ordering::Acquire);
        let half = |offset| self.half(block, at + offset);
        let (index, family) = (word(PACKET_LINK_INDEX)?, half(PACKET_LINK_FAMILY)?);
        let status = word(20)?;
        let is_whole = index != 0 && family != 0 && status & libc::TP_STATUS_USER != 0;
        let (captured_len, mac) = (to_index(word(12)?), usize::from(half(24)?));
        let start = at + mac;
        let fits = start + captured_len <= self.shape.block_len;
        let in_order = mac >= PACKET_HEADER_LEN + LINK_ADDRESS_LEN + VNET_LEN;
        if !(is_whole && fits && in_order) {
            return None;
        }
        let seconds = u64::from(word(4)?);
        let has_tag = status & libc::TP_STATUS_VLAN_VALID != 0;
        let has_type = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let ether_type = if has_type { half(36)? } else { 0x8100 };
        let [low, high, ..] = word(32)?.to_ne_bytes();
        Some(Slot {
            start,
            captured_len,
            wire_len: word(16)?,
            timestamp_ns: seconds * 1_000_000_000 + u64::from(word(8)?),
            tag: has_tag.then_some((u16::from_ne_bytes([low, high]), ether_type)),
            packet_type: self.byte(block, at + PACKET_LINK_TYPE)?,
            next: (at + to_index(word(0)?)).max(start + captured_len),
        })
    }

    /// Bytes of a frame, or of the room in front of it, that [`Ring::slot`] said are there.
    #[inline]
    pub(crate) fn bytes(&self, block: usize, start: usize, len: usize) -> &[u8] {
        match self.place(block, start, len) {
            // SAFETY: `place` saw to it that the bytes lie within one block of the mapping, which
            // lives as long as the ring. They are of a frame that the kernel has written whole,
            // and it leaves them alone until `release`, which needs the ring for itself.
            Some(place) => unsafe { std::slice::from_raw_parts(place, len) },
            None => &[],
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, block: usize, start: usize, len: usize) -> &mut [u8] {
        match self.place(block, start, len) {
            // SAFETY: as for `bytes`; and the ring is borrowed for writing, so nobody of ours
            // reads them meanwhile.
            Some(place) => unsafe { std::slice::from_raw_parts_mut(place.cast_mut(), len) },
            None => &mut [],
        }
    }

    /// What the kernel counted since it was last asked: frames that the filter let through, and
    /// how many of them found no room.
    pub(crate) fn statistics(&self) -> io::Result<(u32, u32)> {
        let mut counted = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut len = len_of::<libc::tpacket_stats_v3>();
        let place: *mut c_void = (&raw mut counted).cast();
        // SAFETY: `place` points at `len` bytes of `counted`, which lives across the call and any
        // bytes of which are good numbers; the kernel writes no more than `len`.
        let failed = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                place,
                &raw mut len,
            )
        };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((counted.tp_packets, counted.tp_drops))
    }

    #[inline]
    fn place(&self, block: usize, start: usize, len: usize) -> Option<*const u8> {
        let end = start.checked_add(len)?;
        let fits = block < self.shape.blocks && end <= self.shape.block_len;
        fits.then(|| {
            self.memory.as_ptr().wrapping_add(block * self.shape.block_len + start).cast_const()
        })
    }

    #[inline]
    fn atomic_u32(&self, block: usize, at: usize) -> Option<&AtomicU32> {
        let place = self.place(block, at, 4)?.cast::<AtomicU32>();
        // SAFETY: `place` lies within the mapping, which lives as long as the ring; whoever else
        // writes there (the kernel) is met by atomic access on our side. Alignment is looked at.
        place.is_aligned().then(|| unsafe { &*place })
    }

    #[inline]
    fn word(&self, block: usize, at: usize, order: Ordering) -> Option<u32> {
        self.atomic_u32(block, at).map(|word| word.load(order))
    }

    #[inline]
    fn half(&self, block: usize, at: usize) -> Option<u16> {
        let place = self.place(block, at, 2)?.cast::<AtomicU16>();
        // SAFETY: as for `atomic_u32`.
        place.is_aligned().then(|| unsafe { &*place }.load(Ordering::Relaxed))
    }

    #[inline]
    fn byte(&self, block: usize, at: usize) -> Option<u8> {
        let place = self.place(block, at, 1)?.cast::<AtomicU8>();
        // SAFETY: as for `atomic_u32`; a byte is always aligned.
        Some(unsafe { &*place }.load(Ordering::Relaxed))
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new` with this length and nothing borrows from it any
        // more, since such borrows borrow the ring.
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.shape.block_len * self.shape.blocks)
        };
    }
}

fn to_index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
