//! Compares a parsed packet with the known targets, one comparison for each target.

use std::net::IpAddr;

use super::does_not_fit::DoesNotFit;
use super::layout::key;
use super::parsed;
use crate::bpf::Register::{R1, R2, R3, R7};
use crate::bpf::{Assembler, Condition, Label, Size};
use crate::dataplane::FIRST_SOURCE_PORT;
use crate::dataplane::known_targets::KnownTargets;

/// Programs with more targets than this are not emitted: every layer compares with each target.
const MAX_TARGETS: usize = 16;

/// Checks that the targets fit into a program.
pub(super) fn check_targets(known: &KnownTargets) -> Result<(), DoesNotFit> {
    let targets = known.targets().len();
    if targets > MAX_TARGETS {
        return Err(DoesNotFit::Targets { targets, limit: MAX_TARGETS });
    }
    Ok(())
}

/// Continues at `own` if the key in the state at R7 is that of a copy to a known target. Changes R1
/// to R3. The caller has called [`check_targets`].
pub(super) fn emit_own_copy(code: &mut Assembler, known: &KnownTargets, own: Label) {
    let other = code.label();
    code.load(Size::Half, R1, R7, parsed::KEY + key::PROTOCOL);
    code.jump_if(Condition::NotEqual, R1, 17, other);
    code.load(Size::Half, R1, R7, parsed::KEY + key::SOURCE_PORT);
    code.jump_if(Condition::Less, R1, i32::from(FIRST_SOURCE_PORT), other);
    code.load(Size::Half, R1, R7, parsed::KEY + key::DESTINATION_PORT);
    code.load(Size::Byte, R2, R7, parsed::KEY + key::IS_IPV4);
    for (address, port) in known.targets() {
        let next = code.label();
        code.jump_if(Condition::NotEqual, R1, i32::from(*port), next);
        code.jump_if(Condition::NotEqual, R2, i32::from(address.is_ipv4()), next);
        let octets = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let (words, _) = octets.as_chunks::<4>();
        for (word, offset) in words.iter().zip((key::DESTINATION..).step_by(4)) {
            code.load(Size::Word, R3, R7, parsed::KEY + offset);
            let number = i32::from_le_bytes(*word);
            code.jump_if_32(Condition::NotEqual, R3, number, next);
        }
        code.jump(own);
        code.place(next);
    }
    code.place(other);
}
