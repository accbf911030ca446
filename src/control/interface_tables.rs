//! One mirror table for each network interface that has sessions, and updates of these tables.
//!
//! A live worker mirrors one interface, so its table is independent of other interfaces: a change
//! compiles only the tables of the interfaces that it affects. The tables share the compiled rules
//! of equal filters, and the loop guard, which contains the targets of all interfaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Registry;
use super::compile::{CompileOptions, parts_of_interface};
use crate::dataplane::{CompiledTarget, LoopGuard, MirrorTable, RuleCache, TableParts};
use crate::model::NetworkInterfaceId;

/// The tables of all interfaces that have sessions.
#[derive(Debug)]
pub struct InterfaceTables {
    options: CompileOptions,
    tables: BTreeMap<NetworkInterfaceId, InterfaceTable>,
    guard: Arc<LoopGuard>,
    /// The compiled rules of filters that several tables use.
    rules: RuleCache,
}

/// The table of an interface.
#[derive(Debug, Clone)]
pub struct InterfaceTable {
    /// The position of the interface in the configuration, which orders reports.
    pub position: usize,
    /// The name of the Linux device, if it is known.
    pub device: Option<String>,
    /// The mirror table, in which the interface has index 0.
    pub table: Arc<MirrorTable>,
}

/// The new table of an interface.
#[derive(Debug, Clone)]
pub struct TableUpdate {
    /// The interface.
    pub network_interface_id: NetworkInterfaceId,
    /// The table, or `None` if the interface has no sessions left.
    pub table: Option<InterfaceTable>,
}

/// Tables whose rules are completely compiled, which happens in the background after a change.
#[derive(Debug)]
pub struct FullyCompiledTables {
    /// For each interface, the number of the table before compilation and the compiled table.
    tables: Vec<(NetworkInterfaceId, u64, MirrorTable)>,
    rules: RuleCache,
}

impl InterfaceTables {
    /// An empty set of tables. Tables for live interfaces have a loop guard, which those for captures
    /// do not need.
    #[must_use]
    pub fn new(options: CompileOptions) -> Self {
        Self {
            options,
            tables: BTreeMap::new(),
            guard: Arc::new(LoopGuard::new([].iter())),
            rules: RuleCache::default(),
        }
    }

    /// Compiles the tables of these interfaces and returns them, with `None` for an interface whose
    /// last session was removed. Every session of the registry must have a network identifier; see
    /// [`with_network_ids`](super::with_network_ids).
    pub fn update(
        &mut self,
        registry: &Registry,
        touched: impl IntoIterator<Item = NetworkInterfaceId>,
    ) -> Vec<TableUpdate> {
        let new: Vec<_> = touched.into_iter().map(|id| self.parts(registry, id)).collect();
        if new.iter().any(|(id, parts)| self.has_other_targets(id, parts.as_ref())) {
            self.update_guard(&new);
        }
        new.into_iter().map(|(id, parts)| self.insert(registry, id, parts)).collect()
    }

    /// Compiles the tables of another registry, in the order of its interfaces, and removes the
    /// tables of other interfaces.
    pub fn replace(&mut self, registry: &Registry) -> Vec<TableUpdate> {
        let has_session = |id: &NetworkInterfaceId| registry.sessions_of(id).next().is_some();
        let removed = self.tables.keys().filter(|id| !has_session(id)).cloned();
        let new = registry.sources().map(|interface| interface.id().clone());
        let touched: Vec<_> = removed.chain(new).collect();
        self.update(registry, touched)
    }

    /// The table of an interface, or `None` if it has no sessions.
    #[must_use]
    pub fn table(&self, id: &NetworkInterfaceId) -> Option<&InterfaceTable> {
        self.tables.get(id)
    }

