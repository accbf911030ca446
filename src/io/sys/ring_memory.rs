//! The memory of a TPACKET_V3 ring: blocks of slots. Each slot contains a frame or is empty.
//!
//! ```text
//! block:  0 version | 4 offset to private | 8 status | 12 slots | 16 first slot | 20 length | ...
//! slot:   0 next | 4 s | 8 ns | 12 captured | 16 wire | 20 status | 24 mac | 26 net | 28 hash
//!         32 VLAN tag | 36 its EtherType | 48 sockaddr_ll | 68 ... virtio_net_hdr | frame
//! ```
//!
//! The layouts are those of `linux/if_packet.h`. A block whose status lacks `TP_STATUS_USER` is
//! *open*: the kernel writes it. The kernel sets the bit when it has finished all slots (the block
//! is then *closed*) and does not touch the block again until this program clears the bit. The
//! memory is the mapping of a packet socket, or a buffer in which a test or a fuzz target takes the
//! kernel's role.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use super::ring_slot::{Extent, Slot};

/// Length of a block header (`BLK_HDR_LEN` of `net/packet/af_packet.c`).
pub(crate) const BLOCK_HEADER_LEN: usize = 48;

/// Length of the `virtio_net_hdr` before each frame.
pub(crate) const VNET_HEADER_LEN: usize = 10;

/// The smallest offset of a frame in its slot: after both headers and the `virtio_net_hdr`.
const MIN_FRAME_OFFSET: usize = size_of::<SlotHeader>() + VNET_HEADER_LEN;

/// The size of a ring and its division into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingGeometry {
    /// Length of a block in bytes: a multiple of the page size.
    pub(crate) block_len: usize,
    /// Number of blocks.
    pub(crate) blocks: usize,
    /// Time in milliseconds after which the kernel closes a block that is not full.
    pub(crate) timeout_ms: u32,
}

/// `struct tpacket_block_desc` with `struct tpacket_hdr_v1`, up to the last field that is used.
#[repr(C)]
struct BlockHeader {
    version: AtomicU32,
    offset_to_private: AtomicU32,
    status: AtomicU32,
    slots: AtomicU32,
    first: AtomicU32,
    len: AtomicU32,
}

/// `struct tpacket3_hdr`, and `struct sockaddr_ll` after it.
#[repr(C)]
struct SlotHeader {
    next: AtomicU32,
    seconds: AtomicU32,
    nanoseconds: AtomicU32,
    captured_len: AtomicU32,
    wire_len: AtomicU32,
    status: AtomicU32,
    mac: AtomicU16,
    net: AtomicU16,
    hash: AtomicU32,
    vlan_tag: AtomicU32,
    vlan_ether_type: AtomicU16,
    padding: [AtomicU16; 5],
    family: AtomicU16,
    protocol: AtomicU16,
    interface: AtomicU32,
    hardware: AtomicU16,
    packet_type: AtomicU8,
    address_len: AtomicU8,
    address: [AtomicU16; 4],
}

const _: () = assert!(size_of::<BlockHeader>() == 24 && size_of::<SlotHeader>() == 68);

/// The origin of the memory, which decides how it is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Mapping,
    /// Length in 64-bit words.
    Buffer(usize),
}

/// The blocks of a ring.
#[derive(Debug)]
pub(crate) struct RingMemory {
    memory: NonNull<u8>,
    origin: Origin,
    geometry: RingGeometry,
    /// How often each block was released. An [`Extent`] is valid for one generation of its block.
    generations: Vec<u32>,
}

// SAFETY: only this value owns the memory, and neither the mapping nor the allocation is bound to a
// thread.
unsafe impl Send for RingMemory {}

