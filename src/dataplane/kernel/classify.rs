//! Emits the evaluation of word tables.
//!
//! For each run of words: the row of each field is found once, and its words are combined by AND
//! with the words so far, which are in registers. No jump depends on the packet meanwhile, so the
//! verifier examines this code once. Then the words are evaluated in order. The lowest bit of a
//! word is isolated by `word & -word`; multiplied by a de Bruijn sequence, its upper six bits are
//! the index of the outcome.

use std::ops::Range;

use super::layout::{key, maps};
use super::outcome::OutcomeList;
use super::tables::{Field, PROTOCOL_MASK, PortIndex, RowIndex, WordTables};
use super::words::{DE_BRUIJN, RUN_LEN, Word};
use crate::bpf::{Alu, Assembler, Condition, Label, Register, Size};
use crate::dataplane::verdict::NotMirrored;

use Register::{R0, R1, R2, R3, R4, R5, R7, R8, R9, R10};

/// The registers of the words of a run.
const WORD_REGISTERS: [Register; RUN_LEN] = [R0, R1, R2, R3, R4, R5, R7];

/// Emits code that leaves in R0 the number of the outcome for the flow key at `key` from R10. It
/// changes R0 to R5 and R7 to R9. It needs the map [`maps::TABLES`].
pub(crate) fn emit_classify(code: &mut Assembler, tables: &WordTables, key: i16) {
    let none = i32::try_from(OutcomeList::not_mirrored(NotMirrored::NoSessionMatched).number());
    let none = none.unwrap_or_default();
    if tables.words.is_empty() {
        return code.set(R0, none);
    }
    let (found, end) = (code.label(), code.label());
    let starts = tables.words.iter().map(|_| code.label()).collect();
    let no_match = code.label();
    let mut emission = Emission { code, tables, key, starts, found, no_match };
    for run in runs(&tables.words) {
        emission.run(run);
    }
    code.place(no_match);
    code.set(R0, none);
    code.jump(end);
    code.place(found);
    code.set_u64(R0, DE_BRUIJN);
    code.alu(Alu::Multiply, R8, R0);
    code.alu(Alu::ShiftRight, R8, 58);
    code.alu(Alu::ShiftLeft, R8, 2);
    code.alu(Alu::Add, R9, R8);
    code.load(Size::Word, R0, R9, 0);
    code.place(end);
}

/// The words of each run.
fn runs(words: &[Word]) -> Vec<Range<usize>> {
    let begins = words.iter().enumerate().filter(|(_, word)| word.begins_run);
    let starts: Vec<usize> = begins.map(|(place, _)| place).collect();
    let ends = starts.iter().copied().skip(1).chain([words.len()]);
    starts.iter().zip(ends).map(|(start, end)| *start..end).collect()
}

/// The code under construction.
struct Emission<'a> {
    code: &'a mut Assembler,
    tables: &'a WordTables,
    /// The offset of the flow key from R10.
    key: i16,
    /// By word: where its evaluation begins.
    starts: Vec<Label>,
    /// R8 is the bit of an accepting rule, and R9 the address of the outcomes of its word.
    found: Label,
    no_match: Label,
}

