//! Offload repair: turns frames of a packet ring into the frames that the network card sends.
//!
//! What belongs here: functions from bytes to bytes, controlled by the `virtio_net_hdr` of each
//! frame. What does not: the ring itself, and VLAN tags that the kernel removed.
//!
//! A sending host leaves two tasks to the network card: computing checksums, and cutting large TCP
//! or UDP data into packets (segmentation offload,
//! `Documentation/networking/segmentation-offloads.rst` of Linux). A packet socket sees frames
//! before the card does this. A receiving host similarly joins several packets into one (GRO). In
//! both cases, one *super-frame* contains the payload of several frames of the wire. Each segment
//! gets its own headers; its payload is borrowed from the super-frame and is not copied:
//!
//! ```text
//! super-frame   [ headers | payload ............................................ ]
//! segments      [ headers'| payload ... ] [ headers'| payload ... ] [ headers'| payl ]
//!                 owned      borrowed       owned      borrowed       owned     borrowed
//! ```
//!
//! A frame is handled in one of three ways:
//!
//! - A super-frame ([`Offload::is_super_frame`]): [`Segments::split`] cuts it into segments, which
//!   are complete.
//! - A frame that is not [`Offload::is_finished`], or a super-frame that cannot be cut:
//!   [`finish_checksum`] completes its checksum in place.
//! - All other frames are already as they were on the wire.
//!
//! A super-frame with more segments than any network stack creates is not cut ([`MAX_SEGMENTS`]),
//! so that a sender cannot cause tens of thousands of copies with one frame.
//!
//! ```
//! use traffic_mirror::io::repair::{Offload, Segments};
//!
//! // Five bytes over UDP, sent as datagrams of at most two bytes.
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
