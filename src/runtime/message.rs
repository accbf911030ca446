//! Messages to the supervisor's thread.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;

use super::kernel_programs::ProgramsReport;
use super::receipt::Receipt;
use super::snapshot::Snapshot;
use super::worker_thread::WorkerResult;
use crate::control::FullyCompiledTables;
use crate::io::links::Link;
use crate::io::live::LiveSource;
use crate::model::NetworkInterfaceId;

/// The error of a change that arrives after the run has begun to end.
pub(super) const RUN_IS_ENDING: &str = "the run is ending";

/// A message to the supervisor's thread.
pub(super) enum Message {
    /// Interfaces have their first session, no session any more, or another device. The receipts
    /// belong to changes that wait until the interface is captured.
    Changed(Vec<(NetworkInterfaceId, Vec<Receipt>)>),
    /// A device was opened or failed to open.
    Opened(OpenedDevice),
    /// The threads of an interface without a session have ended.
    Ended(EndedWorkers),
    /// A worker reports about the programs of its interface.
    Programs(NetworkInterfaceId, u64, ProgramsReport),
    /// Links of the host were added, removed or changed.
    LinksChanged,
    /// The rules of all tables were compiled in the background.
    TablesCompiled(FullyCompiledTables),
    /// The status of all workers was read.
    StatusRead(RunStatus),
    /// End the run.
    Stop,
}

/// A device that was opened or failed to open.
pub(super) struct OpenedDevice {
    pub(super) id: NetworkInterfaceId,
    /// The instance of the workers that it was opened for. The interface may have other workers
    /// now.
    pub(super) instance: u64,
    pub(super) link: Link,
    pub(super) result: Result<Vec<Box<dyn LiveSource>>, String>,
}

/// The results of worker threads that have ended.
pub(super) struct EndedWorkers {
    pub(super) instance: u64,
    pub(super) results: Vec<WorkerResult>,
}

/// The tunnels that copies leave through: the target's address and the name of the device.
pub(super) type Tunnels = BTreeSet<(SocketAddr, String)>;

/// The status of all workers and of the routes to the targets.
pub(super) struct RunStatus {
    pub(super) snapshot: Snapshot,
    /// The addresses of the targets of all sessions.
    pub(super) targets: HashSet<SocketAddr>,
    pub(super) tunnels: Tunnels,
}

impl Message {
    /// Discards the message because the run is ending. Waiting changes fail with an error.
    pub(super) fn refuse(self) {
        if let Self::Changed(changed) = self {
            let receipts = changed.into_iter().flat_map(|(_, receipts)| receipts);
            receipts.for_each(|receipt| receipt.fail(RUN_IS_ENDING));
        }
    }
}
