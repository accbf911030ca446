//! The decisions of the kernel tier's programs for the frames of all golden cases, with the rules
//! of all golden cases, are those of the worker.

#![expect(clippy::unwrap_used, reason = "a broken case ends the test")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use testkit::print_uncaptured;
use traffic_mirror::control::config;
use traffic_mirror::control::{CompileOptions, compile};
use traffic_mirror::dataplane::{
    BURST_LEN, Burst, Copies, Drops, Frame, InterfaceIndex, LoopGuard, MirrorOutcome, MirrorTable,
    Sink, Source, Verdict, Worker,
};
use traffic_mirror::io::capture::CaptureSource;
use traffic_mirror::io::kernel::{KernelOracle, KernelTierError};
use traffic_mirror::model::Direction;

/// The shortest and the longest frame of a test run: Ethernet and IPv6 headers, and less than a
/// page.
const LENGTHS: std::ops::Range<usize> = 54..3_400;

/// Frames that are all seen in one direction.
struct Frames<'f> {
    rest: std::slice::Chunks<'f, Vec<u8>>,
    direction: Direction,
}

impl Source for Frames<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        for bytes in self.rest.next().unwrap_or_default() {
            burst.push(Frame { direction: Some(self.direction), ..Frame::new(bytes) });
        }
        Ok(())
    }
}

/// Collects the outcome of each frame.
#[derive(Default)]
struct Outcomes(Vec<MirrorOutcome>);

impl Sink for Outcomes {
    fn send(&mut self, _: &Copies<'_>, _: &mut Drops) -> io::Result<()> {
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        assert_eq!(burst.len(), verdicts.len());
        self.0.extend(verdicts.iter().map(|verdict| verdict.outcome));
        Ok(())
    }
}

fn outcomes(table: &Arc<MirrorTable>, frames: &[Vec<u8>], direction: Direction) -> Outcomes {
    let mut worker = Worker::new(Arc::clone(table)).with_interface(InterfaceIndex::FIRST);
    let mut source = Frames { rest: frames.chunks(BURST_LEN), direction };
    let mut sink = Outcomes::default();
    while worker.step(&mut source, &mut sink).unwrap() {}
    sink
}

/// Collects the frames of a capture that a test run can take.
fn frames_of(path: &Path, frames: &mut Vec<Vec<u8>>) {
    let Ok(mut source) = CaptureSource::open(path) else { return };
    loop {
        let mut burst = Burst::new();
        if source.fill(&mut burst).is_err() || burst.is_empty() {
            return;
        }
        let usable = burst.iter().filter(|frame| LENGTHS.contains(&frame.bytes.len()));
        frames.extend(usable.map(|frame| frame.bytes.to_vec()));
    }
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The table of the first interface of a case, without and with a loop guard.
fn tables(folder: &Path) -> Vec<Arc<MirrorTable>> {
    let Ok((registry, _)) = config::read_files(&[folder.join("mirror.toml")]).into_result() else {
        return Vec::new();
    };
    let table = compile(&registry, &CompileOptions::default());
    let guard = Arc::new(LoopGuard::new(table.targets().iter()));
    let guarded = table.with_loop_guard(&guard);
    std::iter::once(table).chain(guarded).map(Arc::new).collect()
}

#[test]
fn programs_decide_on_all_golden_frames_as_the_worker_does() {
    let mut frames = Vec::new();
    for folder in folders() {
        for file in ["input.pcap", "input.pcapng", "expected.pcap"] {
            frames_of(&folder.join(file), &mut frames);
        }
    }
    let (mut loaded, mut unfit) = (0, 0);
    for folder in folders() {
        for table in tables(&folder).into_iter().filter(|table| !table.interfaces().is_empty()) {
            let oracle = match KernelOracle::load(&table) {
                Ok(oracle) => oracle,
                Err(KernelTierError::DoesNotFit(_)) => {
                    unfit += 1;
                    continue;
                }
                Err(KernelTierError::MissingCapabilities(missing)) => {
                    let missing = missing.join(", ");
                    return print_uncaptured(&format!("NOT RUN: programs need {missing}\n"));
                }
                Err(KernelTierError::Rejected { log }) => {
                    let end: Vec<&str> = log.lines().rev().take(12).collect();
                    panic!("{}: the last line of the log first: {end:#?}", folder.display());
                }
                Err(error) => panic!("{}: {error}", folder.display()),
            };
            loaded += 1;
            for direction in Direction::BOTH {
                let expected = outcomes(&table, &frames, direction).0;
                for (frame, expected) in frames.iter().zip(expected) {
                    let found = oracle.outcome(direction, frame).unwrap();
                    let case = folder.display();
                    assert_eq!(found, Some(expected), "{case}, {direction:?}: {frame:02x?}");
                }
            }
        }
    }
    assert!(loaded > 50 && unfit < loaded, "{loaded} tables loaded, {unfit} do not fit");
    assert!(frames.len() > 500, "{} frames", frames.len());
}
