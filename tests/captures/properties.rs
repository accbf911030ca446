//! Properties of the capture reader for all captures, and for bytes that are not a capture.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::build::{MICRO, MODIFIED, NANO, Order, Pcap, Pcapng, SECTION, padded};
use crate::reading::{OwnedFrame, try_read_all_ways};

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Little), Just(Order::Big)]
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..200), 0..100)
}

fn bytes_of(frames: &[OwnedFrame]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.bytes.clone()).collect()
}

fn pcap(order: Order, magic: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().fold(Pcap::new(order, magic), |capture, frame| capture.whole(frame)).bytes()
}

/// Each frame in one of the three kinds of blocks, with unrelated blocks between them.
fn pcapng(order: Order, frames: &[Vec<u8>]) -> Vec<u8> {
    let add = |capture: Pcapng, (n, frame): (usize, &Vec<u8>)| {
        let len = u32::try_from(frame.len()).unwrap();
        match n % 5 {
            0 => capture.simple(len, frame),
            1 => capture.packet_of(2, [0, len, len], 1, &padded(frame)),
            2 => capture.block(99, &[0; 8]).packet(0, 2, frame),
            3 => capture.section(order).interface(1, 0, &[]).packet(0, 3, frame),
            _ => capture.packet(0, 4, frame),
        }
    };
    frames.iter().enumerate().fold(Pcapng::ethernet(order), add).bytes()
}

/// Bytes that begin like a capture.
fn file_headers() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        orders().prop_map(|order| Pcap::new(order, MICRO).bytes()),
        orders().prop_map(|order| Pcapng::ethernet(order).bytes()),
        orders().prop_map(|order| order.u32_bytes(SECTION).to_vec()),
        Just(vec![0x1f, 0x8b, 8, 0]),
        Just(vec![0x28, 0xb5, 0x2f, 0xfd]),
        Just(vec![0x51, 0x2a, 0x4d, 0x18]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn frames_are_read_as_they_were_written(
        order in orders(),
        magic in prop_oneof![Just(MICRO), Just(NANO), Just(MODIFIED)],
        frames in frames(),
        lens in vec(1_usize..500, 1..8),
    ) {
        for capture in [pcap(order, magic, &frames), pcapng(order, &frames)] {
            let contents = try_read_all_ways(&capture, &lens).unwrap();
            prop_assert_eq!(contents.end, None);
            prop_assert_eq!(bytes_of(&contents.frames), frames.clone());
        }
    }

    /// A truncated capture gives the frames before its end. A capture with a changed byte is read
    /// to an end, with the same result in all ways of reading.
    #[test]
    fn frames_before_the_damage_are_read(
        order in orders(),
        frames in frames(),
        at in any::<prop::sample::Index>(),
        change in any::<u8>(),
    ) {
        for mut capture in [pcap(order, MICRO, &frames), pcapng(order, &frames)] {
            let at = at.index(capture.len());
            if let Ok(contents) = try_read_all_ways(&capture[..at], &[64]) {
                let read = bytes_of(&contents.frames);
                prop_assert_eq!(&read[..], &frames[..read.len()]);
            }
            capture[at] ^= change;
            // `try_read_all_ways` asserts that all ways agree.
            let _ = try_read_all_ways(&capture, &[64]);
        }
    }

    #[test]
    fn reading_any_bytes_terminates(
        mut capture in file_headers(),
        rest in vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..400),
        lens in vec(1_usize..50, 1..4),
    ) {
        capture.extend(rest);
        prop_assume!(!capture.is_empty());
        let _ = try_read_all_ways(&capture, &lens);
    }
}
