//! Truncated and invalid captures: the records before the damage are read, and the error names the
//! record, its offset and the cause.

use crate::build::{MICRO, MODIFIED, Order, Pcap, Pcapng, padded};
use crate::reading::{read_all_ways, try_read_all_ways};

/// Asserts that one-byte frames 1, 2, ... are read, and then an error that names the next record,
/// its offset in bytes, and the cause.
fn assert_error_at(bytes: &[u8], frames: u8, offset: usize, cause: &str) {
    let contents = read_all_ways(bytes);
    let read: Vec<_> = contents.frames.iter().map(|frame| frame.bytes.clone()).collect();
    let expected: Vec<_> = (1..=frames).map(|n| vec![n]).collect();
    assert_eq!(read, expected, "{:?}", contents.end);
    let end = contents.end.unwrap();
    let place = format!("capture: record {} at byte {offset} ", frames + 1);
    assert!(end.starts_with(&place), "{end}\n{place}");
    assert!(end.contains(cause), "{end}\n{cause}");
}

#[test]
fn a_truncated_record_is_an_error_at_every_offset() {
    for (magic, header_len) in [(MICRO, 16), (MODIFIED, 24)] {
        let capture = Pcap::new(Order::Little, magic).whole(&[1]).whole(&[2]);
        let valid_len = capture.bytes().len();
        let whole = capture.whole(&[3; 9]).bytes();
        for cut in valid_len + 1..whole.len() {
            let remaining = cut - valid_len;
            let cause = if remaining < header_len {
                format!("its header is truncated to {remaining} bytes")
            } else {
                format!("it is {} bytes long, but only {remaining} bytes are left", header_len + 9)
            };
            assert_error_at(&whole[..cut], 2, valid_len, &cause);
        }
    }
}

#[test]
fn an_impossible_record_length_is_an_error() {
    for order in Order::BOTH {
        let capture = Pcap::new(order, MICRO).whole(&[1]);
        let valid_len = capture.bytes().len();
        let absurd = capture.record([1, 0, 1_409_179_648, 60], &[0; 60]).bytes();
        assert_error_at(&absurd, 1, valid_len, "a captured length of 1409179648 bytes");
    }
}

/// The length is an error even if the capture has that many bytes.
#[test]
fn an_impossible_length_within_a_burst_is_an_error() {
    let len = 17 * 1024 * 1024;
    let capture = Pcap::new(Order::Little, MICRO).whole(&[1]).whole(&[2]);
    let valid_len = capture.bytes().len();
    let capture = capture.whole(&vec![0; len]).whole(&[4]).bytes();
    assert_error_at(&capture, 2, valid_len, "a captured length of 17825792 bytes");
}

#[test]
fn a_damaged_first_record_is_not_a_wrong_file_type() {
    let capture = Pcap::new(Order::Big, MICRO).whole(&[1]).bytes();
    assert_error_at(&capture[..40], 0, 24, "it is 17 bytes long, but only 16 bytes are left");
    let capture = Pcapng::ethernet(Order::Big);
    let valid_len = capture.bytes().len();
    assert_error_at(&capture.packet(3, 0, &[1]).bytes(), 0, valid_len, "interface 3");
}

#[test]
fn a_truncated_block_is_an_error_at_every_offset() {
    // A packet, an interface, and an unknown block.
    let blocks: [fn(Pcapng) -> Pcapng; 3] =
        [|c| c.packet(0, 0, &[9; 9]), |c| c.interface(1, 0, &[]), |c| c.block(77, &[7; 16])];
    for add in blocks {
        let capture = Pcapng::ethernet(Order::Little).packet(0, 0, &[1]).packet(0, 0, &[2]);
        let valid_len = capture.bytes().len();
        let whole = add(capture).bytes();
        for cut in valid_len + 1..whole.len() {
            let remaining = cut - valid_len;
            let cause = if remaining < 12 {
                format!("its header is truncated to {remaining} bytes")
            } else {
                format!(
                    "it is {} bytes long, but only {remaining} bytes are left",
                    whole.len() - valid_len
                )
            };
            assert_error_at(&whole[..cut], 2, valid_len, &cause);
        }
    }
}

