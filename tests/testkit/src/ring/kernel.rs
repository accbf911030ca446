//! The kernel's side of a TPACKET_V3 ring, after `net/packet/af_packet.c` of Linux 6.18.

use std::collections::VecDeque;

use traffic_mirror::io::live::MemoryRing;

/// Where a frame begins in its slot (`macoff` of `tpacket_rcv`): headers of 68 bytes and 16 for the
/// link-layer header, aligned to 16, then `PACKET_RESERVE` of 16 and a `virtio_net_hdr` of 10, less
/// the Ethernet header.
const MAC_OFFSET: usize = 96 + 16 + 10 - 14;

const BLOCK_HEADER_LEN: usize = 48;
const USER: u32 = 1;
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;

/// A packet that the kernel writes into a slot: its frame and its `virtio_net_hdr`.
#[derive(Debug, Clone)]
pub struct Packet {
    pub frame: Vec<u8>,
    pub offload: [u8; 10],
    /// Control information and EtherType.
    pub tag: Option<(u16, u16)>,
    /// Whether `virtio_net_hdr_from_skb` fails, so that the slot stays empty.
    pub is_unsupported: bool,
}

/// The stores that fill a reserved slot. Another processor may make them later.
struct PendingSlot {
    block: usize,
    stores: VecDeque<(usize, Vec<u8>)>,
}

/// The kernel's state of a ring.
pub struct Kernel {
    blocks: usize,
    block_len: usize,
    block: usize,
    /// Used bytes and slots of the open block, and where the last slot begins.
    used: usize,
    slots: u32,
    last: usize,
    /// The next block still belongs to the reader. Nothing is written until the reader returns it.
    is_frozen: bool,
    pending: Vec<PendingSlot>,
    /// The number of reserved slots.
    pub reserved: u64,
    /// The number of reserved slots that stay empty.
    pub empty: u64,
}

impl Kernel {
    pub fn new(ring: &mut MemoryRing, blocks: usize, block_len: usize) -> Self {
        let mut kernel = Self {
            blocks,
            block_len,
            block: 0,
            used: 0,
            slots: 0,
            last: 0,
            is_frozen: false,
            pending: Vec::new(),
            reserved: 0,
            empty: 0,
        };
        kernel.open(ring);
        kernel
    }

    /// `tpacket_rcv` until it releases the lock. False if the ring has no room.
    pub fn receive(&mut self, ring: &mut MemoryRing, packet: &Packet) -> bool {
        let len = (MAC_OFFSET + packet.frame.len()).next_multiple_of(8);
        if BLOCK_HEADER_LEN + len > self.block_len || !self.make_room(ring, len) {
            return false;
        }
        let (block, at) = (self.block, self.used);
        self.used += len;
        self.slots += 1;
        self.last = at;
        self.reserved += 1;
        // prb_fill_curr_block, prb_run_all_ft_ops: the status is cleared, whatever its value was.
        ring.store(block, at, &number(len));
        ring.store(block, 20, &number(self.used));
        ring.store(block, 12, &self.slots.to_ne_bytes());
        let (control, ether_type) = packet.tag.unwrap_or_default();
        let status = if packet.tag.is_some() { VLAN_VALID | VLAN_TPID_VALID } else { 0 };
        ring.store(block, at + 32, &u32::from(control).to_ne_bytes());
        ring.store(block, at + 36, &ether_type.to_ne_bytes());
        ring.store(block, at + 20, &status.to_ne_bytes());
        if packet.is_unsupported {
            self.empty += 1;
            return true;
        }
        ring.store(block, at + MAC_OFFSET - 10, &packet.offload);
        self.pending.push(PendingSlot { block, stores: stores(at, packet, status, self.reserved) });
        true
    }

    /// Makes the next store of one of the pending slots.
    pub fn store_next(&mut self, ring: &mut MemoryRing, which: usize) {
        if self.pending.is_empty() {
            return;
        }
        let which = which % self.pending.len();
        let slot = &mut self.pending[which];
        if let Some((at, bytes)) = slot.stores.pop_front() {
            ring.store(slot.block, at, &bytes);
        }
        if slot.stores.is_empty() {
            self.pending.remove(which);
        }
    }

    /// The timer has expired: closes the block if it has a slot, after the copies in progress
    /// have ended.
    pub fn close(&mut self, ring: &mut MemoryRing) {
        if self.is_frozen || self.slots == 0 {
            return;
        }
        while !self.pending.is_empty() {
            self.store_next(ring, 0);
        }
        ring.store(self.block, self.last, &0_u32.to_ne_bytes());
        ring.store(self.block, 8, &USER.to_ne_bytes());
        self.block = (self.block + 1) % self.blocks;
        self.is_frozen = ring.is_closed(self.block);
        if !self.is_frozen {
            self.open(ring);
        }
    }

    fn make_room(&mut self, ring: &mut MemoryRing, len: usize) -> bool {
        if !self.is_frozen && self.used + len > self.block_len {
            self.close(ring);
        }
        if self.is_frozen {
            if ring.is_closed(self.block) {
                return false;
            }
            self.open(ring);
        }
        true
    }

    fn open(&mut self, ring: &mut MemoryRing) {
        (self.used, self.slots, self.is_frozen) = (BLOCK_HEADER_LEN, 0, false);
        for (at, word) in [(0, 1), (4, 48), (12, 0), (16, 48), (20, 48)] {
            ring.store(self.block, at, &number(word));
        }
    }
}

/// The frame and its header, in the order in which `tpacket_rcv` writes them.
fn stores(at: usize, packet: &Packet, status: u32, second: u64) -> VecDeque<(usize, Vec<u8>)> {
    let len = number(packet.frame.len()).to_vec();
    let mac = u16::try_from(MAC_OFFSET).unwrap();
    let second = u32::try_from(second).unwrap();
    let u16_bytes = |number: u16| number.to_ne_bytes().to_vec();
    [
        (MAC_OFFSET, packet.frame.clone()),
        (20, (status | USER).to_ne_bytes().to_vec()),
        (16, len.clone()),
        (12, len),
        (24, u16_bytes(mac)),
        (26, u16_bytes(mac + 14)),
        (4, second.to_ne_bytes().to_vec()),
        (8, vec![0; 4]),
        (40, vec![0; 8]),
        (48, u16_bytes(17)),
        (50, u16_bytes(3_u16.to_be())),
        (58, vec![0]),
        (52, number(2).to_vec()),
    ]
    .into_iter()
    .map(|(offset, bytes)| (at + offset, bytes))
    .collect()
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_ne_bytes()
}
