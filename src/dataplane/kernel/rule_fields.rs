//! A rule without its session: what a packet must have, and the outcome.

use super::outcome::KernelOutcome;
use crate::model::{CidrBlock, FilterRule, PortRange};

/// What a packet must have so that a rule matches. A rule with ports matches only packets with
/// ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleFields {
    pub(super) source: CidrBlock,
    pub(super) destination: CidrBlock,
    pub(super) protocol: Option<u8>,
    /// The first and the last port.
    pub(super) source_ports: Option<(u16, u16)>,
    pub(super) destination_ports: Option<(u16, u16)>,
}

/// A rule of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupRule {
    pub(super) fields: RuleFields,
    /// The outcome if the rule accepts; `None` if it rejects, so that the next group is evaluated.
    pub(super) outcome: Option<KernelOutcome>,
}

/// Rules whose first match decides.
pub(super) type Group = Vec<GroupRule>;

impl RuleFields {
    /// The fields of a rule of a filter.
    pub(super) fn of(rule: &FilterRule) -> Self {
        let bounds = |ports: PortRange| (ports.from_port(), ports.to_port());
        Self {
            source: rule.source(),
            destination: rule.destination(),
            protocol: rule.protocol().map(|protocol| protocol.0),
            source_ports: rule.source_ports().map(bounds),
            destination_ports: rule.destination_ports().map(bounds),
        }
    }

    /// A rule that matches all packets of an address family.
    pub(super) fn any(is_ipv4: bool) -> Self {
        let any = if is_ipv4 { CidrBlock::any_ipv4() } else { CidrBlock::any_ipv6() };
        Self {
            source: any,
            destination: any,
            protocol: None,
            source_ports: None,
            destination_ports: None,
        }
    }
}
