//! The tables of all mirrored interfaces, and the only path by which changes reach the workers.
//!
//! The thread that makes a change (the endpoint's writer, a reload, a background thread) compiles
//! the table and sends it to the workers. The supervisor receives a message only if workers must
//! be started or ended, or if a change waits for the capture of its interface. The tables are
//! locked meanwhile, so every worker receives the changes in the order in which they were made.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::command::{Command, WorkerPort};
use super::message::{Message, RUN_IS_ENDING};
use super::receipt::Receipt;
use super::shared_guard::SharedGuard;
use crate::control::{
    CompileOptions, FullyCompiledTables, InterfaceTable, InterfaceTables, Registry, TableUpdate,
};
use crate::dataplane::{MirrorTable, TableParts};
use crate::model::NetworkInterfaceId;

/// The tables in force. Clones share them.
#[derive(Clone)]
pub(super) struct LiveTables {
    inner: Arc<Mutex<Inner>>,
    guard: SharedGuard,
    messages: Sender<Message>,
}

struct Inner {
    tables: InterfaceTables,
    /// The workers of each interface that has workers.
    workers: HashMap<NetworkInterfaceId, Workers>,
    /// Whether the run is ending, so that changes are rejected.
    is_ending: bool,
    /// Whether tables have changed since pending rules were last searched.
    has_changed: bool,
}

/// The workers of an interface.
struct Workers {
    device: String,
    ports: Vec<WorkerPort>,
    /// The last table that was sent to them.
    table: Arc<MirrorTable>,
}

/// A change that is acknowledged when the workers of the interfaces that it touches have applied
/// their tables.
pub(super) struct WaitingChange {
    pub(super) touched: BTreeSet<NetworkInterfaceId>,
    /// Whether the interfaces must also be captured before the change is acknowledged.
    pub(super) needs_capture: bool,
    pub(super) receipt: Receipt,
}

/// Interfaces whose workers may have to be started or ended, in the order of the configuration,
/// with the receipts of changes that wait for their capture.
#[derive(Default)]
struct Captures(Vec<(NetworkInterfaceId, Vec<Receipt>)>);

impl Captures {
    fn add_waiting(&mut self, id: &NetworkInterfaceId, receipt: &Receipt) {
        match self.0.iter_mut().find(|(known, _)| known == id) {
            Some((_, receipts)) => receipts.push(receipt.clone()),
            None => self.0.push((id.clone(), vec![receipt.clone()])),
        }
    }
}

impl Workers {
    fn send(&mut self, table: Arc<MirrorTable>, receipt: &Receipt) {
        for port in &self.ports {
            port.send(Command::Table(Arc::clone(&table), receipt.clone()));
        }
        self.table = table;
    }

    /// A table of the same interface without sessions, so that its counters are kept.
    fn table_without_sessions(&self) -> Arc<MirrorTable> {
        let parts = TableParts {
            interfaces: self.table.interfaces().to_vec(),
            settings: self.table.settings().clone(),
            ..TableParts::default()
        };
        Arc::new(MirrorTable::reusing(parts, &self.table))
    }
}

impl LiveTables {
    /// Empty tables. `messages` is the sender to the supervisor.
    pub(super) fn new(options: CompileOptions, messages: Sender<Message>) -> Self {
        let tables = InterfaceTables::new(CompileOptions { is_live: true, ..options });
        let guard = SharedGuard::new(Arc::clone(tables.guard()));
        let inner = Inner { tables, workers: HashMap::new(), is_ending: false, has_changed: false };
        Self { inner: Arc::new(Mutex::new(inner)), guard, messages }
    }

    /// The loop guard that all workers share.
    pub(super) const fn guard(&self) -> &SharedGuard {
        &self.guard
    }

    /// Compiles the tables of the `touched` interfaces and sends them to the workers.
    #[cfg(feature = "endpoint")]
    pub(super) fn update(
        &self,
        registry: &Registry,
        touched: BTreeSet<NetworkInterfaceId>,
        waiting: Vec<WaitingChange>,
    ) {
        self.change(waiting, |tables| tables.update(registry, touched));
    }

    /// Replaces the registry.
    pub(super) fn replace(&self, registry: &Registry) {
        self.change(Vec::new(), |tables| tables.replace(registry));
    }

