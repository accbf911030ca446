//! The rules of an interface for one direction and address family, in groups.
//!
//! The first match of a group decides: it accepts, or the next group is evaluated. AWS's exclusions
//! are the first group, and each session is one group.

use std::sync::Arc;

use super::exclusions;
use super::outcome::OutcomeList;
use super::rule_fields::{Group, GroupRule, RuleFields};
use crate::dataplane::index::{InterfaceIndex, SessionIndex};
use crate::dataplane::rules::RuleList;
use crate::dataplane::table::MirrorTable;
use crate::dataplane::verdict::{AcceptedBy, NotMirrored, SessionMatch};
use crate::model::{Direction, Filter};

/// The groups of the first interface of the table, without empty ones. Accepting rules are added
/// to `outcomes`.
pub(super) fn groups(
    table: &MirrorTable,
    direction: Direction,
    is_ipv4: bool,
    outcomes: &mut OutcomeList,
) -> Vec<Group> {
    let sessions: Vec<(SessionIndex, Arc<Filter>)> = SessionIndex::enumerate(table.sessions())
        .filter(|(_, session)| session.interface == InterfaceIndex::FIRST)
        .map(|(index, session)| (index, Arc::clone(&session.filter)))
        .collect();
    let dns = sessions.iter().find(|(_, filter)| filter.amazon_dns).map(|(index, _)| *index);
    let dns_outcome = dns.map_or(OutcomeList::not_mirrored(NotMirrored::AmazonDns), |session| {
        outcomes.add(SessionMatch { session, by: AcceptedBy::AmazonDns })
    });
    let settings = table.settings();
    let dns_rules = exclusions::dns_rules(settings, is_ipv4, dns_outcome);

    let filters: Vec<Arc<Filter>> = sessions.iter().map(|(_, filter)| Arc::clone(filter)).collect();
    let list = RuleList::new(&filters, direction, is_ipv4);
    let mut groups = Vec::new();
    if settings.aws_exclusions {
        let mut first = exclusions::excluded_rules(is_ipv4);
        first.extend(&dns_rules);
        groups.push(first);
    }
    for (position, (session, _)) in SessionIndex::enumerate(&sessions) {
        let mut group = Group::new();
        if !settings.aws_exclusions && dns == Some(*session) {
            group.extend(&dns_rules);
        }
        let own = list.rules().iter().filter(|listed| listed.position.session == position);
        group.extend(own.map(|listed| {
            let by = AcceptedBy::Rule(listed.position.rule);
            let accepted = SessionMatch { session: *session, by };
            let outcome = listed.accepts().then(|| outcomes.add(accepted));
            GroupRule { fields: RuleFields::of(listed.rule), outcome }
        }));
        groups.push(group);
    }
    groups.retain(|group| !group.is_empty());
    groups
}
