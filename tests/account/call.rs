//! Calls of the account with resolved ids, and how each call is made.

use std::fmt::Debug;

use traffic_mirror::control::account::{
    Account, ApiError, Caller, ClientToken, CreateFilter, CreateRule, CreateSession, CreateTarget,
    ModifyRule, ModifySession, Ports, TagToDelete,
};
use traffic_mirror::model::{
    CidrBlock, Direction, FilterRule, InvalidValue, NetworkInterfaceId, PacketLength, PortRange,
    Protocol, RuleAction, RuleNumber, SessionNumber, Tags, TargetKind, VirtualNetworkId,
};

use super::initial_state::{self, ENDPOINTS, LOAD_BALANCERS};
use super::operation::{IdChoice, RuleParts, SessionParts, Step, TargetRef};

/// A call of the account.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    CreateTarget(CreateTarget),
    DeleteTarget(String),
    CreateFilter(CreateFilter),
    DeleteFilter(String),
    Services(String, Vec<String>, Vec<String>),
    CreateRule(CreateRule),
    ModifyRule(String, ModifyRule),
    DeleteRule(String),
    CreateSession(CreateSession),
    ModifySession(String, ModifySession),
    DeleteSession(String),
    CreateTags(Vec<String>, Tags),
    DeleteTags(Vec<String>, Vec<TagToDelete>),
}

impl Call {
    /// Resolves the ids of a step. None for a step that is not a call.
    pub(crate) fn new(step: &Step, id_of: impl Fn(usize, IdChoice) -> String) -> Option<Self> {
        let [session_id, target_id, filter_id, rule_id] =
            [0, 1, 2, 3].map(|kind| move |choice: &IdChoice| (kind, *choice));
        let id = |(kind, choice)| id_of(kind, choice);
        let ids = |choices: &[(u8, IdChoice)]| {
            choices.iter().map(|(kind, choice)| id_of(usize::from(*kind), *choice)).collect()
        };
        Some(match step {
            Step::CreateTarget { at, address, text } => Self::CreateTarget(CreateTarget {
                kind: target_kind(*at),
                description: description(*text),
                tags: address.map(|number| tag(3, number)).into_iter().collect(),
                client_token: None,
            }),
            Step::DeleteTarget(choice) => Self::DeleteTarget(id(target_id(choice))),
            Step::CreateFilter { text } => Self::CreateFilter(CreateFilter {
                description: description(*text),
                tags: text.map(|number| tag(0, number)).into_iter().collect(),
                client_token: None,
            }),
            Step::DeleteFilter(choice) => Self::DeleteFilter(id(filter_id(choice))),
            Step::Services { filter, add, remove } => {
                Self::Services(id(filter_id(filter)), services(add), services(remove))
            }
            Step::CreateRule { filter, rule } => Self::CreateRule(CreateRule {
                filter_id: id(filter_id(filter)),
                rule: filter_rule(rule).ok()?,
                client_token: None,
            }),
            Step::ModifyRule { rule, parts, given, remove } => {
                let request = modify_rule(parts, *given);
                Self::ModifyRule(
                    id(rule_id(rule)),
                    ModifyRule { remove: remove.clone(), ..request },
                )
            }
            Step::DeleteRule(choice) => Self::DeleteRule(id(rule_id(choice))),
            Step::CreateSession { parts } => {
                let (target, filter) = (id(target_id(&parts.target)), id(filter_id(&parts.filter)));
                Self::CreateSession(create_session(parts, target, filter))
            }
            Step::ModifySession { session, parts, given, remove } => {
                let (target, filter) = (id(target_id(&parts.target)), id(filter_id(&parts.filter)));
                let request = modify_session(parts, *given, target, filter);
                let request = ModifySession { remove: remove.clone(), ..request };
                Self::ModifySession(id(session_id(session)), request)
            }
            Step::DeleteSession(choice) => Self::DeleteSession(id(session_id(choice))),
            Step::CreateTags { ids: choices, tags } => {
                Self::CreateTags(ids(choices), tags.iter().map(|(k, v)| tag(*k, *v)).collect())
            }
            Step::DeleteTags { ids: choices, tags } => {
                let tags = tags.iter().map(|(key, value)| {
                    let (key, text) = tag(*key, value.unwrap_or_default());
                    TagToDelete { key, value: value.map(|_| text) }
                });
                Self::DeleteTags(ids(choices), tags.collect())
            }
            Step::Wait { .. } | Step::Restart { .. } | Step::Again(_) => return None,
        })
    }

