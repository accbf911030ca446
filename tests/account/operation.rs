//! Random operations on an account.

use proptest::prelude::*;
use proptest::sample::select;
use traffic_mirror::control::account::{RuleField, SessionField};

/// Selects an id: one that was generated at some time, or one that does not exist.
pub(crate) type IdChoice = u8;

/// A call of an account.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) is_other_owner: bool,
    pub(crate) is_dry_run: bool,
    pub(crate) token: Option<u8>,
    pub(crate) step: Step,
}

/// The kind of call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    CreateTarget {
        at: TargetRef,
        address: Option<u8>,
        text: Option<u8>,
    },
    DeleteTarget(IdChoice),
    CreateFilter {
        text: Option<u8>,
    },
    DeleteFilter(IdChoice),
    Services {
        filter: IdChoice,
        add: Vec<u8>,
        remove: Vec<u8>,
    },
    CreateRule {
        filter: IdChoice,
        rule: RuleParts,
    },
    ModifyRule {
        rule: IdChoice,
        parts: RuleParts,
        given: [bool; 8],
        remove: Vec<RuleField>,
    },
    DeleteRule(IdChoice),
    CreateSession {
        parts: SessionParts,
    },
    ModifySession {
        session: IdChoice,
        parts: SessionParts,
        given: [bool; 6],
        remove: Vec<SessionField>,
    },
    DeleteSession(IdChoice),
    CreateTags {
        ids: Vec<(u8, IdChoice)>,
        tags: Vec<(u8, u8)>,
    },
    DeleteTags {
        ids: Vec<(u8, IdChoice)>,
        tags: Vec<(u8, Option<u8>)>,
    },
    /// An earlier call that had a token.
    Again(u8),
    Wait {
        hours: u8,
    },
    /// The process restarts, possibly with more resources in its configuration file.
    Restart {
        has_more_in_files: bool,
    },
}

/// The kind of a target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TargetRef {
    Interface(u8),
    LoadBalancer(u8),
    Endpoint(u8),
}

/// A rule by small numbers.
#[derive(Debug, Clone)]
pub(crate) struct RuleParts {
    pub(crate) is_ingress: bool,
    pub(crate) number: u8,
    pub(crate) accepts: bool,
    pub(crate) source: u8,
    pub(crate) destination: u8,
    pub(crate) protocol: Option<u8>,
    pub(crate) source_ports: Option<u16>,
    pub(crate) destination_ports: Option<u16>,
    pub(crate) text: Option<u8>,
}

/// A session by small numbers.
#[derive(Debug, Clone)]
pub(crate) struct SessionParts {
    pub(crate) interface: u8,
    pub(crate) target: IdChoice,
    pub(crate) filter: IdChoice,
    pub(crate) number: u8,
    pub(crate) packet_length: Option<u16>,
    pub(crate) network_id: Option<u8>,
    pub(crate) text: Option<u8>,
}

fn choice() -> impl Strategy<Value = IdChoice> {
    // 0 to 3 do not exist or are of a file, 4 to 11 exist, 12 to 15 may be deleted.
    prop_oneof![1 => 0_u8..4, 8 => 4_u8..12, 1 => 12_u8..16]
}

/// An interface; most of these can be sources.
fn interface() -> impl Strategy<Value = u8> {
    select(vec![0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7])
}

fn text() -> impl Strategy<Value = Option<u8>> {
    prop::option::of(0_u8..3)
}

fn rule() -> impl Strategy<Value = RuleParts> {
    let blocks = (select(vec![0_u8, 0, 0, 0, 1, 2]), select(vec![0_u8, 0, 0, 0, 1, 2]));
    let ports = || prop::option::weighted(0.3, 1_u16..4);
    let protocol = prop::option::of(select(vec![6_u8, 6, 17, 1]));
    let head = (any::<bool>(), 1_u8..4, any::<bool>());
    (head, blocks, protocol, ports(), ports(), text()).prop_map(
        |(head, blocks, protocol, source_ports, destination_ports, text)| RuleParts {
            is_ingress: head.0,
            number: head.1,
            accepts: head.2,
            source: blocks.0,
            destination: blocks.1,
            protocol,
            source_ports,
            destination_ports,
            text,
        },
    )
}

