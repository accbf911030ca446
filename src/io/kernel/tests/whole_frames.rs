//! Whole decisions on random frames are those of a worker, and the taps of large tables load.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::dataplane::kernel::random_rules::RandomRules;
use crate::dataplane::kernel::{
    CONTEXT_LEN, ChecksumField, KernelMarks, KernelTable, PATH_LEN, TapOptions,
};
use crate::dataplane::{
    BURST_LEN, Burst, Copies, Drops, FlowKey, Frame, InterfaceIndex, LoopGuard, MirrorOutcome,
    MirrorTable, Sink, Source, Verdict, Worker,
};
use crate::io::kernel::btf::KernelTypes;
use crate::io::kernel::programs::load;
use crate::io::kernel::{KernelOracle, KernelTierError};
use crate::io::sys::bpf::{Map, MapKind};
use crate::model::Direction;

/// The shortest frame of a test run: Ethernet and IPv6 headers.
const MIN_LEN: usize = 54;

struct Frames {
    rest: VecDeque<Vec<u8>>,
    lent: Vec<Vec<u8>>,
    direction: Direction,
}

impl Source for Frames {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.lent = self.rest.drain(..self.rest.len().min(BURST_LEN)).collect();
        for bytes in &self.lent {
            burst.push(Frame { direction: Some(self.direction), ..Frame::new(bytes) });
        }
        Ok(())
    }
}

#[derive(Default)]
struct Outcomes(Vec<MirrorOutcome>);

impl Sink for Outcomes {
    fn send(&mut self, _: &Copies<'_>, _: &mut Drops) -> io::Result<()> {
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, _: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        self.0.extend(verdicts.iter().map(|verdict| verdict.outcome));
        Ok(())
    }
}

fn outcomes(
    table: &Arc<MirrorTable>,
    frames: &[Vec<u8>],
    direction: Direction,
) -> Vec<MirrorOutcome> {
    let mut worker = Worker::new(Arc::clone(table)).with_interface(InterfaceIndex::FIRST);
    let rest = frames.iter().cloned().collect();
    let mut source = Frames { rest, lent: Vec::new(), direction };
    let mut sink = Outcomes::default();
    while worker.step(&mut source, &mut sink).unwrap() {}
    sink.0
}