    /// The same call with a token, if it can have one.
    pub(crate) fn with_token(mut self, token: u8) -> Self {
        let request = format!("{self:?}");
        let client_token = match &mut self {
            Self::CreateTarget(request) => &mut request.client_token,
            Self::CreateFilter(request) => &mut request.client_token,
            Self::CreateRule(request) => &mut request.client_token,
            Self::CreateSession(request) => &mut request.client_token,
            _ => return self,
        };
        // With a slash, because the keys of records contain slashes too.
        *client_token = ClientToken::new(&format!("token/{token}"), request).ok();
        self
    }

    /// Its token, and the kind of the resource that it creates.
    pub(crate) fn token(&self) -> Option<(&ClientToken, usize)> {
        match self {
            Self::CreateSession(request) => Some((request.client_token.as_ref()?, 0)),
            Self::CreateTarget(request) => Some((request.client_token.as_ref()?, 1)),
            Self::CreateFilter(request) => Some((request.client_token.as_ref()?, 2)),
            Self::CreateRule(request) => Some((request.client_token.as_ref()?, 3)),
            _ => None,
        }
    }

    /// Makes the call; returns the id of the response.
    pub(crate) fn make(
        &self,
        account: &mut Account,
        caller: &Caller<'_>,
    ) -> Result<String, ApiError> {
        match self.clone() {
            Self::CreateTarget(request) => text(account.create_target(caller, request)),
            Self::DeleteTarget(id) => text(account.delete_target(caller, &id)),
            Self::CreateFilter(request) => text(account.create_filter(caller, request)),
            Self::DeleteFilter(id) => text(account.delete_filter(caller, &id)),
            Self::Services(id, add, remove) => {
                text(account.modify_network_services(caller, &id, &add, &remove))
            }
            Self::CreateRule(request) => text(account.create_rule(caller, request)),
            Self::ModifyRule(id, request) => text(account.modify_rule(caller, &id, &request)),
            Self::DeleteRule(id) => text(account.delete_rule(caller, &id)),
            Self::CreateSession(request) => text(account.create_session(caller, request)),
            Self::ModifySession(id, request) => text(account.modify_session(caller, &id, request)),
            Self::DeleteSession(id) => text(account.delete_session(caller, &id)),
            Self::CreateTags(ids, tags) => {
                account.create_tags(caller, &ids, &tags).map(|()| String::new())
            }
            Self::DeleteTags(ids, tags) => {
                account.delete_tags(caller, &ids, &tags).map(|()| String::new())
            }
        }
    }
}

fn text(id: Result<impl ToString, ApiError>) -> Result<String, ApiError> {
    id.map(|id| id.to_string())
}

fn description(text: Option<u8>) -> Option<String> {
    text.map(|number| format!("number {number}"))
}

/// Key 3 is the tag with the address of a target; values 2 and 3 are not addresses.
fn tag(key: u8, value: u8) -> (String, String) {
    match (key, value) {
        (3, 0 | 1) => (String::from("mirror:address"), format!("192.0.2.{value}:5000")),
        (3, _) => (String::from("mirror:address"), String::from("nowhere")),
        _ => (format!("key {key}"), format!("value {value}")),
    }
}

fn services(which: &[u8]) -> Vec<String> {
    let name = |number: &u8| if *number == 0 { "amazon-dns" } else { "amazon-ntp" };
    which.iter().map(|number| name(number).to_owned()).collect()
}

