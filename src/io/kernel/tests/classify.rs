//! Runs emitted programs in the kernel and compares them with the mirror table.

use std::os::fd::AsRawFd;

use crate::bpf::{Alu, Assembler, FunctionId, Instruction, Reference, Register};
use crate::dataplane::kernel::random_rules::RandomRules;
use crate::dataplane::kernel::{KernelOutcome, OutcomeList, WordTables, emit_classify};
use crate::dataplane::{FlowKey, InterfaceIndex, MirrorTable};
use crate::io::sys::bpf::{Map, MapKind, Program};
use crate::model::Direction;

use Register::{R1, R2, R3, R4, R6, R10};

const KEY: i16 = -40;
const ETHERNET_LEN: i32 = 14;

/// A program that returns the outcome of the key after the Ethernet header.
struct Classifier {
    program: Program,
    _tables: Map,
    outcomes: OutcomeList,
    instructions: usize,
    table_len: usize,
}

fn instructions(words: &WordTables) -> crate::bpf::Code {
    let mut code = Assembler::new();
    code.set(R6, R1);
    code.set(R2, ETHERNET_LEN);
    code.set(R3, R10);
    code.alu(Alu::Add, R3, i32::from(KEY));
    code.set(R4, 40);
    code.call(FunctionId::SkbLoadBytes);
    emit_classify(&mut code, words, KEY);
    code.exit();
    code.finish().unwrap()
}

/// `None` without the capability to load programs.
fn load(table: &MirrorTable, direction: Direction, is_ipv4: bool) -> Option<Classifier> {
    let mut outcomes = OutcomeList::default();
    let words = WordTables::new(table, direction, is_ipv4, &mut outcomes).unwrap();
    let tables = match Map::create(MapKind::Array, words.bytes().len(), 1) {
        Ok(map) => map,
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            eprintln!("NOT RUN: loading eBPF programs needs CAP_BPF");
            return None;
        }
        Err(error) => panic!("{} bytes: {error}", words.bytes().len()),
    };
    tables.update(0, words.bytes()).unwrap();
    let resolve = |_: Reference| Ok::<i32, ()>(tables.descriptor().as_raw_fd());
    let code: Vec<Instruction> = instructions(&words).resolved(resolve).unwrap();
    let program = match Program::load(&code, &[]) {
        Ok(program) => program,
        Err(rejected) => {
            let end: Vec<&str> = rejected.log.lines().rev().take(40).collect();
            panic!("{rejected}, the last line first: {end:#?}");
        }
    };
    let table_len = words.bytes().len();
    Some(Classifier { program, _tables: tables, outcomes, instructions: code.len(), table_len })
}

fn frame(key: &FlowKey) -> Vec<u8> {
    let mut frame = vec![0; 14];
    frame.extend(key.addresses);
    frame.extend(
        [key.source_port, key.destination_port, key.protocol].map(u16::to_ne_bytes).concat(),
    );
    frame.extend([u8::from(key.has_ports), u8::from(key.is_ipv4)]);
    frame
}

/// Compares the outcomes of random keys.
fn compare(
    seed: u64,
    table: &MirrorTable,
    direction: Direction,
    is_ipv4: bool,
) -> Option<(usize, usize)> {
    let classifier = load(table, direction, is_ipv4)?;
    let mut random = RandomRules::new(seed);
    for _ in 0..300 {
        let key = random.key(is_ipv4);
        let outcome = KernelOutcome::new(classifier.program.test_run(&frame(&key)).unwrap());
        let expected = table.decide(InterfaceIndex::FIRST, direction, &key);
        assert_eq!(classifier.outcomes.meaning(outcome), Some(expected), "seed {seed}: {key:?}");
    }
    Some((classifier.instructions, classifier.table_len))
}

#[test]
fn emitted_rules_give_the_outcomes_of_the_mirror_table() {
    for seed in 1..120 {
        let mut random = RandomRules::new(seed << 20);
        let direction = Direction::BOTH[random.below(2)];
        let is_ipv4 = seed % 2 == 0;
        let table = random.any_table(direction, is_ipv4);
        if compare(seed, &table, direction, is_ipv4).is_none() {
            return;
        }
    }
}

#[test]
fn the_kernel_accepts_the_highest_numbers_of_rules() {
    let divided = vec![33; 30];
    for sizes in [&[10; 3][..], &[126; 3], &[990], &[330; 3], &divided] {
        for is_ipv4 in [true, false] {
            let mut random = RandomRules::new(77);
            let table = random.table(sizes, Direction::Egress, is_ipv4, true);
            let Some((instructions, bytes)) = compare(5, &table, Direction::Egress, is_ipv4) else {
                return;
            };
            eprintln!(
                "rules {sizes:?}, IPv4 {is_ipv4}: {instructions} instructions, {bytes} bytes"
            );
        }
    }
}
