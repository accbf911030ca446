//! The decision on a frame: its headers, the loop guard, AWS's exclusions and the rules.

use super::classify::emit_classify;
use super::layout::{key, skb};
use super::nesting::emit_nesting_test;
use super::outcome::OutcomeList;
use super::parsed;
use super::parser::emit_parser;
use super::plain::{PlainExits, emit_plain_parser};
use super::stack::{KEY, PARSED};
use super::suspect::{emit_own_mark_test, emit_suspect_test, emit_train_test};
use super::tables::WordTables;
use crate::bpf::{Alu, Assembler, AssemblyError, Code, Condition, Label, Register::*, Size};
use crate::dataplane::loop_guard::LoopGuard;
use crate::dataplane::verdict::NotMirrored;

/// What a decision is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision<'a> {
    /// The words for IPv4, then for IPv6.
    pub(super) words: &'a [WordTables; 2],
    pub(super) guard: &'a LoopGuard,
}

/// The functions of the program that a decision calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functions {
    parser: Label,
    nesting: Label,
}

/// The mark of our copies, and where a frame that can be one of them continues.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnCopies {
    pub(super) mark: i32,
    pub(super) exit: Label,
}

impl Decision<'_> {
    /// The program that returns the outcome of a frame and does nothing else.
    ///
    /// # Errors
    /// See [`Assembler::finish`].
    pub(super) fn oracle(&self) -> Result<Code, AssemblyError> {
        let mut code = Assembler::new();
        let functions = Self::functions(&mut code);
        code.set(R6, R1);
        self.emit(&mut code, &functions, None);
        code.exit();
        self.emit_functions(&mut code, &functions);
        code.finish()
    }

    /// Labels for the functions.
    pub(super) fn functions(code: &mut Assembler) -> Functions {
        Functions { parser: code.label(), nesting: code.label() }
    }

    /// Emits `R0 = outcome` of the frame at R6. Changes R0 to R5 and R7 to R9.
    pub(super) fn emit(
        &self,
        code: &mut Assembler,
        functions: &Functions,
        own_copies: Option<OwnCopies>,
    ) {
        let exits = PlainExits { ipv4: code.label(), ipv6: code.label(), general: code.label() };
        let families = [code.label(), code.label()];
        let (suspect, decided) = (code.label(), code.label());
        emit_plain_parser(code, exits);
        code.place(exits.general);
        emit_general_parser(code, functions, decided);
        code.load(Size::Byte, R1, R10, KEY + key::IS_IPV4);
        code.jump_if(Condition::NotEqual, R1, 0, exits.ipv4);
        for ((entry, words), family) in
            [exits.ipv6, exits.ipv4].into_iter().zip(self.words.iter().rev()).zip(families)
        {
            code.place(entry);
            if let Some(OwnCopies { mark, exit }) = own_copies {
                emit_own_mark_test(code, (mark, self.guard), exit);
            }
            emit_suspect_test(code, self.guard, suspect);
            code.place(family);
            emit_classify(code, words, KEY);
            code.jump(decided);
        }
        code.place(suspect);
        self.emit_suspect(code, functions, (families, decided));
        code.place(decided);
    }

    /// Emits the functions, after the end of the main program.
    pub(super) fn emit_functions(&self, code: &mut Assembler, functions: &Functions) {
        emit_parser(code, functions.parser);
        if self.guard.is_enabled() {
            emit_nesting_test(code, functions.nesting, functions.parser, self.guard.known());
        }
    }

    /// Examines a suspect frame. If it may be mirrored, its family decides, otherwise its reason is
    /// the outcome. `families` are IPv6, then IPv4.
    fn emit_suspect(
        &self,
        code: &mut Assembler,
        functions: &Functions,
        ([ipv6, ipv4], decided): ([Label; 2], Label),
    ) {
        if !self.guard.is_enabled() {
            // No code jumps here, and the verifier rejects unreachable code.
            return;
        }
        let (train, mirrored) = (code.label(), code.label());
        emit_train_test(code, train);
        code.set(R1, R6);
        code.call_function(functions.nesting);
        code.jump_if(Condition::Equal, R0, 0, mirrored);
        code.alu(Alu::Subtract, R0, 1);
        code.jump(decided);
        code.place(mirrored);
        code.load(Size::Byte, R1, R10, KEY + key::IS_IPV4);
        code.jump_if(Condition::NotEqual, R1, 0, ipv4);
        code.jump(ipv6);
        code.place(train);
        let nested = OutcomeList::not_mirrored(NotMirrored::NestedCopy).number();
        code.set(R0, nested.cast_signed());
    }
}

/// Parses the headers of the frame to the key on the stack. If that fails, continues at `decided`
/// with the outcome in R0.
fn emit_general_parser(code: &mut Assembler, functions: &Functions, decided: Label) {
    let valid = code.label();
    code.load(Size::Word, R0, R6, skb::LEN);
    code.store(Size::Word, R10, PARSED + parsed::OFFSET, 0);
    code.store(Size::Word, R10, PARSED + parsed::END, R0);
    code.store(Size::Half, R10, PARSED + parsed::ETHER_TYPE, parsed::ETHERNET);
    code.set(R1, R6);
    code.set(R2, R10);
    code.alu(Alu::Add, R2, i32::from(PARSED));
    code.call_function(functions.parser);
    code.jump_if(Condition::Equal, R0, 0, valid);
    code.alu(Alu::Subtract, R0, 1);
    code.jump(decided);
    code.place(valid);
}
