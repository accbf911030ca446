//! Frames that may be copies: the cheap test of the loop guard, and the test of frames with the mark
//! of our copies.

use super::layout::{key, skb};
use super::stack::KEY;
use crate::bpf::{Alu, Assembler, Condition, Label, Register::*, Size};
use crate::dataplane::FIRST_SOURCE_PORT;
use crate::dataplane::loop_guard::LoopGuard;

const TCP: i32 = 6;
const UDP: i32 = 17;

/// The protocol numbers of IP in IP, 6in4, GRE, ESP, AH and L2TPv3.
pub(crate) const TUNNEL_PROTOCOLS: [u32; 6] = [4, 41, 47, 50, 51, 115];
/// UDP ports of tunnels, assigned by IANA or used by Linux: L2TP, GTP-U, GRE-in-UDP (and with
/// DTLS), VXLAN, VXLAN-GPE, FOU, GUE, GENEVE, MPLS (and with DTLS), and the former VXLAN port of
/// Linux. The inner packet may have an unfinished checksum while the outer one is complete
/// (`lco_csum` in `linux/udp.h`).
pub(crate) const TUNNEL_PORTS: [u32; 12] =
    [1701, 2152, 4754, 4755, 4789, 4790, 5555, 6080, 6081, 6635, 6636, 8472];

/// Continues at `suspect` if the flow key on the stack may be that of a copy or of a packet that
/// contains one, as [`LoopGuard::may_be_copy`] decides. Changes R0 and R1.
pub(super) fn emit_suspect_test(code: &mut Assembler, guard: &LoopGuard, suspect: Label) {
    if !guard.is_enabled() {
        return;
    }
    let ordinary = code.label();
    code.load(Size::Half, R0, R10, KEY + key::PROTOCOL);
    code.jump_if(Condition::Equal, R0, TCP, ordinary);
    code.load(Size::Half, R0, R10, KEY + key::SOURCE_PORT);
    code.jump_if(Condition::AtLeast, R0, i32::from(FIRST_SOURCE_PORT), suspect);
    code.load(Size::Half, R0, R10, KEY + key::DESTINATION_PORT);
    code.alu(Alu::ShiftRight, R0, 2);
    code.alu(Alu::And, R0, 63);
    code.set_u64(R1, guard.destination_bits());
    code.alu(Alu::ShiftRight, R1, R0);
    code.jump_if(Condition::AnyBit, R1, 1, suspect);
    code.place(ordinary);
}

/// Continues at `train` if the frame is a super-frame of UDP from a port of copies: each of its
/// segments may be another copy, and a program examines only the first. Changes R0.
pub(super) fn emit_train_test(code: &mut Assembler, train: Label) {
    let single = code.label();
    code.load(Size::Word, R0, R6, skb::GSO_SIZE);
    code.jump_if(Condition::Equal, R0, 0, single);
    code.load(Size::Half, R0, R10, KEY + key::PROTOCOL);
    code.jump_if(Condition::NotEqual, R0, UDP, single);
    code.load(Size::Half, R0, R10, KEY + key::SOURCE_PORT);
    code.jump_if(Condition::AtLeast, R0, i32::from(FIRST_SOURCE_PORT), train);
    code.place(single);
}

/// Continues at `own` if the frame has our mark and can be our copy, or a tunnel around one, as the
/// kernel filter of the ring tier decides (`io::live::filter::own_copies`). Changes R0.
pub(super) fn emit_own_mark_test(
    code: &mut Assembler,
    (mark, guard): (i32, &LoopGuard),
    own: Label,
) {
    let (other, udp) = (code.label(), code.label());
    code.load(Size::Word, R0, R6, skb::MARK);
    code.jump_if_32(Condition::NotEqual, R0, mark, other);
    code.load(Size::Half, R0, R10, KEY + key::PROTOCOL);
    code.jump_if(Condition::Equal, R0, UDP, udp);
    for protocol in TUNNEL_PROTOCOLS {
        code.jump_if(Condition::Equal, R0, protocol.cast_signed(), own);
    }
    code.jump(other);
    code.place(udp);
    // Later fragments have no ports. Over IPv6 these are not ours, as copies are not fragmented.
    let has_ports = code.label();
    code.load(Size::Byte, R0, R10, KEY + key::HAS_PORTS);
    code.jump_if(Condition::NotEqual, R0, 0, has_ports);
    code.load(Size::Byte, R0, R10, KEY + key::IS_IPV4);
    code.jump_if(Condition::NotEqual, R0, 0, own);
    code.jump(other);
    code.place(has_ports);
    code.load(Size::Half, R0, R10, KEY + key::SOURCE_PORT);
    code.jump_if(Condition::AtLeast, R0, i32::from(FIRST_SOURCE_PORT), own);
    code.load(Size::Half, R0, R10, KEY + key::DESTINATION_PORT);
    for port in TUNNEL_PORTS.into_iter().chain(guard.target_ports().map(u32::from)) {
        code.jump_if(Condition::Equal, R0, port.cast_signed(), own);
    }
    code.place(other);
}
