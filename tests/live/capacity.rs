//! How much a ring stores while its reader is stopped, and how much memory many rings use.

use std::fmt::Write;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::collector::{Collector, inner_frames};
use crate::lab::Lab;
use crate::mirror::{BINARY, Mirror, run_refused};
use crate::traffic::{IPV4, Pair, number_of, streams};
use crate::waiting::pause;
use testkit::config::{filter, network_interface, session, target};
use testkit::namespace::is_root;
use testkit::print_uncaptured;

const RUN: &str = "-i h0 --target 10.99.1.2 --virtual-network-id 42";

const MIB: u64 = 1 << 20;

/// Sends about 1,400 packets/s for 3 s. Returns their number.
fn send_for_three_seconds(pair: &Pair, len: usize) -> u32 {
    let (rounds, at_once) = (300, 14);
    for round in 0..rounds {
        (0..at_once).for_each(|number| pair.send(round * at_once + number, len));
        pause(10);
    }
    rounds * at_once
}

/// Asserts that a program that is stopped for 3 s loses no frame: frames that arrive meanwhile are
/// in the ring, and all copies arrive in order.
fn assert_all_copies_arrive_after_a_stop(test: &str, more: &str, len: usize) {
    let Some(lab) = Lab::new(test) else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} {more}"));
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    mirror.signal("-STOP");
    crate::waiting::wait_until("a stop", || mirror.state() == 'T');
    let sent = send_for_three_seconds(&pair, len);
    mirror.signal("-CONT");
    collector.wait_for(usize::try_from(sent).unwrap());
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), u64::from(sent));
    let frames = inner_frames(collector.end());
    assert!(frames.iter().map(|frame| number_of(frame)).eq(0..sent));
}

#[test]
fn the_default_ring_holds_three_seconds() {
    assert_all_copies_arrive_after_a_stop("stop", "", 1_400);
}

#[test]
fn a_ring_of_1_mib_holds_1_mib_of_frames_for_any_time() {
    assert_all_copies_arrive_after_a_stop("stop1", "--ring-size 1MiB", 30);
}

/// After a burst during which blocks were not zeroed, later frames are not delayed.
#[test]
fn after_an_overflow_single_frames_arrive_again() {
    let Some(lab) = Lab::new("over") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --ring-size 1MiB"));
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    mirror.signal("-STOP");
    (0..2_000).for_each(|number| pair.send(number, 1_400));
    mirror.signal("-CONT");
    pause(500);
    for number in 0..200 {
        let before = collector.count();
        pair.send(number, 100);
        collector.wait_for(before + 1);
    }
    let ended = mirror.end();
    assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    let lost = ended.report["dropped"]["ring"].as_u64().unwrap_or_default();
    assert!(lost > 0, "nothing overflowed, so the test shows nothing: {}", ended.report);
    assert_eq!(ended.count("mirrored") + lost, 2_200);
}

/// Ends the threads that use the processors when it is dropped, even by a panic.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// 40 MB in super-frames of up to 64 KiB, as fast as possible, while the processors are busy with
/// other work: frames are in the ring until the worker runs.
#[test]
fn two_streams_with_offloads_lose_nothing_while_the_processors_are_busy() {
    let Some(lab) = Lab::new("busy2") else { return };
    let mirror = mirror_of_a_direct_cable(&lab);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = SetOnDrop(&is_over);
        for _ in 0..2 * thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        streams(&lab, DIRECT, 2, 20_000_000);
    });
    assert_nothing_overflowed(mirror);
}

/// The same volume while the program is stopped.
#[test]
fn two_streams_with_offloads_fit_into_the_default_ring() {
    let Some(lab) = Lab::new("fit2") else { return };
    let mirror = mirror_of_a_direct_cable(&lab);
    if mirror.count_lines_with("1 ring of 64 MiB") == 0 {
        return print_uncaptured("NOT RUN: a default ring of 64 MiB needs 1 GiB of memory\n");
    }
    mirror.signal("-STOP");
    crate::waiting::wait_until("a stop", || mirror.state() == 'T');
    streams(&lab, DIRECT, 2, 20_000_000);
    mirror.signal("-CONT");
    assert_nothing_overflowed(mirror);
}

