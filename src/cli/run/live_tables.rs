//! The tables of all mirrored interfaces, and the one way by which changes of them reach the workers.
//!
//! Tables are compiled on the thread that has the change: the endpoint's writer, the main thread
//! after a reload, a background thread. The main thread receives all changes in the order in which
//! they were made, because they are sent while the tables are locked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::error::SendError;

use super::event::{ENDING, Event, TableChange, Waiting};
use super::receipt::Receipt;
use super::shared_guard::SharedGuard;
use crate::control::{
    CompileOptions, InterfaceTable, InterfaceTables, Registry, SettledTables, TableUpdate,
};
use crate::model::NetworkInterfaceId;

/// The tables in force. Clones share them.
#[derive(Clone)]
pub(super) struct LiveTables {
    tables: Arc<Mutex<InterfaceTables>>,
    guard: SharedGuard,
    events: UnboundedSender<Event>,
}

impl LiveTables {
    /// No tables yet; changes are sent as events.
    pub(super) fn new(options: CompileOptions, events: UnboundedSender<Event>) -> Self {
        let tables = InterfaceTables::new(options);
        let guard = SharedGuard::new(Arc::clone(tables.guard()));
        Self { tables: Arc::new(Mutex::new(tables)), guard, events }
    }

    /// The loop guard that all workers share.
    pub(super) const fn guard(&self) -> &SharedGuard {
        &self.guard
    }

    /// Compiles the tables of these interfaces anew.
    pub(super) fn update(
        &self,
        registry: &Registry,
        touched: BTreeSet<NetworkInterfaceId>,
        waiting: Vec<Waiting>,
    ) {
        self.change(waiting, |tables| tables.update(registry, touched));
    }

    /// The same, because of the devices of this host: the notes are shown when the tables are in
    /// force.
    pub(super) fn follow(
        &self,
        registry: &Registry,
        touched: BTreeSet<NetworkInterfaceId>,
        notes: Vec<String>,
    ) {
        let events = self.events.clone();
        // Where the run is ending, nobody needs them.
        let show = move |_| drop(events.send(Event::InForce(notes)));
        let receipt = Receipt::new(show);
        let waiting = Waiting { touched: touched.clone(), needs_capture: false, receipt };
        self.update(registry, touched, vec![waiting]);
    }

    /// Goes on with another registry.
    pub(super) fn replace(&self, registry: &Registry) {
        self.change(Vec::new(), |tables| tables.replace(registry));
    }

    /// Puts tables in force whose rules were compiled in the background.
    pub(super) fn adopt(&self, settled: SettledTables) {
        self.change(Vec::new(), |tables| tables.adopt(settled));
    }

    /// Compiles rules that stand beside their tables; nothing where there are none.
    pub(super) fn settle(&self) -> Option<impl FnOnce() -> SettledTables + use<>> {
        let unsettled = self.locked().unsettled();
        (!unsettled.is_empty()).then_some(|| SettledTables::compile(unsettled))
    }

    /// All tables, in the order of the configuration.
    pub(super) fn in_order(&self) -> Vec<(NetworkInterfaceId, InterfaceTable)> {
        let tables = self.locked();
        tables.in_order().into_iter().map(|(id, table)| (id.clone(), table.clone())).collect()
    }

    fn change(
        &self,
        waiting: Vec<Waiting>,
        change: impl FnOnce(&mut InterfaceTables) -> Vec<TableUpdate>,
    ) {
        let mut tables = self.locked();
        let updates = change(&mut tables);
        // The guard first: copies to a new target are recognised before the first of them leaves.
        self.guard.replace(tables.guard());
        if let Err(SendError(Event::Tables(unsent))) =
            self.events.send(Event::Tables(TableChange { updates, waiting }))
        {
            unsent.fail(ENDING);
        }
    }

    fn locked(&self) -> MutexGuard<'_, InterfaceTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
