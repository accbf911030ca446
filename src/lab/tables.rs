//! The mirror tables of a laboratory, one for each network interface with sessions.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::target_monitor::TargetMonitor;
use crate::control::{CompileOptions, InterfaceTables, Registry};
use crate::dataplane::MirrorTable;
use crate::ec2::{Publish, PublishedChange};
use crate::model::NetworkInterfaceId;

/// The tables that live mirroring would use. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct LabTables(Arc<Mutex<InterfaceTables>>);

impl LabTables {
    pub(super) fn new(options: CompileOptions) -> Self {
        Self(Arc::new(Mutex::new(InterfaceTables::new(options))))
    }

    /// Compiles the tables of all interfaces.
    pub(super) fn replace(&self, registry: &Registry) {
        self.locked().replace(registry);
    }

    /// The table of an interface, or `None` if it has no sessions.
    pub(super) fn table(&self, id: &NetworkInterfaceId) -> Option<Arc<MirrorTable>> {
        self.locked().table(id).map(|known| Arc::clone(&known.table))
    }

    fn locked(&self) -> MutexGuard<'_, InterfaceTables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies changes of the account to the tables.
pub(super) struct LabPublisher {
    tables: LabTables,
    monitor: TargetMonitor,
}

impl LabPublisher {
    pub(super) const fn new(tables: LabTables, monitor: TargetMonitor) -> Self {
        Self { tables, monitor }
    }
}

impl Publish for LabPublisher {
    /// Compiles the tables before it returns. A play that is in progress takes its new table with
    /// its next burst.
    fn publish(&mut self, registry: &Registry, changes: Vec<PublishedChange>) {
        let touched = changes.iter().flat_map(|change| change.touched.iter().cloned());
        self.tables.locked().update(registry, touched.collect::<BTreeSet<_>>());
        self.monitor.update(registry);
        changes.into_iter().for_each(|change| (change.done)(Ok(())));
    }
}
