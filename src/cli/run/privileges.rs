//! Drops the capabilities that a run does not need.
//!
//! This happens before other threads start, because each thread has its own capabilities and
//! inherits those of its creator. The thread of another network namespace starts earlier, because
//! entering a namespace needs CAP_SYS_ADMIN; it drops its capabilities after it has entered.

use std::net::UdpSocket;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use socket2::SockRef;

use crate::cli::terminal;
use crate::io::sandbox::KernelTier;

/// Keeps the capabilities for capturing and for setting `mark`, drops all others permanently, and
/// prints which are kept. With the kernel tier, its capabilities are kept too.
pub(super) fn drop_unneeded(mark: u32, tier: KernelTier) {
    let Some(initial) = limit_bounding_set() else { return };
    let mut needed = needed_for_capture(tier);
    limit_effective(needed, initial);
    // SO_MARK needs CAP_NET_ADMIN before Linux 5.17; since then CAP_NET_RAW is sufficient.
    if !can_set_mark(mark) {
        needed |= CapabilitySet::NET_ADMIN;
    }
    // The first step kept the permitted set, so that CAP_NET_ADMIN can still be kept here.
    let kept = keep_permanently(needed, initial);
    terminal::notice(&format!("capabilities kept: {}", names(kept)));
}

/// Does the same for the thread that has entered the network namespace of the interfaces, which
/// opens packet sockets and sets no mark.
pub(super) fn drop_in_namespace(tier: KernelTier) {
    if let Some(initial) = limit_bounding_set() {
        keep_permanently(needed_for_capture(tier), initial);
    }
}

/// The kernel tier loads programs and changes devices after the start, too.
fn needed_for_capture(tier: KernelTier) -> CapabilitySet {
    match tier {
        KernelTier::Denied => CapabilitySet::NET_RAW,
        KernelTier::Allowed => {
            CapabilitySet::NET_RAW
                | CapabilitySet::BPF
                | CapabilitySet::NET_ADMIN
                | CapabilitySet::PERFMON
        }
    }
}

/// Limits the bounding set, so that a program that this thread executes has at most CAP_NET_RAW.
/// Returns the capabilities of the thread.
fn limit_bounding_set() -> Option<CapabilitySets> {
    let initial = capabilities(None).ok()?;
    for capability in CapabilitySet::all().iter().filter(|one| *one != CapabilitySet::NET_RAW) {
        // Needs CAP_SETPCAP. A process without it has few capabilities to drop.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    let _ = set_no_new_privs(true);
    Some(initial)
}

/// Reduces the effective set to `needed`, and keeps the permitted set.
fn limit_effective(needed: CapabilitySet, initial: CapabilitySets) {
    let effective = needed & initial.permitted;
    // If this fails, the capabilities stay as they were.
    let _ = set_capabilities(None, CapabilitySets { effective, ..initial });
}

/// Reduces the permitted and effective sets to `needed` permanently. Returns the capabilities that
/// the thread has now.
fn keep_permanently(needed: CapabilitySet, initial: CapabilitySets) -> CapabilitySet {
    let kept = needed & initial.permitted;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    match set_capabilities(None, sets) {
        Ok(()) => kept,
        Err(_) => initial.effective,
    }
}

fn can_set_mark(mark: u32) -> bool {
    // Not 127.0.0.1, because the device lo may be down in a network namespace.
    let socket = UdpSocket::bind("0.0.0.0:0");
    socket.is_ok_and(|socket| SockRef::from(&socket).set_mark(mark).is_ok())
}

fn names(set: CapabilitySet) -> String {
    let names: Vec<String> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