    /// All tables, in the order of the configuration.
    #[must_use]
    pub fn in_order(&self) -> Vec<(&NetworkInterfaceId, &InterfaceTable)> {
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(_, table)| table.position);
        tables
    }

    /// The loop guard, which recognises copies to the targets of all sessions.
    #[must_use]
    pub const fn guard(&self) -> &Arc<LoopGuard> {
        &self.guard
    }

    /// The tables with changed rules that are not yet compiled together with the others.
    #[must_use]
    pub fn partly_compiled(&self) -> Vec<(NetworkInterfaceId, Arc<MirrorTable>)> {
        let partly_compiled = self.tables.iter().filter(|(_, one)| !one.table.is_fully_compiled());
        partly_compiled.map(|(id, one)| (id.clone(), Arc::clone(&one.table))).collect()
    }

    /// Replaces tables by their completely compiled versions. If a table has changed meanwhile, the
    /// changes are applied on top of the compiled version.
    pub fn adopt(&mut self, compiled: FullyCompiledTables) -> Vec<TableUpdate> {
        let Self { tables, rules, .. } = self;
        rules.merge(compiled.rules);
        let updates = compiled.tables.into_iter().filter_map(|(id, number, table)| {
            let known = tables.get_mut(&id)?;
            let is_unchanged = known.table.number() == number;
            let table = if is_unchanged { table } else { known.table.rebased(&table, rules) };
            known.table = Arc::new(table);
            Some(TableUpdate { network_interface_id: id, table: Some(known.clone()) })
        });
        updates.collect()
    }

    /// The parts of a table, or `None` if the interface has no sessions.
    fn parts(
        &self,
        registry: &Registry,
        id: NetworkInterfaceId,
    ) -> (NetworkInterfaceId, Option<TableParts>) {
        let has_session = registry.sessions_of(&id).next().is_some();
        let parts = has_session.then(|| parts_of_interface(registry, &self.options, &id)).flatten();
        (id, parts)
    }

    fn has_other_targets(&self, id: &NetworkInterfaceId, parts: Option<&TableParts>) -> bool {
        let now = parts.map_or(&[][..], |parts| &parts.targets);
        let before = self.tables.get(id).map_or(&[][..], |known| known.table.targets());
        now.len() != before.len()
            || now.iter().zip(before).any(|(now, before)| !has_same_endpoint(now, before))
    }

    /// Replaces the loop guard if its addresses change. `new` are the changed tables.
    fn update_guard(&mut self, new: &[(NetworkInterfaceId, Option<TableParts>)]) {
        let is_other = |id: &NetworkInterfaceId| new.iter().all(|(changed, _)| changed != id);
        let others = self.tables.iter().filter(|(id, _)| is_other(id));
        let others = others.flat_map(|(_, known)| known.table.targets());
        let new = new.iter().filter_map(|(_, parts)| parts.as_ref());
        let guard = LoopGuard::new(others.chain(new.flat_map(|parts| &parts.targets)));
        if guard != *self.guard {
            self.guard = Arc::new(guard);
        }
    }

    fn insert(
        &mut self,
        registry: &Registry,
        id: NetworkInterfaceId,
        parts: Option<TableParts>,
    ) -> TableUpdate {
        let known = self.tables.remove(&id);
        let table = parts.map(|parts| {
            let loop_guard = self.options.is_live.then(|| Arc::clone(&self.guard));
            let parts = TableParts { loop_guard, ..parts };
            let earlier = known.as_ref().map(|known| &*known.table);
            InterfaceTable {
                position: registry.position_of_interface(&id).unwrap_or(usize::MAX),
                device: registry.network_interface(&id).and_then(|one| one.device.clone()),
                table: Arc::new(MirrorTable::with_rule_cache(parts, earlier, &mut self.rules)),
            }
        });
        if let Some(table) = &table {
            self.tables.insert(id.clone(), table.clone());
        }
        TableUpdate { network_interface_id: id, table }
    }
}

impl FullyCompiledTables {
    /// Compiles all rules of these tables. The time grows with the number of rules.
    #[must_use]
    pub fn compile(partly_compiled: Vec<(NetworkInterfaceId, Arc<MirrorTable>)>) -> Self {
        let mut rules = RuleCache::default();
        let tables = partly_compiled.into_iter().filter_map(|(id, table)| {
            let compiled = table.fully_compiled_with_cache(&mut rules)?;
            Some((id, table.number(), compiled))
        });
        Self { tables: tables.collect(), rules }
    }
}

/// Whether the loop guard recognises copies to both targets in the same way.
fn has_same_endpoint(one: &CompiledTarget, other: &CompiledTarget) -> bool {
    let is_gateway = |entry: &CompiledTarget| entry.gateway_endpoint.is_some();
    one.address == other.address
        && one.further_addresses == other.further_addresses
        && is_gateway(one) == is_gateway(other)
}

#[cfg(test)]
mod tests;
