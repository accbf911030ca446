//! Holds the data plane against the oracle, word for word and byte for byte.

use std::io;
use std::sync::Arc;

use super::reading::{Reading, read};
use super::{Fate, Input, Line, Mode, tell};
use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{
    BURST_LEN, Burst, Copies, Drops, FlowKey, Frame, Medium, MirrorTable, NotMirrored, Outcome,
    Sink, Source, Taken, Verdict, Worker,
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

/// Writes down what the data plane says, in the words of the oracle.
struct Story {
    table: Arc<MirrorTable>,
    lines: Vec<Line>,
    copied: Vec<Vec<u8>>,
}

impl Sink for Story {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            self.copied.push([&copy.outer()[..], &copy.inner().to_vec()].concat());
        }
        Ok(())
    }

    fn is_witness(&self) -> bool {
        true
    }

    fn witness(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        for verdict in verdicts {
            let interface = self.table.interfaces().get(verdict.interface as usize);
            let name = interface.map(|one| one.id().to_string());
            let fate = match verdict.outcome {
                Outcome::NotMirrored(reason) => Fate::Stays(reason.label()),
                Outcome::Mirrored(Taken { session, rule }) => {
                    let entry = &self.table.sessions()[session as usize];
                    let rule = entry.filter.all_rules().get(rule as usize);
                    assert!(usize::from(verdict.frame) < burst.len());
                    Fate::Copied {
                        session_number: entry.number.value(),
                        rule_number: rule.map(|rule| rule.number().value()),
                        bytes: Vec::new(),
                        truncated: false,
                    }
                }
            };
            self.lines.push((name, verdict.direction, fate));
        }
        Ok(())
    }
}

/// Runs the frames through both and wants the same story.
pub fn compare(registry: &Registry, mode: Mode, inputs: &[Input]) {
    let options = CompileOptions { is_live: mode == Mode::Live, ..CompileOptions::default() };
    let table = Arc::new(compile(registry, &options));
    let mut worker = Worker::new(Arc::clone(&table));
    if let Mode::Replay(forced) = mode {
        worker = worker.forced_direction(forced);
    }
    let mut story = Story { table, lines: Vec::new(), copied: Vec::new() };
    worker.run(&mut Frames(inputs), &mut story).unwrap();

    let expected: Vec<Line> = inputs.iter().flat_map(|input| tell(registry, mode, input)).collect();
    let mut copied = story.copied.into_iter();
    let (mut cut, mut mirrored) = (0, 0);
    assert_eq!(story.lines.len(), expected.len());
    for (mut line, expected) in story.lines.into_iter().zip(expected) {
        if let Fate::Copied { bytes, truncated, .. } = &mut line.2 {
            *bytes = copied.next().unwrap();
            if let Fate::Copied { truncated: wanted, .. } = &expected.2 {
                *truncated = *wanted;
                cut += u64::from(*wanted);
            }
            mirrored += 1;
        }
        assert_eq!(line, expected);
    }
    assert_eq!(copied.next(), None);
    let counters = worker.counters();
    assert!(counters.add_up());
    assert_eq!(counters.mirrored(), mirrored);
    assert_eq!(counters.sessions.iter().map(|one| one.truncated).sum::<u64>(), cut);
}

/// Reads any bytes as a frame with both parsers and wants the same reading.
pub fn compare_reading(bytes: &[u8]) {
    let found = match FlowKey::parse(bytes) {
        Err(NotMirrored::NotIp) => Reading::NotIp,
        Err(_) => Reading::Unparsable,
        Ok(key) => Reading::Ip {
            source: key.source(),
            destination: key.destination(),
            protocol: key.protocol(),
            ports: key.ports(),
        },
    };
    assert_eq!(found, read(bytes));
}
