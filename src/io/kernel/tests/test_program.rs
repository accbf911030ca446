//! A program that calls one function for a part of a frame, and writes its state to a map.

use std::cell::Cell;

use crate::bpf::Register::{R0, R1, R2, R6, R10};
use crate::bpf::{Alu, Assembler, Label, MapSlot, Reference, Size};
use crate::dataplane::FlowKey;
use crate::dataplane::kernel::parsed;
use crate::io::sys::bpf::{LoadError, Map, MapKind, Program};

/// The map of the state.
const STATE: MapSlot = MapSlot(100);
const STATE_LEN: usize = 56;
/// The state on the stack.
const ON_STACK: i16 = -parsed::LEN;
/// Bytes before the part of the frame that a test run parses: a frame of a test run has at least 14
/// bytes.
const PREFIX: usize = 64;

/// A loaded program.
pub(super) struct TestProgram {
    program: Program,
    state: Map,
    runs: Cell<usize>,
}

/// The result of a function and its outputs.
pub(super) struct Output {
    pub(super) result: u32,
    state: Vec<u8>,
}

impl TestProgram {
    /// A program that calls the function. `emit` emits all functions after the main program.
    pub(super) fn new(
        emit: impl FnOnce(&mut Assembler, Label),
        tables: Option<(MapSlot, &[u8])>,
    ) -> Result<Self, LoadError> {
        let failed = |error| LoadError { error, log: String::new() };
        let state = Map::create(MapKind::Array, STATE_LEN, 1).map_err(failed)?;
        let (table_slot, table) = tables.unwrap_or((MapSlot(101), &[0; 8]));
        let tables = Map::create(MapKind::Array, table.len(), 1).map_err(failed)?;
        tables.update(0, table).map_err(failed)?;
        let mut code = Assembler::new();
        let function = code.label();
        emit_main(&mut code, function);
        emit(&mut code, function);
        let code = code.finish().unwrap();
        let number = |map: &Map| std::os::fd::AsRawFd::as_raw_fd(&map.descriptor());
        let resolved = code.resolved(|reference| match reference {
            Reference::Map(STATE) => Ok(number(&state)),
            Reference::Map(slot) if slot == table_slot => Ok(number(&tables)),
            other => Err(format!("{other:?}")),
        });
        let program = Program::load(&resolved.unwrap(), code.functions())?;
        print_size(&program, code.instructions().len());
        Ok(Self { program, state, runs: Cell::new(0) })
    }

    /// Calls the function for a frame or packet.
    pub(super) fn run(&self, ether_type: u16, bytes: &[u8]) -> Output {
        self.runs.set(self.runs.get() + 1);
        let mut input = vec![0; STATE_LEN];
        let offset = u32::try_from(PREFIX).unwrap();
        let end = offset + u32::try_from(bytes.len()).unwrap();
        input[..4].copy_from_slice(&offset.to_ne_bytes());
        input[4..8].copy_from_slice(&end.to_ne_bytes());
        input[8..10].copy_from_slice(&ether_type.to_ne_bytes());
        self.state.update(0, &input).unwrap();
        // The bytes after the end are not part of the packet.
        let frame = [&[0x5a; PREFIX][..], bytes, &[0x45; 16]].concat();
        let result = self.program.test_run(&frame).unwrap();
        Output { result, state: self.state.read(0).unwrap() }
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.get()
    }
}

impl Output {
    pub(super) fn key(&self) -> FlowKey {
        let key = &self.state[16..];
        let half = |at: usize| u16::from_ne_bytes([key[at], key[at + 1]]);
        FlowKey {
            addresses: *key.first_chunk().unwrap(),
            source_port: half(32),
            destination_port: half(34),
            protocol: half(36),
            has_ports: key[38] == 1,
            is_ipv4: key[39] == 1,
        }
    }

    /// The range of the upper layer in the bytes that were parsed.
    pub(super) fn upper(&self) -> Option<std::ops::Range<usize>> {
        let word = |at: usize| {
            let bytes = self.state[at..].first_chunk().copied().unwrap();
            usize::try_from(u32::from_ne_bytes(bytes)).unwrap() - PREFIX
        };
        let present = |(start, end)| if start == end { 0..0 } else { start..end };
        (self.state[10] == 1).then(|| present((word(0), word(4))))
    }

    pub(super) fn is_incomplete(&self) -> bool {
        self.state[11] == 1
    }
}

/// Copies the state from the map to the stack, calls the function, and copies the state back.
fn emit_main(code: &mut Assembler, function: Label) {
    code.set(R6, R1);
    code.set_map_value(R1, STATE, 0);
    for offset in (0..parsed::LEN).step_by(8) {
        code.load(Size::Double, R2, R1, offset);
        code.store(Size::Double, R10, ON_STACK + offset, R2);
    }
    code.set(R1, R6);
    code.set(R2, R10);
    code.alu(Alu::Add, R2, i32::from(ON_STACK));
    code.call_function(function);
    code.set_map_value(R1, STATE, 0);
    for offset in (0..parsed::LEN).step_by(8) {
        code.load(Size::Double, R2, R10, ON_STACK + offset);
        code.store(Size::Double, R1, offset, R2);
    }
    // R0 is the result of the function.
    code.alu_32(Alu::Add, R0, 0);
    code.exit();
}

/// Prints the number of instructions of a program, and of those that the verifier processed.
pub(super) fn print_size(program: &Program, len: usize) {
    let number = std::os::fd::AsRawFd::as_raw_fd(&program.descriptor());
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let verified = text.lines().find(|line| line.starts_with("verified_insns"));
    println!("{len} instructions; {}", verified.unwrap_or("verified_insns: unknown"));
}
