//! The mirror table: everything that decides about a packet, compiled once and never changed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::model::{
    Filter, NetworkInterface, PacketLength, SessionId, SessionNumber, TargetId, VirtualNetworkId,
};

/// A session as it was compiled, with its names for reports.
#[derive(Debug, Clone)]
pub struct SessionEntry {
    /// The id; drawn where the user gave none.
    pub id: SessionId,
    /// The order among the sessions of its interface.
    pub number: SessionNumber,
    /// Index of the source in [`MirrorTable::interfaces`].
    pub interface: u32,
    /// Index of the target in [`MirrorTable::targets`].
    pub target: u32,
    /// Which packets it takes.
    pub filter: Arc<Filter>,
    /// How much of a frame it copies, where the user or AWS's default limits it.
    pub packet_length: Option<PacketLength>,
    /// The network identifier; drawn where the user gave none.
    pub virtual_network_id: VirtualNetworkId,
    /// The outer source address.
    pub source_address: IpAddr,
}

/// A source interface as it was compiled.
#[derive(Debug, Clone)]
pub struct InterfaceEntry {
    /// The interface as the user named it.
    pub interface: Arc<NetworkInterface>,
}

/// A target as it was compiled.
#[derive(Debug, Clone)]
pub struct TargetEntry {
    /// The id.
    pub id: TargetId,
    /// Where its copies are sent.
    pub address: SocketAddr,
    /// The longest outer IP packet it takes.
    pub mtu: Option<u16>,
}

/// Everything that decides about a packet.
pub struct MirrorTable {
    interfaces: Vec<InterfaceEntry>,
    sessions: Vec<SessionEntry>,
    targets: Vec<TargetEntry>,
}

impl MirrorTable {
    /// The interfaces, in the order of the configuration.
    #[must_use]
    pub fn interfaces(&self) -> &[InterfaceEntry] {
        &self.interfaces
    }

    /// The sessions: interface by interface, each in the order in which they are asked.
    #[must_use]
    pub fn sessions(&self) -> &[SessionEntry] {
        &self.sessions
    }

    /// The targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> &[TargetEntry] {
        &self.targets
    }
}
