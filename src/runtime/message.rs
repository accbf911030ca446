//! Messages to the supervisor's thread.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::receipt::Receipt;
use super::snapshot::Snapshot;
use super::worker_thread::WorkerResult;
use crate::control::FullyCompiledTables;
use crate::io::links::Link;
use crate::io::live::LiveSource;
use crate::model::NetworkInterfaceId;

/// Why a change that comes too late is not in force.
pub(super) const RUN_IS_ENDING: &str = "the run is ending";

/// What the supervisor is to do, or what has happened.
pub(super) enum Message {
    /// Interfaces have their first session, none any more, or another device. The receipts are of
    /// changes that wait until the interface is captured.
    Changed(Vec<(NetworkInterfaceId, Vec<Receipt>)>),
    /// A device was opened, or could not be.
    Opened(OpenedDevice),
    /// The threads of an interface that has no session any more have ended.
    Ended(EndedWorkers),
    /// Links of the host came, went or changed.
    LinksChanged,
    /// Rules were compiled in the background.
    Settled(FullyCompiledTables),
    /// The status of all workers was read.
    StatusRead(RunStatus),
    /// End.
    Stop,
}

/// A device that was opened, or could not be.
pub(super) struct OpenedDevice {
    pub(super) id: NetworkInterfaceId,
    /// The number of the workers that it was opened for: those of the interface may be others now.
    pub(super) instance: u64,
    pub(super) link: Link,
    pub(super) result: Result<Vec<Box<dyn LiveSource>>, String>,
}

/// Threads that have ended.
pub(super) struct EndedWorkers {
    pub(super) instance: u64,
    pub(super) results: Vec<WorkerResult>,
}

/// The tunnels that copies leave through: the target's address and the name of the device.
pub(super) type Tunnels = BTreeSet<(SocketAddr, String)>;

/// The status of all workers and of the routes to the targets.
pub(super) struct RunStatus {
    pub(super) snapshot: Snapshot,
    pub(super) tunnels: Tunnels,
}

impl Message {
    /// The message comes too late: changes that wait for it are answered with an error.
    pub(super) fn refuse(self) {
        if let Self::Changed(changed) = self {
            let receipts = changed.into_iter().flat_map(|(_, receipts)| receipts);
            receipts.for_each(|receipt| receipt.fail(RUN_IS_ENDING));
        }
    }
}
