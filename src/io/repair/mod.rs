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
//! A frame is one of three things. [`Offload::is_super_frame`]: cut it with [`Segments::split`],
//! whose segments need no further repair. Otherwise, or where it is left whole, unless
//! [`Offload::is_finished`]: [`finish_checksum`] in its place. All others are as they were on the
//! wire. A super-frame of more segments than any network stack makes is not cut, so that no sender
//! can have one frame mirrored as tens of thousands ([`MAX_SEGMENTS`]).
//!
//! ```
//! use traffic_mirror::io::repair::{Offload, Segments};
//!
//! // Five bytes over UDP, which leave as datagrams of two.
//! let mut frame = vec![2; 12];
//! frame.extend([0x08, 0x00]);
//! frame.extend([0x45, 0, 0, 33, 0, 9, 0, 0, 64, 17, 0, 0, 10, 0, 0, 6, 10, 0, 0, 5]);
//! frame.extend([0x30, 0x39, 0x1f, 0x90, 0, 13, 0, 0]);
//! frame.extend(b"hello");
//! let [size, start, offset] = [2_u16, 34, 6].map(u16::to_ne_bytes);
//! let header = [[1, 5], [0, 0], size, start, offset].concat(); // a struct virtio_net_hdr
//! let offload = Offload::parse(header.first_chunk().unwrap());
//!
//! let segments = Segments::of(&frame, &offload).unwrap();
//! let payloads: Vec<&[u8]> = (0..segments.len()).map(|index| segments.payload(index)).collect();
//! assert_eq!(payloads, [&b"he"[..], b"ll", b"o"]);
//! let mut room = [0; 128];
//! assert_eq!(segments.put_header(2, &mut room), Some(42));
//! assert_eq!((room[17], room[19], room[39]), (29, 11, 9)); // lengths, identification
//! ```

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
pub use segments::{
    MAX_SEGMENTS, MAX_SMALL_SEGMENTS, MIN_SEGMENT_LEN, SegmentationResult, Segments,
};
