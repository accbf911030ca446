//! Options of `run` that would have no effect beside others, or at all: they are refused.

use super::flags::{CaptureFlag, KernelFilterMode, RunFlags};
use crate::cli::exit::Failure;
use crate::runtime::RingSize;

/// Refuses an option whose value nothing would use.
pub(super) fn check(flags: &RunFlags) -> Result<(), Failure> {
    if let Some(direction) = flags.sessions.direction() {
        return Err(Failure::usage(format_args!(
            "--direction `{direction}`: expected no --direction: the kernel reports which frames \
             of a live interface arrive and which leave"
        )));
    }
    check_interface(flags)?;
    if flags.capture == CaptureFlag::Pnet { check_pnet(flags) } else { Ok(()) }
}

/// `--interface` names the device of the sessions that files or `--target` describe.
fn check_interface(flags: &RunFlags) -> Result<(), Failure> {
    match &flags.interface {
        Some(device) if !flags.sessions.has_sessions() => Err(Failure::usage(format_args!(
            "--interface `{device}`: expected --target or --config beside it; with --ec2-endpoint \
             alone, sessions name the interface: --network-interface ENI={device}"
        ))),
        _ => Ok(()),
    }
}

/// `--capture pnet` has one thread, no ring and no filter.
fn check_pnet(flags: &RunFlags) -> Result<(), Failure> {
    let refused = |option: &str| {
        Err(Failure::usage(format_args!(
            "{option}: expected no such option with --capture pnet, which has one thread for each \
             interface, no ring and no kernel filter"
        )))
    };
    if flags.workers > 1 {
        return refused(&format!("--workers `{}`", flags.workers));
    }
    if flags.ring_size != RingSize::Auto {
        return refused(&format!("--ring-size {}", flags.ring_size));
    }
    if flags.busy_poll {
        return refused("--busy-poll");
    }
    match flags.kernel_filter {
        KernelFilterMode::Auto => Ok(()),
        KernelFilterMode::Always => refused("--kernel-filter `always`"),
        KernelFilterMode::Never => refused("--kernel-filter `never`"),
    }
}
