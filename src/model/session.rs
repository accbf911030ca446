//! Sessions: a source interface, a filter and a target, in an order.

use std::collections::BTreeMap;

use super::{
    FilterId, NetworkInterfaceId, PacketLength, Rate, SessionId, SessionNumber, TargetId,
    VirtualNetworkId,
};

/// Tags of a resource, by key.
pub type Tags = BTreeMap<String, String>;

/// One session. The names it holds are resolved when the sessions are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The id, where one was given.
    pub id: Option<SessionId>,
    /// The source.
    pub network_interface_id: NetworkInterfaceId,
    /// Where the copies go.
    pub target_id: TargetId,
    /// Which packets are copied.
    pub filter_id: FilterId,
    /// The order among the sessions of the interface, lowest first.
    pub number: SessionNumber,
    /// How much of a frame is copied; the whole frame where it is absent.
    pub packet_length: Option<PacketLength>,
    /// How much of it leaves at the most, live; what is more is shed.
    pub rate_limit: Option<Rate>,
    /// The VXLAN network identifier; drawn from a seed where it is absent.
    pub virtual_network_id: Option<VirtualNetworkId>,
    /// The description, where one was given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Session {
    /// A session that copies whole frames, with an id and a network identifier still to be drawn.
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
