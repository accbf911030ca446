//! A target in the form that the mirror table and the loop guard use.

use std::net::SocketAddr;

use crate::model::{Rate, TargetId};

/// A target as it was compiled.
#[derive(Debug, Clone)]
pub struct CompiledTarget {
    /// The id.
    pub id: TargetId,
    /// Where its copies are sent.
    pub address: SocketAddr,
    /// The other addresses of a load balancer, of the same family; flows are spread over all.
    pub further_addresses: Vec<SocketAddr>,
    /// Of a Gateway Load Balancer endpoint: its id in GENEVE, which its copies are wrapped in.
    pub gateway_endpoint: Option<u64>,
    /// The longest outer IP packet it takes, in bytes.
    pub mtu: Option<u16>,
    /// How much it takes at the most; a live mirror sheds the rest.
    pub rate_limit: Option<Rate>,
}
