//! The search for copies gives the results of `dataplane::nesting`.

use super::frames::{self, Random};
use crate::bpf::Assembler;
use crate::dataplane::kernel::{reason_code, specification};
use crate::io::sys::bpf::Program;

/// A test run needs an Ethernet header and an IPv6 header (`bpf_prog_test_run_skb`).
const MIN_LEN: usize = 54;

/// A program that calls the function; `None`, with a message, if this process may not load it.
fn program() -> Option<Program> {
    let mut code = Assembler::new();
    let function = code.label();
    code.call_function(function);
    code.exit();
    specification::emit_nesting(&mut code, function);
    let code = code.finish().unwrap();
    match Program::load(code.instructions(), code.functions()) {
        Ok(program) => Some(program),
        Err(error) if error.error.raw_os_error() == Some(libc::EPERM) => {
            println!("NOT RUN: loading programs needs CAP_BPF and CAP_NET_ADMIN");
            None
        }
        Err(error) => panic!("{error}\n{}", error.log),
    }
}

fn assert_same(program: &Program, frame: &[u8]) {
    let expected = specification::nested_copy_reason(frame).map_or(0, reason_code);
    assert_eq!(program.test_run(frame).unwrap(), expected.cast_unsigned(), "{frame:02x?}");
}

#[test]
fn nested_frames_are_recognised_at_each_length() {
    let Some(program) = program() else { return };
    for frame in specification::nested_frames() {
        for len in MIN_LEN..=frame.len() {
            assert_same(&program, &frame[..len]);
        }
    }
}

#[test]
fn random_mutations_of_nested_frames_are_recognised_alike() {
    let Some(program) = program() else { return };
    let (frames, mut random) = (specification::nested_frames(), Random::new(19));
    for _ in 0..20_000 {
        let frame = frames::mutated(&frames[random.below(frames.len())], &mut random);
        if frame.len() >= MIN_LEN {
            assert_same(&program, &frame);
        }
    }
}
