//! Rejects options of `run` that would have no effect, either always or with the other options.

use super::flags::{CaptureFlag, KernelFilterMode, RunFlags, SendMode, TierFlag};
use crate::cli::exit::Failure;
use crate::runtime::RingSize;

/// Rejects an option that would have no effect.
pub(super) fn check(flags: &RunFlags) -> Result<(), Failure> {
    if let Some(direction) = flags.sessions.direction() {
        return Err(Failure::usage(format_args!(
            "--direction `{direction}`: expected no --direction, because the kernel reports the \
             direction of each frame of a live interface"
        )));
    }
    check_interface(flags)?;
    if flags.capture == CaptureFlag::Pnet {
        check_ring_options(flags, PNET)?;
    }
    if flags.tier == TierFlag::Kernel { check_kernel_tier(flags) } else { Ok(()) }
}

/// `--interface` is the device of the sessions of `--config` or `--target`, so it needs one of
/// them. The session of `--target` has no other device.
fn check_interface(flags: &RunFlags) -> Result<(), Failure> {
    match &flags.interface {
        Some(device) if !flags.sessions.has_sessions() => Err(Failure::usage(format_args!(
            "--interface `{device}`: expected --target or --config beside it; with --ec2-endpoint \
             alone, sessions name the interface: --network-interface ENI={device}"
        ))),
        None if flags.sessions.has_target() => Err(Failure::usage(
            "--interface is missing: expected --interface DEVICE beside --target, the Linux \
             interface to mirror; `traffic-mirror interfaces` lists them",
        )),
        _ => Ok(()),
    }
}

/// Why options of the ring have no effect with pnet.
const PNET: &str =
    "--capture pnet, which has one thread for each interface, no ring and no kernel filter";

/// Why options of the ring have no effect in the kernel tier.
const KERNEL: &str =
    "--tier kernel, which has one thread for each interface, no ring and no kernel filter";

/// The kernel tier has no ring, and copies do not pass user space.
fn check_kernel_tier(flags: &RunFlags) -> Result<(), Failure> {
    let refused = |option: &str, why: &str| {
        Err(Failure::usage(format_args!(
            "{option}: not available with --tier kernel, because {why}; expected --tier auto or \
             --tier ring"
        )))
    };
    if flags.capture == CaptureFlag::Pnet {
        return refused("--capture `pnet`", "no frame passes user space");
    }
    if flags.impair.impairments().is_some() {
        return refused("--impair", "faults are injected in user space");
    }
    if let Some(name) = &flags.netns {
        let option = format!("--netns `{name}`");
        return refused(&option, "it needs the interfaces in the namespace that sends the copies");
    }
    if flags.egress == SendMode::Ip {
        return refused("--egress `ip`", "its copies bypass the firewall of this host");
    }
    check_ring_options(flags, KERNEL)
}

/// Rejects options of the ring where there is none, as `why` says.
fn check_ring_options(flags: &RunFlags, why: &str) -> Result<(), Failure> {
    let refused =
        |option: &str| Err(Failure::usage(format_args!("{option}: not available with {why}")));
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
