//! A tap device that the test writes to as the guest of a virtual machine does: frames with any
//! segmentation offload, including those that a packet ring cannot describe.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use crate::collector::{Collector, inner_frames};
use crate::lab::Lab;
use crate::mirror::{Mirror, RunResult};
use crate::traffic::number_of;
use crate::waiting::pause;
use testkit::namespace::Namespace;
use testkit::print_uncaptured;

/// `VIRTIO_NET_HDR_GSO_*` of `linux/virtio_net.h`.
const TCP_V4: u8 = 1;
const UFO: u8 = 3;
const UDP_SEGMENTS: u8 = 5;

const DEVICE: &str = "tap0";

/// The ring has room for all frames of a test, so none is lost.
const RUN: &str = "-i tap0 --target 10.99.1.2 --virtual-network-id 42 --ring-size 128MiB";

/// A tap device and the program that writes to it.
struct Tap {
    feeder: Child,
    answers: BufReader<ChildStdout>,
}

impl Tap {
    /// None, after `NOT RUN:`, if no tap device can be created.
    fn new(namespace: &Namespace) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/tap_feeder.py");
        let mut command = namespace.command("python3");
        command.arg(script).arg(DEVICE).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut feeder = command.spawn().unwrap();
        let answers = BufReader::new(feeder.stdout.take().unwrap());
        let mut tap = Self { feeder, answers };
        let answer = tap.answer();
        if answer != "up" {
            print_uncaptured(&format!(
                "NOT RUN: tests with a tap device need python3 and /dev/net/tun {answer}\n"
            ));
            return None;
        }
        namespace.ip(&format!("link set {DEVICE} up\n"));
        Some(tap)
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Writes frames in groups of `group_len`, with a pause after each group.
    fn feed(&mut self, records: &[Vec<u8>], (group_len, pause_ms): (usize, u64)) {
        for burst in records.chunks(group_len) {
            let mut bytes = Vec::new();
            for record in burst {
                bytes.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
                bytes.extend(record);
            }
            self.feeder.stdin.as_mut().unwrap().write_all(&bytes).unwrap();
            pause(pause_ms);
        }
        self.feeder.stdin.as_mut().unwrap().write_all(&[0; 4]).unwrap();
        let accepted = self.answer();
        assert_eq!(accepted, records.len().to_string(), "frames that the device accepted");
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.feeder.kill();
        let _ = self.feeder.wait();
    }
}

/// A `virtio_net_hdr` and a frame of UDP or TCP over IPv4 whose payload begins with a number.
fn record(number: u32, gso: (u8, u16), payload_len: usize) -> Vec<u8> {
    let (gso_type, gso_size) = gso;
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 7, 2], [2, 0, 0, 0, 7, 1])
        .ipv4([10, 77, 0, 2], [10, 77, 0, 1], 64);
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(payload_len, 7);
    let mut frame = Vec::new();
    let is_tcp = gso_type == TCP_V4;
    if is_tcp {
        builder.tcp(4_000, 5_000, number, 1_000).ack(1).write(&mut frame, &payload).unwrap();
    } else {
        builder.udp(4_000, 5_000).write(&mut frame, &payload).unwrap();
    }
    let mut record = vec![0; 10];
    if gso_type != 0 {
        let header_len = frame.len() - payload_len;
        (record[0], record[1]) = (1, gso_type);
        let checksum_at = if is_tcp { 16 } else { 6 };
        let numbers = [u16::try_from(header_len).unwrap(), gso_size, 34, checksum_at];
        for (place, number) in record[2..].chunks_mut(2).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
    }
    record.extend(frame);
    record
}

/// How frames are written: their number, the interval of UFO frames (`every` 10: one in ten), and
/// the size of a group with the pause in milliseconds after it.
#[derive(Clone, Copy)]
struct Feed {
    frames: u32,
    every: u32,
    pace: (usize, u64),
}

impl Feed {
    const fn is_empty_slot(&self, number: u32) -> bool {
        number % self.every == self.every - 1
    }
}

