//! What user space decides for a frame, in a form that tests of programs compare with.

use std::ops::Range;

use crate::bpf::{Assembler, Label};
use crate::dataplane::headers::{self, UpperLayer};
use crate::dataplane::known_targets::KnownTargets;
use crate::dataplane::{FlowKey, Frame, NotMirrored, nesting};

use super::parsed;

/// The headers of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParsedPacket {
    pub(crate) key: FlowKey,
    /// The upper layer as a range of the parsed bytes, if it is present; an empty one is `0..0`.
    pub(crate) upper: Option<Range<usize>>,
    pub(crate) is_incomplete: bool,
}

/// Parses the bytes after an EtherType.
pub(crate) fn parse(ether_type: u16, bytes: &[u8]) -> Result<ParsedPacket, NotMirrored> {
    let mut key = FlowKey::EMPTY;
    let UpperLayer { bytes: upper, is_incomplete } = if i32::from(ether_type) == parsed::ETHERNET {
        headers::parse(&mut key, bytes)
    } else {
        headers::parse_after_ether_type(&mut key, ether_type, bytes)
    }?;
    let range = |upper: &[u8]| {
        let start = upper.as_ptr().addr() - bytes.as_ptr().addr();
        start..start + upper.len()
    };
    // The address of an empty slice may be that of a constant.
    let upper = upper.map(|upper| if upper.is_empty() { 0..0 } else { range(upper) });
    Ok(ParsedPacket { key, upper, is_incomplete })
}

/// The targets of the unit tests of `dataplane::nesting`.
fn known() -> KnownTargets {
    KnownTargets::new(nesting::tests::known_targets().iter())
}

/// Emits the search for copies and the parser.
pub(crate) fn emit_nesting(code: &mut Assembler, entry: Label) {
    let parser = code.label();
    super::nesting::emit_nesting_test(code, entry, parser, &known());
    super::parser::emit_parser(code, parser);
}

/// The reason why a frame is not mirrored.
pub(crate) fn nested_copy_reason(frame: &[u8]) -> Option<NotMirrored> {
    nesting::nested_copy_reason(&known(), &Frame::new(frame))
}

/// Frames with up to two copies, in each kind of encapsulation, and ICMP errors about them.
pub(crate) fn nested_frames() -> Vec<Vec<u8>> {
    use nesting::tests::{copies, errors, plain};
    let one = copies(&plain());
    let two = one.iter().flat_map(|one| copies(one));
    let quoted = one.iter().filter(|one| one[12..15] == [8, 0, 0x45]).flat_map(|one| errors(one));
    one.iter().cloned().chain(two).chain(quoted).collect()
}
