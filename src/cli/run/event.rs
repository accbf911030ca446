//! What the main thread is told by the threads that work for it.

use std::collections::BTreeSet;

use super::receipt::Receipt;
use super::worker_thread::WorkerResult;
use crate::control::TableUpdate;
use crate::io::links::Link;
use crate::io::live::LiveSource;
use crate::model::NetworkInterfaceId;

/// Why a change that comes too late is not in force.
pub(super) const ENDING: &str = "the run is ending";

/// What the main thread is told.
pub(super) enum Event {
    /// Tables changed.
    Tables(TableChange),
    /// A device was opened, or could not be.
    Opened(Opened),
    /// The threads of an interface that has no session any more have ended.
    Ended(Ended),
    /// What the user should know of a change that is in force now.
    InForce(Vec<String>),
}

/// Tables that changed, and who waits for them to be in force.
pub(super) struct TableChange {
    pub(super) updates: Vec<TableUpdate>,
    pub(super) waiting: Vec<Waiting>,
}

/// Somebody who waits until tables are in force.
pub(super) struct Waiting {
    pub(super) touched: BTreeSet<NetworkInterfaceId>,
    /// Whether the interfaces have to be captured, too.
    pub(super) needs_capture: bool,
    pub(super) receipt: Receipt,
}

/// A device that was opened, or could not be.
pub(super) struct Opened {
    pub(super) id: NetworkInterfaceId,
    /// The number of the workers that it was opened for: those of the interface may be others now.
    pub(super) instance: u64,
    pub(super) link: Link,
    pub(super) result: Result<Vec<Box<dyn LiveSource>>, String>,
}

/// Threads that have ended.
pub(super) struct Ended {
    pub(super) instance: u64,
    pub(super) results: Vec<WorkerResult>,
}

impl TableChange {
    /// The change will not be in force.
    pub(super) fn fail(self, error: &str) {
        self.waiting.into_iter().for_each(|one| one.receipt.fail(error));
    }
}
