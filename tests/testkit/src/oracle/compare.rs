//! Compares the data plane with the oracle, byte for byte.

use std::io;
use std::sync::Arc;

use super::parse::{ParsedFrame, parse_frame};
use super::{FrameOutcome, Input, InterfaceOutcome, Mode, expected_outcomes};
use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{
    BURST_LEN, Burst, Copies, DropCause, Drops, FlowKey, Frame, Medium, MirrorOutcome, MirrorTable,
    NotMirrored, SessionMatch, Sink, Source, Verdict, Worker,
};

struct Frames<'f>(&'f [Input]);

impl Source for Frames<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        let (now, later) = self.0.split_at(self.0.len().min(BURST_LEN));
        self.0 = later;
        for input in now {
            let mut frame = Frame::new(&input.bytes);
            frame.direction = input.direction;
            if !input.supported {
                frame.medium = Medium::Unsupported;
            }
            burst.push(frame);
        }
        Ok(())
    }
}

/// Records the outcomes of the data plane as types of the oracle.
struct OutcomeSink {
    table: Arc<MirrorTable>,
    outcomes: Vec<InterfaceOutcome>,
    copies: Vec<Vec<u8>>,
}

impl Sink for OutcomeSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            assert!(self.table.has_target_address(copy.session()));
            self.copies.push([&copy.outer()[..], &copy.inner().to_vec()].concat());
        }
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        for verdict in verdicts {
            let interface = verdict.interface.and_then(|index| self.table.interface(index));
            let name = interface.map(|one| one.id().to_string());
            let outcome = match verdict.outcome {
                MirrorOutcome::NotMirrored(reason) => FrameOutcome::NotMirrored(reason.label()),
                MirrorOutcome::Mirrored(SessionMatch { session, by }) => {
                    let entry = self.table.session(session).unwrap();
                    let rule = by.rule().map(|rule| &entry.filter.all_rules()[rule.get()]);
                    assert!(usize::from(verdict.frame) < burst.len());
                    let session_number = entry.number.value();
                    let rule_number = rule.map(|rule| rule.number().value());
                    let (bytes, truncated) = (Vec::new(), false);
                    match self.table.has_target_address(session) {
                        true => {
                            FrameOutcome::Mirrored { session_number, rule_number, bytes, truncated }
                        }
                        false => FrameOutcome::Dropped { session_number, rule_number },
                    }
                }
            };
            self.outcomes.push((name, verdict.direction, outcome));
        }
        Ok(())
    }
}

/// Runs the frames through the data plane and the oracle, and asserts that the outcomes are equal.
/// Whether a copy is truncated is compared by the number of truncated copies only.
pub fn compare(registry: &Registry, mode: Mode, inputs: &[Input]) {
    let options = CompileOptions { is_live: mode == Mode::Live, ..CompileOptions::default() };
    let table = Arc::new(compile(registry, &options));
    let mut worker = Worker::new(Arc::clone(&table));
    if let Mode::Replay(forced) = mode {
        worker = worker.with_direction(forced);
    }
    let mut sink = OutcomeSink { table, outcomes: Vec::new(), copies: Vec::new() };
    worker.run(&mut Frames(inputs), &mut sink).unwrap();

    let expected: Vec<InterfaceOutcome> =
        inputs.iter().flat_map(|input| expected_outcomes(registry, mode, input)).collect();
    let mut copies = sink.copies.into_iter();
    let (mut truncated_copies, mut mirrored, mut dropped) = (0, 0, 0);
    assert_eq!(sink.outcomes.len(), expected.len());
    for (mut outcome, expected) in sink.outcomes.into_iter().zip(expected) {
        if let FrameOutcome::Mirrored { bytes, truncated, .. } = &mut outcome.2 {
            *bytes = copies.next().unwrap();
            if let FrameOutcome::Mirrored { truncated: wanted, .. } = &expected.2 {
                *truncated = *wanted;
                truncated_copies += u64::from(*wanted);
            }
            mirrored += 1;
        }
        dropped += u64::from(matches!(outcome.2, FrameOutcome::Dropped { .. }));
        assert_eq!(outcome, expected);
    }
    assert_eq!(copies.next(), None);
    let counters = worker.counters();
    assert!(counters.is_balanced());
    assert_eq!(counters.mirrored(), mirrored);
    assert_eq!(counters.dropped(DropCause::NoTargetAddress), dropped);
    assert_eq!(counters.sessions.iter().map(|one| one.dropped).sum::<u64>(), dropped);
    assert_eq!(counters.sessions.iter().map(|one| one.truncated).sum::<u64>(), truncated_copies);
}

/// Parses any bytes with both parsers, and asserts that the results are equal.
pub fn compare_parsing(bytes: &[u8]) {
    let found = match FlowKey::parse(bytes) {
        Err(NotMirrored::NotIp) => ParsedFrame::NotIp,
        Err(_) => ParsedFrame::Unparsable,
        Ok(key) => ParsedFrame::Ip {
            source: key.source(),
            destination: key.destination(),
            protocol: key.protocol(),
            ports: key.ports(),
        },
    };
    assert_eq!(found, parse_frame(bytes));
}