/// Asserts that each frame is counted: those that the ring cannot describe as
/// `unsupported_offload`, all others as mirrored; and that the copies have the order of arrival.
fn assert_empty_slots_are_skipped(test: &str, feed: Feed) {
    let Some(lab) = Lab::new(test) else { return };
    let Some(mut tap) = Tap::new(&lab.host) else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let record_of = |number: u32| match feed.is_empty_slot(number) {
        true => record(number, (UFO, 1_400), 4_000),
        false => record(number, (0, 0), 100),
    };
    let records: Vec<_> = (0..feed.frames).map(record_of).collect();
    tap.feed(&records, feed.pace);
    let wanted: Vec<u32> = (0..feed.frames).filter(|number| !feed.is_empty_slot(*number)).collect();
    collector.wait_for(wanted.len());
    let received = lab.host.packets(DEVICE);
    let ended = mirror.end();
    let empty_slots = u64::from(feed.frames / feed.every);
    assert_eq!(received, u64::from(feed.frames), "frames that the device counted");
    assert_eq!(ended.count("received"), received, "{}", ended.report);
    assert_eq!(dropped(&ended, "unsupported_offload"), empty_slots, "{}", ended.report);
    assert_eq!(ended.sum_of("dropped"), empty_slots, "{}", ended.report);
    assert_eq!(ended.count("mirrored"), received - empty_slots, "{}", ended.report);
    assert_eq!((ended.code, ended.count("unaccounted")), (0, 0), "{:#?}", ended.log_lines);
    let frames = inner_frames(collector.end());
    let numbers = frames.iter().map(|frame| number_of(frame));
    assert!(numbers.eq(wanted), "frames are missing, repeated or out of order");
}

fn dropped(ended: &RunResult, cause: &str) -> u64 {
    ended.report["dropped"][cause].as_u64().unwrap_or_default()
}

#[test]
fn empty_slots_lose_no_other_frame_at_full_rate() {
    assert_empty_slots_are_skipped(
        "holes-fast",
        Feed { frames: 20_000, every: 10, pace: (1_000, 0) },
    );
}

#[test]
fn empty_slots_lose_no_other_frame_at_a_low_rate() {
    assert_empty_slots_are_skipped("holes-slow", Feed { frames: 300, every: 3, pace: (1, 2) });
}

#[test]
fn empty_slots_lose_no_other_frame_in_bursts() {
    assert_empty_slots_are_skipped("holes-burst", Feed { frames: 3_000, every: 2, pace: (50, 5) });
}

#[test]
fn occasional_empty_slots_lose_no_other_frame() {
    assert_empty_slots_are_skipped(
        "holes-rare",
        Feed { frames: 4_000, every: 100, pace: (200, 10) },
    );
}

/// A super-frame of a guest is segmented like any other if network stacks use its segment
/// size, and is counted once if they do not.
#[test]
fn the_number_of_copies_of_one_frame_is_bounded() {
    let Some(lab) = Lab::new("tap-bound") else { return };
    let Some(mut tap) = Tap::new(&lab.host) else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let segmented = [(TCP_V4, 1_448, 60_000), (TCP_V4, 48, 60_000), (UDP_SEGMENTS, 1_200, 12_000)];
    let small = [(TCP_V4, 1, 100), (UDP_SEGMENTS, 2, 200)];
    let bounded = [(TCP_V4, 1, 60_000), (TCP_V4, 7, 2_000), (TCP_V4, 24, 60_000)];
    let mut records = Vec::new();
    for (gso_type, size, len) in segmented.into_iter().chain(small).chain(bounded) {
        (0..5).for_each(|number| records.push(record(number, (gso_type, size), len)));
    }
    tap.feed(&records, (1, 5));
    let segments = [(60_000, 1_448), (60_000, 48), (12_000, 1_200), (100, 1), (200, 2)];
    let copies: u64 = segments.into_iter().map(|(len, size): (u64, u64)| len.div_ceil(size)).sum();
    collector.wait_for(usize::try_from(5 * copies).unwrap());
    let ended = mirror.end();
    assert_eq!(ended.count("mirrored"), 5 * copies, "{}", ended.report);
    assert_eq!(dropped(&ended, "too_many_segments"), 5 * 3, "{}", ended.report);
    assert_eq!(ended.sum_of("dropped"), 5 * 3, "{}", ended.report);
    assert_eq!((ended.code, ended.count("unaccounted")), (0, 0), "{:#?}", ended.log_lines);
    assert_eq!(lab.host.packets(DEVICE), u64::try_from(records.len()).unwrap());
}
