//! The number of segments of a super-frame.

use super::layout::skb;
use crate::bpf::{Alu, Assembler, Condition, Register::*, Size};

/// The length of Ethernet, IPv4 and TCP headers without options.
const HEADERS_LEN: i32 = 14 + 20 + 20;

/// `R1 = number of segments of the frame`. A guest or a program with a tap device does not state it
/// (`virtio_net_hdr_to_skb`); it is then computed from the length, with Ethernet, IPv4 and TCP
/// headers without options. Changes R2.
pub(super) fn emit_segments(code: &mut Assembler) {
    let (known, super_frame) = (code.label(), code.label());
    code.load(Size::Word, R1, R6, skb::GSO_SEGS);
    code.jump_if(Condition::NotEqual, R1, 0, known);
    code.load(Size::Word, R2, R6, skb::GSO_SIZE);
    code.set(R1, 1);
    code.jump_if(Condition::Equal, R2, 0, known);
    code.load(Size::Word, R1, R6, skb::LEN);
    code.jump_if(Condition::Greater, R1, HEADERS_LEN, super_frame);
    code.set(R1, HEADERS_LEN + 1);
    code.place(super_frame);
    code.alu(Alu::Subtract, R1, HEADERS_LEN + 1);
    code.alu(Alu::Divide, R1, R2);
    code.alu(Alu::Add, R1, 1);
    code.place(known);
}
