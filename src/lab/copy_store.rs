//! The copies of a laboratory, by target, until a client empties or resets them.
//!
//! The bytes of all copies of a target are in one buffer, each with its length before it, which is
//! the format that clients with many copies fetch:
//!
//! ```text
//! +----------------------+------------------+----------------------+--
//! | length, 4 bytes (BE) | outer and inner  | length, 4 bytes (BE) | ...
//! +----------------------+------------------+----------------------+--
//! ```

use std::collections::HashMap;

use crate::model::{SessionId, TargetId};

/// The length of the number before each copy.
const PREFIX_LEN: usize = 4;

/// Which session and rule made a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CopyOrigin {
    /// The session.
    pub session_id: SessionId,
    /// Its VirtualNetworkId.
    pub virtual_network_id: u32,
    /// The number of the rule; `None` if the network service `amazon-dns` accepted the frame.
    pub rule_number: Option<u16>,
    /// The id of the rule, if it has one.
    pub rule_id: Option<String>,
}

/// A copy, borrowed from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredCopy<'a> {
    /// The session and rule.
    pub origin: &'a CopyOrigin,
    /// The time of the frame in nanoseconds since 1970.
    pub timestamp_ns: u64,
    /// The outer Ethernet, IP, UDP and VXLAN headers.
    pub outer: &'a [u8],
    /// The inner frame, truncated to PacketLength.
    pub inner: &'a [u8],
    /// Both.
    pub bytes: &'a [u8],
    /// The index of the origin in the origins of the store.
    pub(super) origin_index: u32,
}

/// The bytes of a copy before it is stored.
pub(super) struct CopyBytes<'a> {
    pub(super) timestamp_ns: u64,
    pub(super) outer: &'a [u8],
    /// The two pieces of the inner frame.
    pub(super) inner: [&'a [u8]; 2],
}

/// The copies of all targets.
#[derive(Debug)]
pub(super) struct CopyStore {
    targets: Vec<TargetCopies>,
    slot_of: HashMap<TargetId, usize>,
    origins: Vec<CopyOrigin>,
    index_of: HashMap<CopyOrigin, u32>,
    /// The number of stored bytes of all targets.
    len: usize,
    max_len: usize,
    /// Changes when the store is cleared, which invalidates indices of origins.
    generation: u64,
}

/// The copies of a target.
#[derive(Debug, Default)]
struct TargetCopies {
    /// The number of copies that were removed, which is the number of the first stored copy.
    removed: u64,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    timestamp_ns: u64,
    /// The position of the first byte after the prefix.
    start: usize,
    origin: u32,
    outer_len: u16,
}

impl CopyStore {
    /// A store of at most `max_len` bytes.
    pub(super) fn new(max_len: usize) -> Self {
        Self {
            targets: Vec::new(),
            slot_of: HashMap::new(),
            origins: Vec::new(),
            index_of: HashMap::new(),
            len: 0,
            max_len,
            generation: 0,
        }
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The slot of a target, which is valid in this generation.
    pub(super) fn add_target(&mut self, target: &TargetId) -> usize {
        if let Some(slot) = self.slot_of.get(target) {
            return *slot;
        }
        self.targets.push(TargetCopies::default());
        let slot = self.targets.len() - 1;
        self.slot_of.insert(target.clone(), slot);
        slot
    }

    fn target(&self, target: &TargetId) -> Option<&TargetCopies> {
        self.targets.get(*self.slot_of.get(target)?)
    }

    /// The index of an origin, which is valid in this generation.
    pub(super) fn add_origin(&mut self, origin: CopyOrigin) -> u32 {
        let next = u32::try_from(self.origins.len()).unwrap_or(u32::MAX);
        let origins = &mut self.origins;
        *self.index_of.entry(origin).or_insert_with_key(|origin| {
            origins.push(origin.clone());
            next
        })
    }

    /// The origins of all copies, also of those that were removed.
    pub(super) fn origins(&self) -> &[CopyOrigin] {
        &self.origins
    }

    /// Adds a copy to those of a target. Returns false if the store is full.
    pub(super) fn push(&mut self, slot: usize, origin: u32, copy: &CopyBytes<'_>) -> bool {
        let [head, tail] = copy.inner;
        let len = copy.outer.len() + head.len() + tail.len();
        if self.len + PREFIX_LEN + len > self.max_len {
            return false;
        }
        let Some(known) = self.targets.get_mut(slot) else { return false };
        self.len += PREFIX_LEN + len;
        known.bytes.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        known.entries.push(Entry {
            timestamp_ns: copy.timestamp_ns,
            start: known.bytes.len(),
            origin,
            outer_len: u16::try_from(copy.outer.len()).unwrap_or(u16::MAX),
        });
        [copy.outer, head, tail].iter().for_each(|part| known.bytes.extend_from_slice(part));
        true
    }

    /// The number of copies of a target.
    pub(super) fn count(&self, target: &TargetId) -> usize {
        self.target(target).map_or(0, |known| known.entries.len())
    }

    /// The number of the next copy of a target. Copies are numbered from 0, also after copies were
    /// removed, until the store is cleared.
    pub(super) fn next_number(&self, target: &TargetId) -> u64 {
        let known = self.target(target);
        known.map_or(0, |known| known.removed + u64::try_from(known.entries.len()).unwrap_or(0))
    }

    /// The number of the first copy that is still there, from number `first` on.
    pub(super) fn first_number(&self, target: &TargetId, first: u64) -> u64 {
        self.target(target).map_or(0, |known| known.removed.max(first))
    }

    /// The copies of a target with their lengths before them, from number `first` on.
    pub(super) fn prefixed_bytes(&self, target: &TargetId, first: u64) -> &[u8] {
        let Some(known) = self.target(target) else { return &[] };
        let start = known.entries.get(known.index_of(first)).map(|entry| entry.start - PREFIX_LEN);
        known.bytes.get(start.unwrap_or(known.bytes.len())..).unwrap_or_default()
    }

    /// The copies of a target from number `first` on, in the order in which they were sent.
    pub(super) fn copies(
        &self,
        target: &TargetId,
        first: u64,
    ) -> impl Iterator<Item = StoredCopy<'_>> {
        let known = self.target(target);
        let indices = known.map_or(0..0, |known| known.index_of(first)..known.entries.len());
        indices.filter_map(move |index| self.copy(known?, index))
    }

