//! Offsets that several emitted programs share: `__sk_buff`, flow keys, and the context of a clone.

use crate::bpf::MapSlot;

/// Offsets in `struct __sk_buff` (linux/bpf.h).
pub(super) mod skb {
    pub(in super::super) const LEN: i16 = 0;
    pub(in super::super) const MARK: i16 = 8;
    pub(in super::super) const VLAN_PRESENT: i16 = 20;
    pub(in super::super) const DATA: i16 = 76;
    pub(in super::super) const DATA_END: i16 = 80;
    pub(in super::super) const GSO_SEGS: i16 = 164;
    pub(in super::super) const GSO_SIZE: i16 = 176;
}

/// Offsets in a flow key on the stack: those of [`FlowKey`](crate::dataplane::FlowKey).
pub(super) mod key {
    pub(in super::super) const LEN: i16 = 40;
    pub(in super::super) const SOURCE: i16 = 0;
    pub(in super::super) const DESTINATION: i16 = 16;
    pub(in super::super) const SOURCE_PORT: i16 = 32;
    pub(in super::super) const DESTINATION_PORT: i16 = 34;
    pub(in super::super) const PROTOCOL: i16 = 36;
    pub(in super::super) const HAS_PORTS: i16 = 38;
    pub(in super::super) const IS_IPV4: i16 = 39;
}

/// The maps of the programs.
pub(super) mod maps {
    use super::MapSlot;

    /// Per-CPU array with one entry: the context of the clone under way.
    pub(in super::super) const CONTEXT: MapSlot = MapSlot(0);
    /// Array with one entry: the rule tables of a direction.
    pub(in super::super) const TABLES: MapSlot = MapSlot(1);
    /// Per-CPU array with one entry: the counters of a direction.
    pub(in super::super) const COUNTERS: MapSlot = MapSlot(2);
    /// Array: two entries for each path.
    pub(in super::super) const PATHS: MapSlot = MapSlot(3);
    /// Array: for each path the index of its current entry in `PATHS`.
    pub(in super::super) const PATH_INDEX: MapSlot = MapSlot(4);
    /// Array with one entry: the token buckets.
    pub(in super::super) const BUCKETS: MapSlot = MapSlot(5);
}