    /// Sends tables to the workers whose rules were compiled in the background.
    pub(super) fn adopt(&self, compiled: FullyCompiledTables) {
        self.change(Vec::new(), |tables| tables.adopt(compiled));
    }

    /// A function that compiles all rules that were added to tables without a full compilation;
    /// none if there are no such rules.
    pub(super) fn compile_pending(&self) -> Option<impl FnOnce() -> FullyCompiledTables + use<>> {
        let partly_compiled = {
            let mut inner = self.locked();
            // An idle run does not search the tables of hundreds of interfaces again and again.
            if !std::mem::take(&mut inner.has_changed) {
                return None;
            }
            inner.tables.partly_compiled()
        };
        (!partly_compiled.is_empty()).then_some(|| FullyCompiledTables::compile(partly_compiled))
    }

    /// All tables, in the order of the configuration.
    pub(super) fn in_order(&self) -> Vec<(NetworkInterfaceId, InterfaceTable)> {
        let inner = self.locked();
        let tables = inner.tables.in_order().into_iter();
        tables.map(|(id, table)| (id.clone(), table.clone())).collect()
    }

    /// The table of an interface; none if it has no session.
    pub(super) fn table(&self, id: &NetworkInterfaceId) -> Option<InterfaceTable> {
        self.locked().tables.table(id).cloned()
    }

    /// Whether workers receive the tables of an interface.
    pub(super) fn has_workers(&self, id: &NetworkInterfaceId) -> bool {
        self.locked().workers.contains_key(id)
    }

    /// Sends the tables of an interface to these workers from now on. They were started with
    /// `table`. Returns false if the interface no longer has a session or has another device.
    pub(super) fn add_workers(
        &self,
        id: &NetworkInterfaceId,
        device: &str,
        table: &Arc<MirrorTable>,
        ports: Vec<WorkerPort>,
    ) -> bool {
        let mut inner = self.locked();
        let Some(current) = inner.tables.table(id).cloned() else { return false };
        if current.device.as_deref() != Some(device) {
            return false;
        }
        let mut workers = Workers { device: device.to_owned(), ports, table: Arc::clone(table) };
        if table.number() != current.table.number() {
            workers.send(current.table, &Receipt::none());
        }
        inner.workers.insert(id.clone(), workers);
        true
    }

    /// Rejects all further changes.
    pub(super) fn end(&self) {
        self.locked().is_ending = true;
    }

    fn change(
        &self,
        waiting: Vec<WaitingChange>,
        change: impl FnOnce(&mut InterfaceTables) -> Vec<TableUpdate>,
    ) {
        let mut inner = self.locked();
        if inner.is_ending {
            // A receipt may call code that reads the tables.
            drop(inner);
            return waiting.into_iter().for_each(|one| one.receipt.fail(RUN_IS_ENDING));
        }
        let updates = change(&mut inner.tables);
        inner.has_changed |= !updates.is_empty();
        // The guard is replaced first, so that copies to a new target are recognised from the
        // first.
        self.guard.replace(inner.tables.guard());
        let mut captures = Captures::default();
        for update in updates {
            let id = update.network_interface_id.clone();
            let waits = waiting.iter().filter(|one| one.touched.contains(&id));
            let receipts = waits.map(|one| one.receipt.clone()).collect();
            if !inner.send(update, &Receipt::all(receipts)) {
                captures.0.push((id, Vec::new()));
            }
        }
        for one in waiting.iter().filter(|one| one.needs_capture) {
            for id in &one.touched {
                captures.add_waiting(id, &one.receipt);
            }
        }
        if !captures.0.is_empty() {
            let changed = Message::Changed(captures.0);
            if let Err(unsent) = self.messages.send(changed) {
                unsent.into_inner().refuse();
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Sends an update to the workers of its interface. Returns false if the supervisor must start
    /// or end workers.
    fn send(&mut self, update: TableUpdate, receipt: &Receipt) -> bool {
        let TableUpdate { network_interface_id: id, table } = update;
        let device = table.as_ref().and_then(|table| table.device.as_ref());
        if let Some(workers) = self.workers.get_mut(&id)
            && device == Some(&workers.device)
            && let Some(table) = table
        {
            workers.send(table.table, receipt);
            return true;
        }
        if let Some(mut workers) = self.workers.remove(&id) {
            let table = workers.table_without_sessions();
            workers.send(table, receipt);
        }
        false
    }
}