#[test]
fn different_lengths_at_head_and_tail_of_a_block_are_an_error() {
    for kind in [1, 2, 3, 6, 77] {
        let capture = Pcapng::ethernet(Order::Little).packet(0, 0, &[1]);
        let valid_len = capture.bytes().len();
        let capture = capture.block_of(kind, [44, 40], &[0; 32]);
        assert_error_at(
            &capture.bytes(),
            1,
            valid_len,
            "a block of 44 bytes that ends with a length of 40",
        );
    }
}

#[test]
fn an_impossible_block_length_is_an_error() {
    let capture = Pcapng::ethernet(Order::Big).packet(0, 0, &[1]);
    let valid_len = capture.bytes().len();
    for len in [0, 1, 8, 11, 13, 45] {
        let damaged = capture.clone().block_of(6, [len, len], &[0; 32]).bytes();
        assert_error_at(&damaged, 1, valid_len, &format!("a block length of {len} bytes"));
    }
    let damaged = capture.clone().block_of(6, [u32::MAX - 3; 2], &[0; 32]).bytes();
    assert_error_at(&damaged, 1, valid_len, "a block of 4294967292 bytes");
    // Any length of an unknown block is accepted, and no memory is allocated for it.
    let damaged = capture.block_of(77, [u32::MAX - 3; 2], &[0; 32]).bytes();
    assert_error_at(
        &damaged,
        1,
        valid_len,
        "it is 4294967292 bytes long, but only 44 bytes are left",
    );
}

#[test]
fn a_packet_that_exceeds_its_block_or_section_is_an_error() {
    let capture = Pcapng::ethernet(Order::Little).packet(0, 0, &[1]);
    let valid_len = capture.bytes().len();
    let damaged = |capture: Pcapng, what| assert_error_at(&capture.bytes(), 1, valid_len, what);
    damaged(capture.clone().packet(1, 0, &[2]), "interface 1, which no earlier block describes");
    let longer = capture.clone().packet_of(6, [0, 9, 9], 0, &padded(&[2; 5]));
    damaged(longer, "a captured length of 9 bytes in a shorter block");
    damaged(capture.clone().block(6, &[0; 16]), "a packet block that is too short");
    damaged(capture.clone().block(3, &[]), "a packet block that is too short");
    damaged(capture.clone().block(1, &[0; 4]), "an interface block that is too short");
    let option = capture.option(9, &[0; 4])[..4].to_vec();
    damaged(capture.clone().interface(1, 0, &option), "option 9 of 4 bytes in a shorter block");
    // A section discards the interfaces of the previous one.
    let other = capture.section(Order::Big);
    let valid_len = other.bytes().len();
    assert_error_at(
        &other.simple(1, &[2]).bytes(),
        1,
        valid_len,
        "interface 0, which no earlier block describes",
    );
}

#[test]
fn an_invalid_section_header_is_an_error() {
    let capture = Pcapng::ethernet(Order::Little).packet(0, 0, &[1]);
    let valid_len = capture.bytes().len();
    let head = crate::build::SECTION;
    let section = |magic: u32, major: u16| {
        let body = [&magic.to_le_bytes()[..], &major.to_le_bytes(), &[0; 10]].concat();
        capture.clone().block(head, &body).bytes()
    };
    assert_error_at(&section(0x1a2b_3c4d, 2), 1, valid_len, "version 2 of pcapng");
    assert_error_at(&section(0x1234_5678, 1), 1, valid_len, "byte-order magic");
    let short = capture.clone().block(head, &0x1a2b_3c4d_u32.to_le_bytes()).bytes();
    assert_error_at(&short, 1, valid_len, "a section block that is too short");
    // A file that begins with these bytes is not opened.
    for (bytes, what) in [
        (section(0x1a2b_3c4d, 2), "version 2 of pcapng"),
        (section(0x1234_5678, 1), "byte-order magic"),
        (short, "a section block that is too short"),
    ] {
        let error = try_read_all_ways(&bytes[valid_len..], &[1]).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}
