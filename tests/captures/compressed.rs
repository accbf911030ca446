//! Compressed captures (gzip and zstd), recognised by their content.

use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use traffic_mirror::io::capture::CaptureSource;

use crate::build::{MICRO, Order, Pcap, Pcapng};
use crate::reading::{read, read_all_ways, try_read_all_ways};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// A skippable frame of zstd, which has no content: RFC 8878, section 3.1.2.
fn skippable(number: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x50 + number, 0x2a, 0x4d, 0x18], &len[..], content].concat()
}

/// Frames that compression does not make shorter, and a capture of them.
fn capture() -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut number = 1_u32;
    let mut next_byte = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    };
    let frames: Vec<Vec<u8>> =
        (0..300).map(|n| (0..5 * n).map(|_| next_byte()).collect()).collect();
    let start = Pcap::new(Order::Little, MICRO);
    let capture = frames.iter().fold(start, |capture, frame| capture.whole(frame));
    (frames, capture.bytes())
}

#[test]
fn gzip_and_zstd_are_read_with_one_or_several_members() {
    let (frames, bytes) = capture();
    let (front, back) = bytes.split_at(100_000);
    for compressed in [
        gzip(&bytes),
        [gzip(front), gzip(back)].concat(),
        zstd(&bytes),
        [zstd(front), zstd(back)].concat(),
        [skippable(0, b"hello"), zstd(front), skippable(15, &[0; 9]), zstd(&[]), zstd(back)]
            .concat(),
        [zstd(&bytes), skippable(7, &[])].concat(),
    ] {
        assert_eq!(read_all_ways(&compressed).into_valid_frames(), frames);
    }
    let capture = Pcapng::ethernet(Order::Big).packet(0, 0, &[1]).bytes();
    assert_eq!(read_all_ways(&zstd(&capture)).into_valid_frames(), [[1]]);
}

#[test]
fn only_one_level_of_compression_is_read() {
    let (_, bytes) = capture();
    for compressed_twice in [gzip(&gzip(&bytes)), zstd(&gzip(&bytes)), gzip(&zstd(&bytes))] {
        let error = try_read_all_ways(&compressed_twice, &[5]).unwrap_err();
        assert!(error.contains("not a capture"), "{error}");
    }
    for empty in [gzip(&[]), zstd(&[]), skippable(1, &[])] {
        let error = try_read_all_ways(&empty, &[5]).unwrap_err();
        assert!(error.contains("its content is empty"), "{error}");
    }
}

/// Two thirds of a file have two thirds of its frames, except for one compressed block.
#[test]
fn a_truncated_compressed_file_is_read_up_to_its_end() {
    let (frames, bytes) = capture();
    for compressed in [gzip(&bytes), zstd(&bytes)] {
        for (cut, max_missing) in [(1, 0), (5, 130_000), (compressed.len() / 3, 100_000)] {
            let stream = Cursor::new(compressed[..compressed.len() - cut].to_vec());
            let mut source = CaptureSource::from_reader("capture", stream).unwrap();
            let contents = read(&mut source);
            let read = contents.frames.len();
            assert!(contents.frames.iter().map(|frame| &frame.bytes).eq(&frames[..read]));
            let missing = bytes.len() - usize::try_from(source.position_bytes()).unwrap();
            assert!(missing <= max_missing, "{missing} missing of {}, cut by {cut}", bytes.len());
            let end = contents.end.unwrap();
            let place = format!("capture: record {} at byte ", read + 1);
            assert!(end.starts_with(&place) && end.contains("cannot be read"), "{end}");
        }
    }
}

/// Checksums are verified after the data that they cover.
#[test]
fn a_wrong_checksum_is_an_error() {
    let (frames, bytes) = capture();
    let mut compressed = gzip(&bytes);
    let at = compressed.len() - 8;
    compressed[at] ^= 1;
    let contents = read_all_ways(&compressed);
    assert_eq!((contents.frames.len(), contents.end.is_some()), (frames.len(), true));
    let mut compressed = zstd(&bytes);
    let at = compressed.len() - 1;
    compressed[at] ^= 1;
    let contents = read_all_ways(&compressed);
    assert_eq!(contents.frames.len(), frames.len());
    assert!(contents.end.unwrap().contains("the zstd checksum is wrong"));
}

#[test]
fn files_and_memory_can_be_rewound() {
    let (frames, bytes) = capture();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("plain", bytes.clone()), ("gzip", gzip(&bytes)), ("zstd", zstd(&bytes))]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let sources = [
            CaptureSource::open(&path).unwrap(),
            CaptureSource::from_bytes("capture", bytes).unwrap(),
        ];
        for mut source in sources {
            assert_eq!(read(&mut source).into_valid_frames(), frames, "{name}");
            for _ in 0..2 {
                source.rewind().unwrap();
                assert_eq!(read(&mut source).into_valid_frames(), frames, "{name}");
            }
        }
    }
}

#[test]
fn a_damaged_capture_is_an_error_on_every_pass() {
    let (_, bytes) = capture();
    let mut source =
        CaptureSource::from_bytes("capture", bytes[..bytes.len() - 1].to_vec()).unwrap();
    let first = read(&mut source);
    assert!(first.end.is_some());
    source.rewind().unwrap();
    assert_eq!(read(&mut source), first);
}

#[test]
fn a_stream_cannot_be_rewound() {
    let (frames, bytes) = capture();
    let stream: Box<dyn Read + Send> = Box::new(Cursor::new(bytes));
    let mut source = CaptureSource::from_reader("capture", stream).unwrap();
    let error = source.rewind().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "capture cannot be read a second time");
    // Recognition loses no byte.
    assert_eq!(read(&mut source).into_valid_frames(), frames);
}