impl Emission<'_> {
    fn run(&mut self, run: Range<usize>) {
        let label = self.start(run.start);
        self.code.place(label);
        self.combine(&run);
        let tables = self.tables;
        for (place, register) in run.clone().zip(WORD_REGISTERS) {
            let label = self.start(place);
            if place != run.start {
                self.code.place(label);
            }
            if let Some(word) = tables.words.get(place) {
                self.evaluate(place, word, register);
            }
        }
    }

    /// Combines the words of all fields in the registers of the run.
    fn combine(&mut self, run: &Range<usize>) {
        let mut is_set = [false; RUN_LEN];
        let tables = self.tables;
        for field in &tables.fields {
            if !field.columns.iter().any(|place| run.contains(place)) {
                continue;
            }
            self.row_address(field);
            for (column, place) in (0..).zip(&field.columns) {
                let Some(own) = place.checked_sub(run.start) else { continue };
                let registers = WORD_REGISTERS.get(own).zip(is_set.get_mut(own));
                let Some((register, is_set)) = registers else { continue };
                if std::mem::replace(is_set, true) {
                    self.code.load(Size::Double, R8, R9, 8 * column);
                    self.code.alu(Alu::And, *register, R8);
                } else {
                    self.code.load(Size::Double, *register, R9, 8 * column);
                }
            }
        }
        let words = tables.words.get(run.clone()).unwrap_or_default();
        for ((word, register), is_set) in words.iter().zip(WORD_REGISTERS).zip(is_set) {
            if !is_set {
                self.code.set_u64(register, word.all());
            }
        }
    }

    /// Sets R9 to the address of the row of a field. Changes R8.
    fn row_address(&mut self, field: &Field) {
        match field.index {
            RowIndex::Byte(place) => self.code.load(Size::Byte, R8, R10, self.key + place),
            RowIndex::Protocol => {
                self.code.load(Size::Half, R8, R10, self.key + key::PROTOCOL);
                self.code.alu(Alu::And, R8, i32::from(PROTOCOL_MASK));
            }
            RowIndex::Port(port) => self.port_class(port),
        }
        let row_len = i32::try_from(8 * field.columns.len()).unwrap_or(i32::MAX);
        if row_len.count_ones() == 1 {
            let bits = i32::try_from(row_len.trailing_zeros()).unwrap_or_default();
            self.code.alu(Alu::ShiftLeft, R8, bits);
        } else {
            self.code.alu(Alu::Multiply, R8, row_len);
        }
        self.code.set_map_value(R9, maps::TABLES, self.tables.place(field.rows));
        self.code.alu(Alu::Add, R9, R8);
    }

    /// Sets R8 to the class of a port: 0 without ports. Changes R9.
    fn port_class(&mut self, index: PortIndex) {
        let code = &mut *self.code;
        let without_ports = code.label();
        code.load(Size::Byte, R8, R10, self.key + key::HAS_PORTS);
        code.jump_if(Condition::Equal, R8, 0, without_ports);
        code.load(Size::Half, R8, R10, self.key + index.port);
        code.set_map_value(R9, maps::TABLES, self.tables.place(index.classes));
        if index.is_wide {
            code.alu(Alu::ShiftLeft, R8, 1);
        }
        code.alu(Alu::Add, R9, R8);
        code.load(if index.is_wide { Size::Half } else { Size::Byte }, R8, R9, 0);
        code.alu(Alu::And, R8, i32::from(index.mask));
        code.place(without_ports);
    }

    /// Continues at `found` if a rule of the word accepts, at the end of the group if a rule of a
    /// group with several words rejects, else after this code.
    fn evaluate(&mut self, place: usize, word: &Word, matches: Register) {
        let goes_on = word.group_end > place + 1 && word.has_rejects();
        let group_end = self.start(word.group_end);
        let code = &mut *self.code;
        if word.has_rejects() && word.has_groups() {
            code.set_u64(R8, word.guards);
            code.alu(Alu::Or, R8, matches);
            code.set_u64(R9, word.lows);
            code.alu(Alu::Subtract, R8, R9);
            code.alu(Alu::Xor, R8, -1);
            code.alu(Alu::And, matches, R8);
            code.set_u64(R8, word.accepts);
            code.alu(Alu::And, matches, R8);
        }
        code.set(R8, 0);
        code.alu(Alu::Subtract, R8, matches);
        code.alu(Alu::And, R8, matches);
        if word.has_rejects() && !word.has_groups() {
            code.set_u64(R9, word.accepts);
            code.alu(Alu::And, R8, R9);
        }
        let rejected = code.label();
        code.jump_if(Condition::Equal, R8, 0, rejected);
        code.set_map_value(R9, maps::TABLES, self.tables.place(WordTables::outcomes_offset(place)));
        code.jump(self.found);
        code.place(rejected);
        if goes_on {
            code.jump_if(Condition::NotEqual, matches, 0, group_end);
        }
    }

    /// Where the evaluation of a word begins; after the last one, where no rule has matched.
    fn start(&self, word: usize) -> Label {
        self.starts.get(word).copied().unwrap_or(self.no_match)
    }
}
