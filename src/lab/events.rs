//! The events of a laboratory for its user.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

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
    /// A client created a rule for protocol 0, as a sentence.
    RuleOfProtocolZero(String),
}

/// Receives events.
pub(super) type Report = Arc<dyn Fn(LabEvent) + Send + Sync>;

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
            Self::RuleOfProtocolZero(sentence) => f.write_str(sentence),
        }
    }
}