/// A frame with the headers of a key, with random lengths, options, fragments and tags.
fn frame(key: &FlowKey, random: &mut RandomRules) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for _ in 0..[0, 0, 0, 1, 2][random.below(5)] {
        frame.extend([[0x81, 0x00], [0x88, 0xa8]][random.below(2)]);
        frame.extend([0, 7]);
    }
    let ports = key.ports().unwrap_or((0x1234, 0xff90));
    let suspect = [65_408, 65_535, ports.0, ports.0][random.below(4)];
    let mut payload: Vec<u8> = [suspect.to_be_bytes(), ports.1.to_be_bytes()].concat();
    payload.extend([0, 60, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0]);
    payload.extend((0..random.below(60)).map(|byte| u8::try_from(byte).unwrap()));
    let protocol = key.protocol().unwrap_or(44);
    let number = |value: usize| u16::try_from(value).unwrap();
    if key.is_ipv4 {
        let options = [0, 0, 0, 4, 40][random.below(5)];
        let len = number(20 + options + payload.len());
        let len = [len, len, len, 0, 22, 24, u16::MAX][random.below(7)];
        let first = 0x45 + u8::try_from(options / 4).unwrap();
        frame.extend([0x08, 0x00, first, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([0, 1]);
        frame.extend([0_u16, 0x4000, 0x2000, 0x2001, 5][random.below(5)].to_be_bytes());
        frame.extend([64, protocol, 0, 0]);
        frame.extend(&key.addresses[..4]);
        frame.extend(&key.addresses[16..20]);
        frame.extend(vec![1; options]);
    } else {
        let extension = [None, None, None, Some(0), Some(44), Some(51), Some(60)][random.below(7)];
        let header_len = if extension.is_some() { 8 } else { 0 };
        let len = number(header_len + payload.len());
        let len = [len, len, len, 0, 3, u16::MAX][random.below(6)];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([extension.unwrap_or(protocol), 64]);
        frame.extend(key.addresses);
        if extension.is_some() {
            frame.extend([protocol, 0, 0, [0, 0, 8][random.below(3)], 0, 0, 0, 0]);
        }
    }
    frame.extend(payload);
    let cut = frame.len().min(MIN_LEN + random.below(200));
    frame.truncate(cut.max(MIN_LEN));
    frame.resize(frame.len().max(MIN_LEN), 0);
    frame
}

#[test]
fn decisions_on_random_frames_are_those_of_a_worker() {
    for seed in 1..80 {
        let mut random = RandomRules::new(seed << 21);
        let direction = Direction::BOTH[random.below(2)];
        let is_ipv4 = random.below(2) == 0;
        let mut table = random.any_table(direction, is_ipv4);
        if random.below(3) > 0 {
            let guard = Arc::new(LoopGuard::new(table.targets().iter()));
            table = table.with_loop_guard(&guard).unwrap_or(table);
        }
        let oracle = match KernelOracle::load(&table) {
            Ok(oracle) => oracle,
            Err(KernelTierError::MissingCapabilities(missing)) => {
                return println!("NOT RUN: programs need {}", missing.join(", "));
            }
            Err(KernelTierError::Rejected { log }) => panic!("seed {seed}: {log}"),
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let frames: Vec<Vec<u8>> = (0..300)
            .map(|number| {
                let key = random.key(if number % 8 == 0 { !is_ipv4 } else { is_ipv4 });
                frame(&key, &mut random)
            })
            .collect();
        let table = Arc::new(table);
        for direction in Direction::BOTH {
            let expected = outcomes(&table, &frames, direction);
            for (frame, expected) in frames.iter().zip(expected) {
                let found = oracle.outcome(direction, frame).unwrap();
                assert_eq!(found, Some(expected), "seed {seed}, {direction:?}: {frame:02x?}");
            }
        }
    }
}

#[test]
fn taps_of_large_tables_load() {
    let Ok(types) = KernelTypes::read() else { return println!("NOT RUN: no type information") };
    let divided = vec![9; 100];
    for sizes in [&[][..], &[1], &[126; 3], &[330; 3], &divided] {
        for is_ipv4 in [true, false] {
            let table = RandomRules::new(77).table(sizes, Direction::Egress, is_ipv4, true);
            let guard = Arc::new(LoopGuard::new(table.targets().iter()));
            let table = KernelTable::new(&table.with_loop_guard(&guard).unwrap()).unwrap();
            let bytes = table.tables(Direction::Egress);
            let map = |kind, len, entries| Map::create(kind, len, entries);
            let maps = [
                map(MapKind::PerCpuArray, CONTEXT_LEN, 1),
                map(MapKind::Array, bytes.len(), 1),
                map(MapKind::PerCpuArray, table.layout().len() * 8, 1),
                map(MapKind::Array, PATH_LEN, 2),
                map(MapKind::Array, 4, 1),
                map(MapKind::Array, 8, 1),
            ];
            let Ok(maps) = maps.into_iter().collect::<io::Result<Vec<Map>>>() else {
                return println!("NOT RUN: loading programs needs CAP_BPF");
            };
            maps[1].update(0, bytes).unwrap();
            let checksum = ChecksumField { offset: 128, shift: 5, mask: 3 };
            let options = TapOptions { marks: KernelMarks { own: 1 }, pad_index: 1, checksum };
            let code = table.tap(Direction::Egress, &options).unwrap();
            let maps: Vec<&Map> = maps.iter().collect();
            if let Err(error) = load(&code, &maps, &types) {
                panic!("{sizes:?}, IPv4 {is_ipv4}: {error:?}");
            }
        }
    }
}
