//! The general parser gives the results of `dataplane::headers`.

use super::frames::{self, Random};
use super::test_program::TestProgram;
use crate::dataplane::NotMirrored;
use crate::dataplane::kernel::{emit_parser, parsed, reason_code, specification};

const ETHERNET: u16 = 0x6558;

/// The program; `None`, with a message, if this process may not load it.
fn program() -> Option<TestProgram> {
    match TestProgram::new(emit_parser, None) {
        Ok(program) => Some(program),
        Err(error) if error.error.raw_os_error() == Some(libc::EPERM) => {
            println!("NOT RUN: loading programs needs CAP_BPF and CAP_NET_ADMIN");
            None
        }
        Err(error) => panic!("{error}\n{}", error.log),
    }
}

fn assert_same(program: &TestProgram, ether_type: u16, bytes: &[u8]) {
    let output = program.run(ether_type, bytes);
    match specification::parse(ether_type, bytes) {
        Ok(expected) => {
            assert_eq!(output.result, 0, "{bytes:02x?}");
            assert_eq!(output.key(), expected.key, "{bytes:02x?}");
            assert_eq!(output.upper(), expected.upper, "{bytes:02x?}");
            assert_eq!(output.is_incomplete(), expected.is_incomplete, "{bytes:02x?}");
        }
        Err(reason) => {
            assert_eq!(output.result, reason_code(reason).cast_unsigned(), "{bytes:02x?}");
        }
    }
}

#[test]
fn frames_of_the_unit_tests_are_parsed_alike_at_each_length() {
    let Some(program) = program() else { return };
    for frame in frames::headers() {
        for len in 0..=frame.len() {
            assert_same(&program, ETHERNET, &frame[..len]);
        }
        let ether_type = u16::from_be_bytes([frame[12], frame[13]]);
        assert_same(&program, ether_type, &frame[14..]);
    }
    println!("{} frames", program.runs());
}

#[test]
fn random_mutations_are_parsed_alike() {
    let Some(program) = program() else { return };
    let (frames, mut random) = (frames::headers(), Random::new(18));
    for _ in 0..20_000 {
        let frame = frames::mutated(&frames[random.below(frames.len())], &mut random);
        assert_same(&program, ETHERNET, &frame);
    }
}

#[test]
fn more_tags_or_extension_headers_than_the_limits_are_unparsable() {
    let Some(program) = program() else { return };
    let unparsable = reason_code(NotMirrored::Unparsable).cast_unsigned();
    assert_eq!(program.run(ETHERNET, &frames::tagged(17)).result, unparsable);
    assert_eq!(program.run(ETHERNET, &frames::extended(17)).result, unparsable);
    assert_eq!(i32::from(ETHERNET), parsed::ETHERNET);
}
