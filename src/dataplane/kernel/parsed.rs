//! Offsets in the state of the general parser: a frame or packet, and what was parsed.
//!
//! The state is on the stack of the caller, aligned to eight bytes. All numbers are in host order.
//! The caller sets offset, end and EtherType.

/// Length of the state.
pub(crate) const LEN: i16 = 56;
/// u32: the first byte of the frame or packet in the `__sk_buff`; then that of the upper layer.
pub(crate) const OFFSET: i16 = 0;
/// u32: the offset after the last byte, at most the length of the `__sk_buff`; then the offset
/// after the upper layer.
pub(crate) const END: i16 = 4;
/// u16: the EtherType before the packet, or [`ETHERNET`] for a frame.
pub(crate) const ETHER_TYPE: i16 = 8;
/// u8, output: whether the bytes of the upper layer are present. Without them, its offset and end
/// are undefined.
pub(crate) const HAS_BYTES: i16 = 10;
/// u8, output: whether fewer bytes were captured than the IP header states, or it states no length.
pub(crate) const IS_INCOMPLETE: i16 = 11;
/// Output: the flow key.
pub(crate) const KEY: i16 = 16;

/// Transparent Ethernet bridging: an Ethernet frame follows (RFC 8926, section 3.4).
pub(crate) const ETHERNET: i32 = 0x6558;
