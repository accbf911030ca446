//! A target in the form that the mirror table and the loop guard use.

use std::net::SocketAddr;

use crate::model::{Rate, TargetId};

/// A target with resolved addresses, if they are known.
#[derive(Debug, Clone)]
pub struct CompiledTarget {
    /// The id.
    pub id: TargetId,
    /// The address to which copies are sent. Without it, the copies of its sessions are dropped.
    pub address: Option<SocketAddr>,
    /// Further addresses of a load balancer, of the same address family. Flows are balanced over
    /// all addresses.
    pub further_addresses: Vec<SocketAddr>,
    /// For a Gateway Load Balancer endpoint: its id in the GENEVE header of its copies.
    pub gateway_endpoint: Option<u64>,
    /// The longest outer IP packet that reaches it, in bytes.
    pub mtu: Option<u16>,
    /// The highest rate of copies to it; a live mirror drops the excess.
    pub rate_limit: Option<Rate>,
}

impl CompiledTarget {
    /// All addresses; none if the address is unknown.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let further = self.address.iter().flat_map(|_| &self.further_addresses);
        self.address.into_iter().chain(further.copied())
    }
}
