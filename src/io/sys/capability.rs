//! The capabilities of the process (capabilities(7)).

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{CapabilitySet, capabilities};

/// Whether the calling thread may capture frames in its network namespace. This opens a packet
/// socket that receives nothing: CAP_NET_RAW counts in the user namespace that owns the network
/// namespace, which may differ from that of the process.
pub(crate) fn has_net_raw() -> bool {
    let flags = SocketFlags::CLOEXEC;
    match socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None) {
        Ok(_) => true,
        Err(Errno::PERM | Errno::ACCESS) => false,
        Err(_) => effective().contains(CapabilitySet::NET_RAW),
    }
}

/// The names of the effective capabilities of the calling thread, such as `CAP_NET_RAW`.
#[cfg(any(feature = "cli", test))]
pub(crate) fn effective_names() -> Vec<String> {
    effective().iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

/// The capabilities that the kernel tier needs and the calling thread lacks.
pub(crate) fn missing_capabilities() -> Vec<&'static str> {
    missing(effective())
}

/// CAP_SYS_ADMIN implies CAP_BPF and CAP_PERFMON (capabilities(7)).
fn missing(effective: CapabilitySet) -> Vec<&'static str> {
    let admin = CapabilitySet::SYS_ADMIN;
    let needed = [
        ("CAP_BPF", CapabilitySet::BPF | admin),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ("CAP_PERFMON", CapabilitySet::PERFMON | admin),
    ];
    let missing = needed.iter().filter(|(_, any)| !effective.intersects(*any));
    missing.map(|(name, _)| *name).collect()
}

fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_names_match_the_capability_set() {
        let names = effective_names();
        let named = names.iter().any(|name| name == "CAP_NET_RAW");
        assert_eq!(named, effective().contains(CapabilitySet::NET_RAW));
    }

    #[test]
    fn sys_admin_implies_all_but_net_admin() {
        let none = CapabilitySet::empty();
        assert_eq!(missing(none), ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]);
        assert_eq!(missing(CapabilitySet::SYS_ADMIN), ["CAP_NET_ADMIN"]);
        assert!(missing(CapabilitySet::all()).is_empty());
        assert_eq!(missing_capabilities(), missing(effective()));
    }
}
