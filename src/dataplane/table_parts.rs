//! What a mirror table is compiled from: sessions and targets by index, and settings.

use std::net::IpAddr;
use std::sync::Arc;

use super::compiled_target::CompiledTarget;
use super::loop_guard::LoopGuard;
use crate::model::{
    Filter, NetworkInterface, PacketLength, Rate, SessionId, SessionNumber, Settings,
    VirtualNetworkId,
};

/// A session as it was compiled, with its names for reports.
#[derive(Debug, Clone)]
pub struct CompiledSession {
    /// The id; drawn where the user gave none.
    pub id: SessionId,
    /// The order among the sessions of its interface.
    pub number: SessionNumber,
    /// Index of the source in [`MirrorTable::interfaces`](super::MirrorTable::interfaces).
    pub interface: u32,
    /// Index of the target in [`MirrorTable::targets`](super::MirrorTable::targets).
    pub target: u32,
    /// Which packets it takes.
    pub filter: Arc<Filter>,
    /// How much of a frame it copies, where the user or AWS's default limits it.
    pub packet_length: Option<PacketLength>,
    /// The network identifier; drawn where the user gave none.
    pub virtual_network_id: VirtualNetworkId,
    /// The outer source address.
    pub source_address: IpAddr,
    /// How much of it leaves at the most; a live mirror sheds the rest.
    pub rate_limit: Option<Rate>,
}

/// What a table is made of. Sessions are grouped by interface, in the order of the interfaces,
/// and in each group in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct TableParts {
    /// What holds for all sessions.
    pub settings: Settings,
    /// The sources.
    pub interfaces: Vec<Arc<NetworkInterface>>,
    /// Where copies go.
    pub targets: Vec<CompiledTarget>,
    /// Who takes what, in the order of asking.
    pub sessions: Vec<CompiledSession>,
    /// What recognises our own copies and copies of copies, which a live mirror must not mirror:
    /// it would mirror them without end. Without a guard they are mirrored like other frames.
    pub loop_guard: Option<Arc<LoopGuard>>,
}