/// The ends of a cable between generator and host with all offloads.
const DIRECT: (&str, &str) = ("10.97.1.1", "10.97.1.2");

fn mirror_of_a_direct_cable(lab: &Lab) -> Mirror {
    lab.host.ip(&format!(
        "link add x0 type veth peer name y0 netns {}\n\
         link set x0 up\naddr add 10.97.1.2/24 dev x0\n",
        lab.generator.name
    ));
    lab.generator.ip("link set y0 up\naddr add 10.97.1.1/24 dev y0\n");
    Mirror::start(&lab.host, "-i x0 --target 10.99.1.2 --virtual-network-id 42")
}

fn assert_nothing_overflowed(mirror: Mirror) {
    let ended = mirror.end();
    assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    let lost = ended.report["dropped"]["ring"].as_u64().unwrap_or_default();
    assert_eq!(lost, 0, "{} {:#?}", ended.report, ended.log_lines);
    // Copies that the sender's queue refuses were in the ring, but are not counted as mirrored.
    let copies = ended.count("mirrored") + ended.sum_of("dropped");
    assert!(copies > 40_000_000 / 1_460, "{copies} frames of 40 MB");
}

/// A configuration with a session for each of these devices that accepts ingress packets.
pub(crate) fn config_of(devices: &[String]) -> String {
    let mut text = target("t", "10.99.1.2") + &filter("f", &["ingress"]);
    for device in devices {
        text += &network_interface(device, &format!("device = \"{device}\""));
        text += &session(1, device, "t", "f");
    }
    text
}