fn session() -> impl Strategy<Value = SessionParts> {
    let network_id = prop::option::weighted(0.3, 0_u8..8);
    let packet_length = prop::option::of(1_u16..3);
    (interface(), choice(), choice(), 1_u8..4, packet_length, network_id, text()).prop_map(
        |(interface, target, filter, number, packet_length, network_id, text)| SessionParts {
            interface,
            target,
            filter,
            number,
            packet_length,
            network_id,
            text,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let at = prop_oneof![
        3 => interface().prop_map(TargetRef::Interface),
        2 => select(vec![0, 0, 0, 1, 2]).prop_map(TargetRef::LoadBalancer),
        1 => select(vec![0, 0, 0, 1, 2]).prop_map(TargetRef::Endpoint),
    ];
    let address = prop::option::weighted(0.4, 0_u8..4);
    let services = || prop::collection::vec(select(vec![0_u8, 0, 0, 1]), 0..2);
    let rule_fields = prop::collection::vec(
        select(vec![
            RuleField::DestinationPorts,
            RuleField::SourcePorts,
            RuleField::Protocol,
            RuleField::Description,
        ]),
        0..3,
    );
    let session_fields = prop::collection::vec(
        select(vec![
            SessionField::PacketLength,
            SessionField::Description,
            SessionField::VirtualNetworkId,
        ]),
        0..2,
    );
    let ids = || prop::collection::vec((0_u8..5, choice()), 1..3);
    prop_oneof![
        5 => (at, address, text())
            .prop_map(|(at, address, text)| Step::CreateTarget { at, address, text }),
        1 => choice().prop_map(Step::DeleteTarget),
        4 => text().prop_map(|text| Step::CreateFilter { text }),
        1 => choice().prop_map(Step::DeleteFilter),
        1 => (choice(), services(), services())
            .prop_map(|(filter, add, remove)| Step::Services { filter, add, remove }),
        5 => (choice(), rule()).prop_map(|(filter, rule)| Step::CreateRule { filter, rule }),
        4 => (choice(), rule(), any::<[bool; 8]>(), rule_fields).prop_map(
            |(rule, parts, given, remove)| Step::ModifyRule { rule, parts, given, remove }),
        2 => choice().prop_map(Step::DeleteRule),
        10 => session().prop_map(|parts| Step::CreateSession { parts }),
        4 => (choice(), session(), any::<[bool; 6]>(), session_fields).prop_map(
            |(session, parts, given, remove)| Step::ModifySession { session, parts, given, remove }),
        2 => choice().prop_map(Step::DeleteSession),
        2 => (ids(), prop::collection::vec((0_u8..4, 0_u8..3), 1..3))
            .prop_map(|(ids, tags)| Step::CreateTags { ids, tags }),
        2 => (ids(), prop::collection::vec((0_u8..4, prop::option::of(0_u8..3)), 0..2))
            .prop_map(|(ids, tags)| Step::DeleteTags { ids, tags }),
        3 => any::<u8>().prop_map(Step::Again),
        1 => (1_u8..30).prop_map(|hours| Step::Wait { hours }),
        1 => any::<bool>().prop_map(|has_more_in_files| Step::Restart { has_more_in_files }),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let token = prop::option::weighted(0.3, 0_u8..4);
    let caller = (prop::bool::weighted(0.15), prop::bool::weighted(0.15));
    (caller, token, step()).prop_map(|((is_other_owner, is_dry_run), token, step)| Operation {
        is_other_owner,
        is_dry_run,
        token,
        step,
    })
}
