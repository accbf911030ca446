//! Files that cannot be opened (each gives one error), pipes, and files of more than 4 GiB.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use traffic_mirror::io::capture::{CaptureSource, OpenError};

use crate::build::{MICRO, NANO, Order, Pcap, Pcapng};
use crate::reading::{read, try_read_all_ways};

fn open_error(path: &Path) -> OpenError {
    match CaptureSource::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn a_missing_file_and_a_directory_are_errors_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pcap");
    let error = open_error(&missing).to_string();
    let name = missing.display().to_string();
    assert!(error.starts_with(&name) && error.contains("No such file"), "{error}");
    let error = open_error(folder.path());
    assert!(matches!(error, OpenError::Directory(_)), "{error}");
}

#[test]
fn an_empty_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pcap");
    std::fs::write(&path, []).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, OpenError::Empty(_)), "{error}");
    assert!(matches!(CaptureSource::from_bytes("a", Vec::new()), Err(OpenError::Empty(_))));
    assert!(matches!(CaptureSource::from_reader("a", io::empty()), Err(OpenError::Empty(_))));
}

/// For any fifth byte, which is the length of a block in pcapng.
#[test]
fn the_error_for_a_text_file_shows_its_first_bytes() {
    for text in ["This is no capture.\n", "Hello, world, how are you?", "a", "x\ny", "{}"] {
        let error = try_read_all_ways(text.as_bytes(), &[2]).unwrap_err();
        let start: String = text.chars().take(8).flat_map(char::escape_default).collect();
        assert!(error.contains(&format!("it begins with \"{start}\"")), "{error}");
        assert!(error.contains("expected pcap or pcapng, plain or with gzip or zstd"), "{error}");
    }
}

#[test]
fn a_truncated_file_header_is_an_error() {
    let capture = Pcap::new(Order::Little, MICRO).bytes();
    for len in 4..24 {
        let error = try_read_all_ways(&capture[..len], &[2]).unwrap_err();
        assert!(error.contains("its file header is truncated"), "{error}");
    }
}

#[test]
fn an_unreadable_file_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.pcap");
    std::fs::write(&path, Pcap::new(Order::Little, MICRO).bytes()).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        testkit::print_uncaptured(
            "NOT RUN: an_unreadable_file_is_an_error_with_the_path: root may read every file\n",
        );
        return;
    }
    let error = open_error(&path).to_string();
    assert!(error.contains("Permission denied"), "{error}");
}

#[test]
fn a_fifo_is_read_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            let mut fifo = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            let capture = Pcap::new(Order::Big, NANO).whole(&[1]).whole(&[2; 100_000]).bytes();
            for piece in capture.chunks(1_000) {
                fifo.write_all(piece).unwrap();
            }
        }
    });
    let mut source = CaptureSource::open(&path).unwrap();
    assert_eq!(source.total_bytes(), None);
    assert_eq!(read(&mut source).into_valid_frames(), [vec![1], vec![2; 100_000]]);
    assert!(source.rewind().is_err());
    writer.join().unwrap();
}

/// Returns its bytes, then an error.
struct FailingReader<'a>(&'a [u8]);

impl Read for FailingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the wire broke")),
            len => Ok(len),
        }
    }
}

#[test]
fn a_failing_stream_is_an_error_with_its_offset() {
    let capture = Pcap::new(Order::Little, MICRO).whole(&[1]).whole(&[2; 50]).bytes();
    let capture: &'static [u8] = capture.leak();
    for (len, frames, end) in [
        (24, 0, "capture: record 1 at byte 24 cannot be read: the wire broke"),
        (60, 1, "capture: record 2 at byte 41 cannot be read: the wire broke"),
        (capture.len(), 2, "capture: record 3 at byte 107 cannot be read: the wire broke"),
    ] {
        let mut source =
            CaptureSource::from_reader("capture", FailingReader(&capture[..len])).unwrap();
        let contents = read(&mut source);
        assert_eq!(contents.frames.len(), frames);
        assert!(contents.end.as_ref().unwrap().starts_with(end), "{:?}", contents.end);
    }
    let error = CaptureSource::from_reader("capture", FailingReader(&capture[..10])).err().unwrap();
    assert_eq!(error.to_string(), "capture: the wire broke");
}

/// Two unknown blocks whose bodies are holes of the file, followed by packets.
#[test]
fn a_capture_beyond_four_gigabytes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.pcapng");
    let mut file = std::fs::File::create(&path).unwrap();
    let start = Pcapng::ethernet(Order::Little).packet(0, 0, &[1]).bytes();
    let packet_at = Pcapng::ethernet(Order::Little).bytes().len();
    let packet = &start[packet_at..];
    file.write_all(&start).unwrap();
    let len = 3_000_000_000_u32;
    for _ in 0..2 {
        file.write_all(&[77_u32.to_le_bytes(), len.to_le_bytes()].concat()).unwrap();
        file.seek(SeekFrom::Current(i64::from(len) - 12)).unwrap();
        file.write_all(&len.to_le_bytes()).unwrap();
        file.write_all(packet).unwrap();
    }
    let damaged_at = file.stream_position().unwrap();
    file.write_all(&packet[..packet.len() - 1]).unwrap();
    drop(file);

    let mut source = CaptureSource::open(&path).unwrap();
    let contents = read(&mut source);
    assert_eq!(contents.frames.len(), 3);
    let end = contents.end.unwrap();
    assert!(end.contains(&format!("record 4 at byte {damaged_at} is damaged")), "{end}");
    assert_eq!(source.position_bytes(), damaged_at);
}

#[test]
fn a_capture_has_its_name_and_length() {
    let bytes = Pcap::new(Order::Little, MICRO).whole(&[1; 10]).bytes();
    let mut source = CaptureSource::from_bytes("the name", bytes.clone()).unwrap();
    assert_eq!(source.name(), "the name");
    assert_eq!(source.total_bytes(), Some(50));
    assert_eq!(source.position_bytes(), 24);
    read(&mut source);
    assert_eq!(source.position_bytes(), 50);
}