/// The text of the metrics.
pub(crate) fn metrics(lab: &Lab, address: &str) -> String {
    lab.host.inside(|| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

/// The number and the total size of all rings in the metrics.
fn ring_bytes(lab: &Lab, address: &str) -> (usize, u64) {
    let text = metrics(lab, address);
    let sizes: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("traffic_mirror_ring_size_bytes{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    (sizes.iter().filter(|size| **size > 0).count(), sizes.iter().sum())
}

/// The memory of the program in KiB, with shared pages divided among their users (Pss).
fn proportional_kib(mirror: &Mirror) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", mirror.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The whole number of MiB in a sentence, before these words.
fn mebibytes(sentence: &str, before: &str) -> u64 {
    let (front, _) = sentence.split_once(before).unwrap();
    front.rsplit(' ').nth(1).unwrap().split('.').next().unwrap().parse().unwrap()
}

#[test]
fn two_hundred_interfaces_share_the_reported_budget() {
    let Some(lab) = Lab::new("many") else { return };
    let mut devices = Vec::new();
    let mut lines = String::new();
    for pair in 0..100 {
        writeln!(lines, "link add a{pair} up type veth peer name b{pair}").unwrap();
        writeln!(lines, "link set b{pair} up").unwrap();
        devices.extend([format!("a{pair}"), format!("b{pair}")]);
    }
    lab.host.ip(&lines);
    let config = lab.put("many.toml", &config_of(&devices));
    let words = format!("--config {config} --metrics 127.0.0.1:9464");
    let mirror = Mirror::start(&lab.host, &words);
    mirror.wait_for_lines("mirroring ", 200);
    let log_lines = mirror.log_lines();
    let logged =
        log_lines.iter().position(|line| line.contains("ring memory: 200 rings of ")).unwrap();
    let first = log_lines.iter().position(|line| line.contains(": mirroring ")).unwrap();
    assert!(logged < first, "the memory is logged after it is allocated: {log_lines:#?}");
    let total = mebibytes(&log_lines[logged], " in total") * MIB;
    assert!((200 * MIB..=1024 * MIB).contains(&total), "{}", log_lines[logged]);
    let mut found = (0, 0);
    crate::waiting::wait_until("rings in the metrics", || {
        found = ring_bytes(&lab, "127.0.0.1:9464");
        found.0 == 200
    });
    assert!(found.1 <= total + MIB && found.1 + MIB >= total, "{} {}", found.1, log_lines[logged]);
    let used = proportional_kib(&mirror) << 10;
    assert!(used <= total + 128 * MIB, "{used} bytes used, {}", log_lines[logged]);
    mirror.end().assert_no_loss();
}

#[test]
fn rings_of_more_than_half_of_the_memory_are_refused() {
    let Some(lab) = Lab::new("much") else { return };
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let total: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let workers = (total >> 20) / 8 + 1;
    if workers > 64 {
        return print_uncaptured(
            "NOT RUN: rings that are too large need less than 500 GiB of memory\n",
        );
    }
    let words = format!("{RUN} --ring-size 4GiB --workers {workers}");
    let (code, log_lines) = run_refused(lab.host.command(BINARY), &words);
    assert_eq!(code, 2, "{log_lines}");
    for part in ["--ring-size 4096MiB: ", "more than half of ", " would fit"] {
        assert!(log_lines.contains(part), "{log_lines}");
    }
}

/// A memory cgroup with a limit, removed at the end of the test.
struct Cgroup(PathBuf);

impl Cgroup {
    /// # Errors
    /// The reason why it cannot be created.
    fn with_limit(bytes: u64) -> Result<Self, String> {
        let places = [
            ("/sys/fs/cgroup", "cgroup.controllers", "memory.max"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.limit_in_bytes"),
        ];
        let mut reason = "no memory cgroup is mounted in /sys/fs/cgroup".to_owned();
        for (mount, sign, file) in places {
            if !Path::new(mount).join(sign).exists() {
                continue;
            }
            let cgroup = Self(Path::new(mount).join(format!("tm-test-{}", std::process::id())));
            let made = std::fs::create_dir(&cgroup.0)
                .and_then(|()| std::fs::write(cgroup.0.join(file), bytes.to_string()));
            match made {
                Ok(()) => return Ok(cgroup),
                Err(error) => reason = format!("{}: {error}", cgroup.0.display()),
            }
        }
        Err(reason)
    }

    /// A command that starts the program in the cgroup.
    fn command(&self, lab: &Lab) -> Command {
        let mut command = Command::new("sh");
        let script = format!(
            "echo $$ > {}/cgroup.procs && exec setpriv --pdeathsig KILL {BINARY} \"$@\" --netns {}",
            self.0.display(),
            lab.host.name
        );
        command.args(["-c", &script, "sh"]);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn rings_stay_below_the_limit_of_the_memory_cgroup() {
    if !is_root() {
        return;
    }
    let Some(lab) = Lab::new("cgroup") else { return };
    let cgroup = match Cgroup::with_limit(256 * MIB) {
        Ok(cgroup) => cgroup,
        Err(reason) => {
            return print_uncaptured(&format!("NOT RUN: a memory cgroup with a limit: {reason}\n"));
        }
    };
    let mirror = Mirror::start_command(cgroup.command(&lab), RUN, "mirroring ");
    let log_lines = mirror.log_lines().join("\n");
    let words = "ring memory: 1 ring of 16 MiB, 16 MiB in total; rings of 64 MiB would exceed the \
                 budget of 16 MiB for all rings, 1/16 of the memory cgroup's limit of 256 MiB";
    assert!(log_lines.contains(words), "{log_lines}");
    mirror.end().assert_no_loss();
    let (code, log_lines) = run_refused(cgroup.command(&lab), &format!("{RUN} --ring-size 256MiB"));
    assert_eq!(code, 2, "{log_lines}");
    let words = "--ring-size 256MiB: 1 ring of 256 MiB needs 256 MiB: more than half of the \
                 memory cgroup's limit of 256 MiB";
    assert!(
        log_lines.contains(words) && log_lines.contains("--ring-size 128MiB would fit"),
        "{log_lines}"
    );
}

/// With too little address space, the kernel refuses a ring of the planned size.
#[test]
fn a_ring_that_cannot_be_allocated_is_made_smaller() {
    let Some(lab) = Lab::new("nomem") else { return };
    let mut command = lab.host.command("prlimit");
    command.args(["--as=600000000", BINARY]);
    let mirror = Mirror::start_command(command, &format!("{RUN} --ring-size 1GiB"), "mirroring ");
    let log_lines = mirror.log_lines().join("\n");
    assert!(log_lines.contains("no memory for a ring of 1024MiB: trying 512MiB"), "{log_lines}");
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..50).for_each(|number| pair.send(number, 200));
    assert_eq!(collector.take_after(50).len(), 50);
    mirror.end().assert_no_loss();
}
