//! The whole way against the plain oracle: any configuration, any frames, exact bytes.
#![expect(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod oracle;

use std::io;
use std::sync::Arc;

use oracle::generate::{Entropy, frame, registry};
use oracle::{Fate, Input, Line, tell};
use proptest::prelude::*;
use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{
    BURST_LEN, Burst, Copies, Drops, Frame, Medium, Outcome, Sink, Source, Taken, Verdict, Worker,
};
use traffic_mirror::model::Direction;

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
    table: Arc<traffic_mirror::dataplane::MirrorTable>,
    lines: Vec<Line>,
    copied: Vec<Vec<u8>>,
}

impl Sink for Story {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            self.copied.push([&copy.outer(), copy.inner()].concat());
        }
        Ok(())
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

fn compare(registry: &Registry, forced: Option<Direction>, inputs: &[Input]) {
    let table = Arc::new(compile(registry, &CompileOptions::default()));
    let mut worker = Worker::new(Arc::clone(&table)).forced_direction(forced);
    let mut story = Story { table, lines: Vec::new(), copied: Vec::new() };
    worker.run(&mut Frames(inputs), &mut story).unwrap();

    let expected: Vec<Line> =
        inputs.iter().flat_map(|input| tell(registry, forced, input)).collect();
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_data_plane_does_what_the_oracle_tells(
        choices in prop::collection::vec(any::<u8>(), 0..1_500),
        flow in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..100),
        forced in prop_oneof![
            4 => Just(None), 1 => Just(Some(Direction::Ingress)), 1 => Just(Some(Direction::Egress))
        ],
    ) {
        let registry = registry(&mut Entropy(&choices));
        let inputs: Vec<Input> = flow.iter().map(|bytes| frame(&mut Entropy(bytes))).collect();
        compare(&registry, forced, &inputs);
    }
}

/// A generator that never reaches a box would prove nothing about it.
#[test]
fn the_generator_reaches_every_fate() {
    let mut seen = std::collections::BTreeMap::new();
    let mut state = 1_u64;
    let mut bytes = |len: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33).to_le_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    };
    for _ in 0..300 {
        let registry = registry(&mut Entropy(&bytes(1_000)));
        for _ in 0..100 {
            for (_, _, fate) in tell(&registry, None, &frame(&mut Entropy(&bytes(100)))) {
                let label = match fate {
                    Fate::Copied { rule_number: None, .. } => "copied by amazon-dns",
                    Fate::Copied { truncated: true, .. } => "copied and cut",
                    Fate::Copied { .. } => "copied",
                    Fate::Stays(reason) => reason,
                };
                *seen.entry(label).or_insert(0) += 1;
            }
        }
    }
    println!("{seen:?}");
    assert_eq!(seen.len(), 10, "{seen:?}");
    assert!(seen.values().all(|&count| count > 10), "{seen:?}");
}
