//! Reports targets whose address is not known, once, and again when it becomes known.

use std::collections::BTreeSet;

use super::events::{LabEvent, Report};
use crate::control::Registry;
use crate::model::TargetId;

/// The reported targets.
pub(super) struct TargetMonitor {
    unknown: BTreeSet<TargetId>,
    report: Report,
}

impl TargetMonitor {
    pub(super) const fn new(report: Report) -> Self {
        Self { unknown: BTreeSet::new(), report }
    }

    /// Reports what has changed since the last call.
    pub(super) fn update(&mut self, registry: &Registry) {
        let has_session = |id: &TargetId| registry.sessions_to(id).next().is_some();
        let unknown = registry.targets_without_address().map(|target| target.id());
        let unknown: BTreeSet<TargetId> = unknown.filter(|id| has_session(id)).cloned().collect();
        for target in unknown.difference(&self.unknown) {
            (self.report)(LabEvent::TargetAddressUnknown(target.clone()));
        }
        for id in self.unknown.difference(&unknown) {
            let Some(target) = registry.target(id).filter(|_| has_session(id)) else { continue };
            let addresses = registry.target_addresses(target).collect();
            (self.report)(LabEvent::TargetAddressKnown { target: id.clone(), addresses });
        }
        self.unknown = unknown;
    }
}
