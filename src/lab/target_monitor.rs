//! Reports targets whose address is not known, once, and again when it becomes known.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use crate::control::Registry;
use crate::model::TargetId;

/// An event of a laboratory for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabEvent {
    /// A target with sessions has no address, so their copies are dropped.
    TargetAddressUnknown(TargetId),
    /// The address of such a target became known.
    TargetAddressKnown {
        /// The target.
        target: TargetId,
        /// Its addresses.
        addresses: Vec<SocketAddr>,
    },
}

/// Receives events.
pub(super) type Report = Box<dyn Fn(LabEvent) + Send>;

/// The reported targets.
pub(super) struct TargetMonitor {
    unknown: BTreeSet<TargetId>,
    report: Report,
}

impl fmt::Display for LabEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetAddressUnknown(target) => write!(
                f,
                "target {target} has no address, so the copies of its sessions are dropped as \
                 no_target_address until it has one"
            ),
            Self::TargetAddressKnown { target, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "target {target} has an address now: {}", addresses.join(", "))
            }
        }
    }
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
