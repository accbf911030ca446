//! The loop guard: frames that are copies on their way to a target are never mirrored again.
//!
//! A mirror of the interface that its copies leave by would otherwise copy each copy, without
//! end. It is the second guard: the first one is a mark on the sending sockets, which a filter in
//! the kernel looks for. This one also knows copies that come by on another interface.

use std::net::{IpAddr, SocketAddr};

use super::flow_hash::FIRST_SOURCE_PORT;
use super::flow_key::FlowKey;
use super::table::TableParts;

const UDP: u16 = 17;

/// Knows copies by their outer headers: UDP from one of the source ports that copies have to the
/// address and port of a target.
#[derive(Debug)]
pub(super) struct LoopGuard {
    targets: Vec<(IpAddr, u16)>,
}

impl LoopGuard {
    pub(super) fn new(parts: &TableParts) -> Self {
        let guarded = parts.targets.iter().filter(|_| parts.is_loop_guarded);
        let addresses = guarded
            .flat_map(|target| [&target.address].into_iter().chain(&target.further_addresses));
        let mut targets: Vec<_> = addresses.map(|address| ends(*address)).collect();
        targets.sort_unstable();
        targets.dedup();
        Self { targets }
    }

    #[inline]
    pub(super) fn is_own(&self, key: &FlowKey) -> bool {
        !self.targets.is_empty() && key.source_port >= FIRST_SOURCE_PORT && self.leads_to(key)
    }

    #[cold]
    fn leads_to(&self, key: &FlowKey) -> bool {
        let end = (key.destination(), key.destination_port);
        key.protocol == UDP && key.has_ports && self.targets.binary_search(&end).is_ok()
    }
}

const fn ends(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip(), address.port())
}