impl RingMemory {
    /// Maps the ring of the socket, which must have this geometry.
    pub(super) fn map(socket: BorrowedFd<'_>, geometry: RingGeometry) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses overlaps no memory of ours.
        // The kernel rejects a length that differs from that of the ring (`packet_mmap`).
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                geometry.block_len * geometry.blocks,
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
        let generations = vec![0; geometry.blocks];
        Ok(Self { memory, origin: Origin::Mapping, geometry, generations })
    }

    /// A ring of zeros in a buffer of this process. The block length must be a multiple of eight
    /// bytes and hold a block header.
    pub(crate) fn buffer(geometry: RingGeometry) -> io::Result<Self> {
        let is_sound = geometry.block_len.is_multiple_of(8)
            && geometry.block_len >= BLOCK_HEADER_LEN
            && geometry.blocks > 1;
        let len = geometry.block_len.checked_mul(geometry.blocks).filter(|_| is_sound);
        let len = len.ok_or(io::ErrorKind::InvalidInput)?;
        let words = vec![0_u64; len / 8].into_boxed_slice();
        let count = words.len();
        let memory = NonNull::from(Box::leak(words)).cast();
        let generations = vec![0; geometry.blocks];
        Ok(Self { memory, origin: Origin::Buffer(count), geometry, generations })
    }

    /// The geometry of the ring.
    pub(crate) const fn geometry(&self) -> RingGeometry {
        self.geometry
    }

    /// Whether the kernel has finished a block. Its writes to the block are visible afterwards.
    #[inline]
    pub(crate) fn is_closed(&self, block: usize) -> bool {
        let header = self.block_header(block);
        header
            .is_some_and(|header| header.status.load(Ordering::Acquire) & libc::TP_STATUS_USER != 0)
    }

    /// Number of slots of a block. In an open block some of them may be incomplete.
    #[inline]
    pub(crate) fn slot_count(&self, block: usize) -> u32 {
        self.block_header(block).map_or(0, |header| header.slots.load(Ordering::Acquire))
    }

    /// Offset of the first slot of a block.
    #[inline]
    pub(crate) fn first_slot(&self, block: usize) -> usize {
        let header = self.block_header(block);
        header.map_or(0, |header| to_index(header.first.load(Ordering::Relaxed)))
    }

    /// Number of written bytes of a block by its length field, including its header.
    pub(crate) fn used_len(&self, block: usize) -> usize {
        let header = self.block_header(block);
        let len = header.map_or(0, |header| to_index(header.len.load(Ordering::Relaxed)));
        len.min(self.geometry.block_len)
    }