    fn copy<'a>(&'a self, known: &'a TargetCopies, index: usize) -> Option<StoredCopy<'a>> {
        let entry = known.entries.get(index)?;
        let end = match known.entries.get(index + 1) {
            Some(next) => next.start - PREFIX_LEN,
            None => known.bytes.len(),
        };
        let bytes = known.bytes.get(entry.start..end)?;
        let (outer, inner) = bytes.split_at_checked(usize::from(entry.outer_len))?;
        let origin = self.origins.get(usize::try_from(entry.origin).ok()?)?;
        let Entry { timestamp_ns, origin: origin_index, .. } = *entry;
        Some(StoredCopy { origin, timestamp_ns, outer, inner, bytes, origin_index })
    }

    /// Removes the copies of a target. Returns their number.
    pub(super) fn clear_target(&mut self, target: &TargetId) -> usize {
        let next = self.next_number(target);
        let slot = self.slot_of.get(target);
        let Some(known) = slot.and_then(|slot| self.targets.get_mut(*slot)) else { return 0 };
        let cleared =
            std::mem::replace(known, TargetCopies { removed: next, ..Default::default() });
        self.len -= cleared.bytes.len();
        cleared.entries.len()
    }

    /// Removes all copies.
    pub(super) fn clear(&mut self) {
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::new(self.max_len) };
    }
}

impl TargetCopies {
    /// The index of a copy by its number; 0 if it was removed.
    fn index_of(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.removed)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(vni: u32) -> CopyOrigin {
        CopyOrigin {
            session_id: SessionId::new("tms-1").unwrap(),
            virtual_network_id: vni,
            rule_number: Some(1),
            rule_id: None,
        }
    }

    fn bytes<'a>(outer: &'a [u8], head: &'a [u8], tail: &'a [u8]) -> CopyBytes<'a> {
        CopyBytes { timestamp_ns: 9, outer, inner: [head, tail] }
    }

    #[test]
    fn copies_are_returned_in_order_and_with_their_lengths() {
        let mut store = CopyStore::new(1000);
        let target = TargetId::new("tmt-1").unwrap();
        let slot = store.add_target(&target);
        let (one, two) = (store.add_origin(origin(1)), store.add_origin(origin(2)));
        assert_eq!((one, store.add_origin(origin(1)), two), (0, 0, 1));
        assert!(store.push(slot, one, &bytes(b"out", b"in", b"side")));
        assert!(store.push(slot, two, &bytes(b"o", b"", b"")));
        let found: Vec<_> = store.copies(&target, 0).collect();
        assert_eq!((found[0].outer, found[0].inner), (&b"out"[..], &b"inside"[..]));
        assert_eq!((found[1].outer, found[1].origin.virtual_network_id), (&b"o"[..], 2));
        assert_eq!(store.prefixed_bytes(&target, 0), b"\0\0\0\x09outinside\0\0\0\x01o");
        assert_eq!(store.prefixed_bytes(&target, 1), b"\0\0\0\x01o");
        assert_eq!(store.prefixed_bytes(&target, 2), b"");
        assert_eq!(store.copies(&target, 1).count(), 1);
    }

    #[test]
    fn a_full_store_refuses_copies_until_it_is_emptied() {
        let mut store = CopyStore::new(20);
        let target = TargetId::new("tmt-1").unwrap();
        let slot = store.add_target(&target);
        let one = store.add_origin(origin(1));
        assert!(store.push(slot, one, &bytes(b"0123456789", b"", b"")));
        assert!(!store.push(slot, one, &bytes(b"0123456789", b"", b"")));
        assert_eq!((store.clear_target(&target), store.next_number(&target)), (1, 1));
        assert!(store.push(slot, one, &bytes(b"0123456789", b"", b"")));
        assert_eq!((store.copies(&target, 0).count(), store.copies(&target, 1).count()), (1, 1));
        assert_eq!((store.copies(&target, 2).count(), store.next_number(&target)), (0, 2));
        store.clear();
        assert_eq!((store.count(&target), store.generation()), (0, 1));
    }
}
