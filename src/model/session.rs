//! Sessions: each connects a source interface, a filter and a target.

use std::collections::BTreeMap;

use super::{
    FilterId, NetworkInterfaceId, PacketLength, Rate, SessionId, SessionNumber, TargetId,
    VirtualNetworkId,
};

/// Tags of a resource, by key.
pub type Tags = BTreeMap<String, String>;

/// One session. Its ids are resolved when the sessions are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The id, if given.
    pub id: Option<SessionId>,
    /// The mirrored network interface.
    pub network_interface_id: NetworkInterfaceId,
    /// The target of the copies.
    pub target_id: TargetId,
    /// The filter that selects packets.
    pub filter_id: FilterId,
    /// The SessionNumber: the evaluation order among the sessions of the interface, lowest first.
    pub number: SessionNumber,
    /// The longest copy in bytes; `None` copies the complete frame.
    pub packet_length: Option<PacketLength>,
    /// The highest rate of its copies in live mirroring; the excess is dropped.
    pub rate_limit: Option<Rate>,
    /// The VXLAN network identifier; generated from a seed if absent.
    pub virtual_network_id: Option<VirtualNetworkId>,
    /// The description, if given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Session {
    /// A session that copies complete frames; its id and network identifier are generated later.
    #[must_use]
    pub fn new(
        network_interface_id: NetworkInterfaceId,
        number: SessionNumber,
        filter_id: FilterId,
        target_id: TargetId,
    ) -> Self {
        Self {
            id: None,
            network_interface_id,
            target_id,
            filter_id,
            number,
            packet_length: None,
            rate_limit: None,
            virtual_network_id: None,
            description: None,
            tags: Tags::default(),
        }
    }
}
