//! Privileges: which capabilities a run keeps of those that it was started with.
//!
//! They are dropped before any other thread starts, because each thread has its own and inherits
//! those of the thread that starts it. The thread that lives in another network namespace starts
//! before, since entering needs CAP_SYS_ADMIN; it gives up the same right after it has entered.

use std::net::UdpSocket;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use socket2::SockRef;

use crate::cli::terminal;

/// Keeps what capturing and marking need, gives up all else for good, and says what is left.
pub(super) fn drop_unneeded(mark: u32) {
    let Some(had) = limit_bounding_set() else { return };
    let mut needed = CapabilitySet::NET_RAW;
    limit_effective(needed, had);
    // SO_MARK wants CAP_NET_ADMIN before Linux 5.17, and CAP_NET_RAW is enough since.
    if !can_set_mark(mark) {
        needed |= CapabilitySet::NET_ADMIN;
    }
    // The first step left the permitted set as it was, so that this one can be made.
    let kept = keep_permanently(needed, had);
    terminal::notice(&format!("rights kept: {}", names(kept)));
}

/// The same for the calling thread, which has entered the namespace of the interfaces: it opens
/// packet sockets there and marks nothing.
pub(super) fn drop_in_namespace() {
    if let Some(had) = limit_bounding_set() {
        keep_permanently(CapabilitySet::NET_RAW, had);
    }
}

/// No program that this thread starts can have more than CAP_NET_RAW. Returns what the thread
/// itself has.
fn limit_bounding_set() -> Option<CapabilitySets> {
    let had = capabilities(None).ok()?;
    for capability in CapabilitySet::all().iter().filter(|one| *one != CapabilitySet::NET_RAW) {
        // Only who may change capabilities may do that; others have little to give up.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    let _ = set_no_new_privs(true);
    Some(had)
}

/// Uses no more than `needed` from now on.
fn limit_effective(needed: CapabilitySet, had: CapabilitySets) {
    let effective = needed & had.permitted;
    // Where that is refused nothing is worse than before.
    let _ = set_capabilities(None, CapabilitySets { effective, ..had });
}

fn keep_permanently(needed: CapabilitySet, had: CapabilitySets) -> CapabilitySet {
    let kept = needed & had.permitted;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    match set_capabilities(None, sets) {
        Ok(()) => kept,
        Err(_) => had.effective,
    }
}

fn can_set_mark(mark: u32) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0");
    socket.is_ok_and(|socket| SockRef::from(&socket).set_mark(mark).is_ok())
}

fn names(set: CapabilitySet) -> String {
    let names: Vec<String> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