    /// Releases a closed block to the kernel and invalidates all extents in it. Also sets its
    /// number of slots to zero, as the kernel does later when it opens the block.
    pub(crate) fn release(&mut self, block: usize) {
        if !self.is_closed(block) {
            return;
        }
        if let Some(generation) = self.generations.get_mut(block) {
            *generation = generation.wrapping_add(1);
        }
        if let Some(header) = self.block_header(block) {
            header.slots.store(0, Ordering::Relaxed);
            header.status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
    }

    /// Fills a block with zeros from `start` to `end`, except its header, so that a later slot can
    /// be distinguished from an earlier one. In an open block, `end` must be the start of the first
    /// incomplete slot: the kernel has finished everything before it.
    pub(crate) fn wipe(&mut self, block: usize, start: usize, end: usize) {
        let start = start.max(BLOCK_HEADER_LEN);
        let len = end.min(self.geometry.block_len).saturating_sub(start);
        if let Some(pointer) = self.pointer_to(block, start, len) {
            // SAFETY: `pointer_to` checked that the bytes lie within one block. The kernel touches
            // neither a closed block nor the complete slots of an open one, except that it sets
            // the offset in the last slot to zero when it closes the block. The memory is borrowed
            // exclusively, so no slice of it exists.
            unsafe { std::slice::from_raw_parts_mut(pointer.as_ptr(), len) }.fill(0);
        }
    }

    /// The frame of the slot at `at`, an offset that [`Self::first_slot`] or the previous slot
    /// returned. `None` if the slot is empty, incomplete, or does not fit its block.
    ///
    /// In a closed block every slot is complete, and one without `TP_STATUS_USER` is empty: the
    /// kernel clears the status when it reserves the slot and sets the bit when it fills it. In an
    /// open block, which must have been all zeros (see [`Self::wipe`]), the kernel copies the
    /// frame, then writes the header, and the interface index last (`tpacket_rcv` in
    /// `net/packet/af_packet.c`). No interface guarantees that order, so this function requires all
    /// fields that cannot be zero.
    #[inline]
    pub(crate) fn slot(&self, block: usize, at: usize, is_closed: bool) -> Option<Slot> {
        let header = self.slot_header(block, at)?;
        let word = |word: &AtomicU32| word.load(Ordering::Acquire);
        let (interface, family) = (word(&header.interface), header.family.load(Ordering::Relaxed));
        let status = word(&header.status);
        let (captured, wire_len) = (word(&header.captured_len), word(&header.wire_len));
        let (seconds, mac) = (word(&header.seconds), header.mac.load(Ordering::Relaxed));
        let is_filled = interface != 0 && family != 0 && captured != 0 && seconds != 0;
        let (len, offset) = (to_index(captured), usize::from(mac));
        let (end, next) = (offset.saturating_add(len), to_index(word(&header.next)));
        // The last slot of a block has `next` 0.
        let limit = if next == 0 { self.geometry.block_len - at } else { next };
        let fits = offset >= MIN_FRAME_OFFSET && end <= limit && captured <= wire_len;
        if status & libc::TP_STATUS_USER == 0 || !fits || !(is_closed || is_filled) {
            return None;
        }
        let start = at + offset;
        self.pointer_to(block, start, len)?;
        let generation = self.generations.get(block).copied()?;
        let frame = Extent { block, start, len, headroom: VNET_HEADER_LEN, generation };
        let nanoseconds = u64::from(word(&header.nanoseconds));
        Some(Slot {
            frame,
            wire_len,
            timestamp_ns: u64::from(seconds) * 1_000_000_000 + nanoseconds,
            tag: tag(header, status),
            packet_type: header.packet_type.load(Ordering::Relaxed),
            next: if next == 0 { 0 } else { at.saturating_add(next) },
        })
    }

    /// Whether the kernel left the slot at `at` of a closed block empty; `None` if no slot can
    /// begin there.
    pub(crate) fn slot_emptiness(&self, block: usize, at: usize) -> Option<bool> {
        let status = self.slot_header(block, at)?.status.load(Ordering::Relaxed);
        Some(status & libc::TP_STATUS_USER == 0)
    }

    /// Offset of the slot after the one at `at`; `None` if no slot can begin there.
    pub(crate) fn next_slot(&self, block: usize, at: usize) -> Option<usize> {
        let next = to_index(self.slot_header(block, at)?.next.load(Ordering::Relaxed));
        let following = at.checked_add(next).filter(|_| next >= size_of::<SlotHeader>())?;
        self.slot_header(block, following).map(|_| following)
    }

    /// The bytes of an extent; empty if its block was released since.
    #[inline]
    pub(crate) fn bytes(&self, extent: Extent) -> &[u8] {
        match self.pointer_to_extent(extent) {
            // SAFETY: an extent is made by `slot` alone (its fields are private to `io::sys`), and
            // its methods give parts of the frame and of the room before it, which `slot`
            // found within one slot of one block. The frame is complete, and the kernel does not
            // write to the bytes of a complete frame until its block is released:
            // `pointer_to_extent` checked that this did not happen. We write to them through `&mut
            // self` only.
            Some(pointer) => unsafe { std::slice::from_raw_parts(pointer.as_ptr(), extent.len) },
            None => &[],
        }
    }

    /// The mutable bytes of an extent; empty if its block was released since.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, extent: Extent) -> &mut [u8] {
        match self.pointer_to_extent(extent) {
            // SAFETY: as for `bytes`; and the memory is borrowed exclusively, so no other slice
            // of it exists.
            Some(pointer) => unsafe {
                std::slice::from_raw_parts_mut(pointer.as_ptr(), extent.len)
            },
            None => &mut [],
        }
    }

