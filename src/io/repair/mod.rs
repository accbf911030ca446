//! Offload repair: out of what a packet ring lends, the frames that a network card would send.
//!
//! What belongs here: bytes in, bytes out, by the numbers of the `virtio_net_hdr` that comes with
//! each frame. What does not: the ring itself, VLAN tags that the card took off.
//!
//! ```text
//! super-frame   [ headers | payload ............................................ ]
//! segments      [ headers'| payload ... ] [ headers'| payload ... ] [ headers'| payl ]
//!                 owned      borrowed       owned      borrowed       owned     borrowed
//! ```
//!
//! A frame is one of three things. [`Offload::is_super_frame`]: cut it with [`Segments::of`], whose
//! segments need no further repair. Otherwise, or where it cannot be cut, unless
//! [`Offload::is_finished`]: [`finish_checksum`] in its place. All others are as they were on the
//! wire.

mod crc32c;
mod finish;
mod offload;
mod packet;
mod segments;
mod sum;
#[cfg(test)]
mod tests;

pub use finish::finish_checksum;
pub use offload::Offload;
pub use segments::Segments;