fn target_kind(at: TargetRef) -> TargetKind {
    match at {
        TargetRef::Interface(number) => TargetKind::NetworkInterface(
            NetworkInterfaceId::new(&initial_state::interface(number)).unwrap(),
        ),
        TargetRef::LoadBalancer(number) => {
            TargetKind::NetworkLoadBalancer(LOAD_BALANCERS[usize::from(number)].to_owned())
        }
        TargetRef::Endpoint(number) => {
            TargetKind::GatewayLoadBalancerEndpoint(ENDPOINTS[usize::from(number)].to_owned())
        }
    }
}

fn number(parts: &SessionParts) -> SessionNumber {
    SessionNumber::new(parts.number).unwrap()
}

fn packet_length(parts: &SessionParts) -> Option<PacketLength> {
    parts.packet_length.map(|len| PacketLength::new(len).unwrap())
}

fn network_id(parts: &SessionParts) -> Option<VirtualNetworkId> {
    parts.network_id.map(|id| VirtualNetworkId::new(u32::from(id)).unwrap())
}

fn create_session(parts: &SessionParts, target_id: String, filter_id: String) -> CreateSession {
    CreateSession {
        network_interface_id: initial_state::interface(parts.interface),
        target_id,
        filter_id,
        number: number(parts),
        packet_length: packet_length(parts),
        virtual_network_id: network_id(parts),
        description: description(parts.text),
        tags: Tags::new(),
        client_token: None,
    }
}

fn modify_session(
    parts: &SessionParts,
    given: [bool; 6],
    target_id: String,
    filter_id: String,
) -> ModifySession {
    ModifySession {
        target_id: given[0].then_some(target_id),
        filter_id: given[1].then_some(filter_id),
        number: given[2].then(|| number(parts)),
        packet_length: packet_length(parts).filter(|_| given[3]),
        virtual_network_id: network_id(parts).filter(|_| given[4]),
        description: description(parts.text).filter(|_| given[5]),
        remove: Vec::new(),
    }
}

fn modify_rule(parts: &RuleParts, given: [bool; 8]) -> ModifyRule {
    ModifyRule {
        direction: given[0].then(|| direction(parts)),
        number: given[1].then(|| RuleNumber::new(parts.number).unwrap()),
        action: given[2].then(|| action(parts)),
        source: given[3].then(|| block(parts.source)),
        destination: given[4].then(|| block(parts.destination)),
        protocol: parts.protocol.map(Protocol).filter(|_| given[5]),
        ports: Ports {
            source: parts.source_ports.map(ports).filter(|_| given[6]),
            destination: parts.destination_ports.map(ports).filter(|_| given[7]),
        },
        description: description(parts.text),
        remove: Vec::new(),
    }
}

fn filter_rule(parts: &RuleParts) -> Result<FilterRule, InvalidValue> {
    let number = RuleNumber::new(parts.number)?;
    let (source, destination) = (block(parts.source), block(parts.destination));
    let mut rule = FilterRule::new(direction(parts), number, action(parts), source, destination)?;
    if let Some(protocol) = parts.protocol {
        rule = rule.with_protocol(Protocol(protocol))?;
    }
    if let Some(port) = parts.source_ports {
        rule = rule.with_source_ports(ports(port))?;
    }
    if let Some(port) = parts.destination_ports {
        rule = rule.with_destination_ports(ports(port))?;
    }
    rule.description = description(parts.text);
    rule.tags = parts.text.map(|number| tag(1, number)).into_iter().collect();
    Ok(rule)
}

fn direction(parts: &RuleParts) -> Direction {
    if parts.is_ingress { Direction::Ingress } else { Direction::Egress }
}

fn action(parts: &RuleParts) -> RuleAction {
    if parts.accepts { RuleAction::Accept } else { RuleAction::Reject }
}

/// 2 is the IPv6 block, which cannot be combined with the others in a rule.
fn block(number: u8) -> CidrBlock {
    let blocks = [("10.0.0.0", 8), ("0.0.0.0", 0), ("2001:db8::", 32)];
    let (address, len) = blocks[usize::from(number)];
    CidrBlock::new(address.parse().unwrap(), len).unwrap()
}

fn ports(from: u16) -> PortRange {
    PortRange::new("ports", from, from + 1).unwrap()
}
