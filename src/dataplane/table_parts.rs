//! The input from which a mirror table is compiled: sessions and targets, which refer to each other
//! by index, and settings.

use std::net::IpAddr;
use std::sync::Arc;

use super::compiled_target::CompiledTarget;
use super::index::{InterfaceIndex, TargetIndex};
use super::loop_guard::LoopGuard;
use crate::model::{
    Filter, NetworkInterface, PacketLength, Rate, SessionId, SessionNumber, Settings,
    VirtualNetworkId,
};

/// A session whose references are resolved to indices, with its id for reports.
#[derive(Debug, Clone)]
pub struct CompiledSession {
    /// The id; generated if the user gave none.
    pub id: SessionId,
    /// The SessionNumber: the evaluation order among the sessions of the interface.
    pub number: SessionNumber,
    /// The source.
    pub interface: InterfaceIndex,
    /// The target.
    pub target: TargetIndex,
    /// The filter that selects packets.
    pub filter: Arc<Filter>,
    /// The longest copy in bytes, if the user or AWS's default limits it.
    pub packet_length: Option<PacketLength>,
    /// The VXLAN network identifier; generated if the user gave none.
    pub virtual_network_id: VirtualNetworkId,
    /// The outer source address.
    pub source_address: IpAddr,
    /// The highest rate of its copies; a live mirror drops the excess.
    pub rate_limit: Option<Rate>,
}

/// The input of a table. Sessions are grouped by interface, in the order of the interfaces, and
/// each group is in evaluation order.
#[derive(Debug, Clone, Default)]
pub struct TableParts {
    /// Settings that apply to all sessions.
    pub settings: Settings,
    /// The mirrored interfaces.
    pub interfaces: Vec<Arc<NetworkInterface>>,
    /// The targets of the sessions.
    pub targets: Vec<CompiledTarget>,
    /// The sessions, in evaluation order.
    pub sessions: Vec<CompiledSession>,
    /// Recognises copies of this process and copies of copies. A live mirror must not mirror them,
    /// or it would do so without end. Without a guard they are mirrored like other frames.
    pub loop_guard: Option<Arc<LoopGuard>>,
}