    /// Stores bytes anywhere in a block of a buffer, in the role of the kernel. Does nothing if
    /// they do not fit, or if the memory is a mapping.
    pub(crate) fn store(&mut self, block: usize, at: usize, bytes: &[u8]) {
        if self.origin == Origin::Mapping {
            return;
        }
        if let Some(pointer) = self.pointer_to(block, at, bytes.len()) {
            // SAFETY: `pointer_to` checked that the bytes lie within one block of our own buffer,
            // which is borrowed exclusively, so no slice of it exists and `bytes` is other memory.
            unsafe { pointer.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
    }

    #[inline]
    fn pointer_to(&self, block: usize, start: usize, len: usize) -> Option<NonNull<u8>> {
        let end = start.checked_add(len)?;
        if block >= self.geometry.blocks || end > self.geometry.block_len {
            return None;
        }
        let pointer = self.memory.as_ptr().wrapping_add(block * self.geometry.block_len + start);
        NonNull::new(pointer)
    }

    #[inline]
    fn pointer_to_extent(&self, extent: Extent) -> Option<NonNull<u8>> {
        let is_current = self.generations.get(extent.block) == Some(&extent.generation);
        if is_current { self.pointer_to(extent.block, extent.start, extent.len) } else { None }
    }

    #[inline]
    fn block_header(&self, block: usize) -> Option<&BlockHeader> {
        let pointer = self.pointer_to(block, 0, size_of::<BlockHeader>())?.cast::<BlockHeader>();
        if !pointer.is_aligned() {
            return None;
        }
        // SAFETY: `pointer` lies within the memory, which lives as long as the borrow of `self`,
        // and is aligned. All fields are atomics, which may change while they are shared, and every
        // bit pattern is valid for them. No slice overlaps a block header: extents and `wipe` begin
        // after it.
        Some(unsafe { pointer.as_ref() })
    }

    #[inline]
    fn slot_header(&self, block: usize, at: usize) -> Option<&SlotHeader> {
        if at < BLOCK_HEADER_LEN {
            return None;
        }
        let pointer = self.pointer_to(block, at, size_of::<SlotHeader>())?.cast::<SlotHeader>();
        if !pointer.is_aligned() {
            return None;
        }
        // SAFETY: as for `block_header`. Where a slot of a corrupt chain overlaps an earlier
        // frame, both are only read, since changing the frame's bytes borrows `self` exclusively.
        Some(unsafe { pointer.as_ref() })
    }
}

#[inline]
fn tag(header: &SlotHeader, status: u32) -> Option<(u16, u16)> {
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let has_type = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let stated = header.vlan_ether_type.load(Ordering::Relaxed);
    let [low, high, ..] = header.vlan_tag.load(Ordering::Relaxed).to_ne_bytes();
    Some((u16::from_ne_bytes([low, high]), if has_type { stated } else { 0x8100 }))
}

impl Drop for RingMemory {
    fn drop(&mut self) {
        match self.origin {
            // SAFETY: the mapping was made in `map` with this length, and nothing borrows from it
            // any more, since such borrows borrow `self`.
            Origin::Mapping => unsafe {
                libc::munmap(
                    self.memory.as_ptr().cast(),
                    self.geometry.block_len * self.geometry.blocks,
                );
            },
            Origin::Buffer(words) => {
                let slice = std::ptr::slice_from_raw_parts_mut(self.memory.as_ptr().cast(), words);
                // SAFETY: `buffer` leaked a box of this type and length, which is freed once.
                drop(unsafe { Box::<[u64]>::from_raw(slice) });
            }
        }
    }
}

fn to_index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
