//! The checks of the model, in AWS's order: parameters, existence, state, quota.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use traffic_mirror::control::account::{
    CreateRule, CreateSession, CreateTarget, ModifyRule, ModifySession, RuleField, SessionField,
};
use traffic_mirror::model::{
    FilterId, FilterRule, Session, Tags, TargetId, TargetKind, VirtualNetworkId,
};

use super::call::Call;
use super::initial_state::{self, PINNED, QUOTAS};
use super::model::{ErrorCode, Model, PREFIXES};

const INVALID_VALUE: ErrorCode = "InvalidParameterValue";
const INVALID_COMBINATION: ErrorCode = "InvalidParameterCombination";

impl Model {
    /// Checks a call. Returns the id of the response if it is the id of an existing resource.
    pub(crate) fn check(&self, owner: &str, call: &Call) -> Result<Option<String>, ErrorCode> {
        match call {
            Call::CreateTarget(request) => self.check_target(owner, request).map(|()| None),
            Call::CreateFilter(_) => {
                let has_room = self.count(2, owner) < QUOTAS.filters;
                refuse_if(!has_room, "TrafficMirrorFilterLimitExceeded").map(|()| None)
            }
            Call::CreateRule(request) => self.check_rule(owner, request).map(|()| None),
            Call::CreateSession(request) => self.check_session(owner, request).map(|()| None),
            Call::DeleteTarget(id) => {
                self.check_owned(owner, 1, id)?;
                let mut users = self.sessions().filter(|one| one.target_id.as_str() == id);
                refuse_if(users.next().is_some(), "TrafficMirrorTargetInUse")?;
                Ok(Some(id.clone()))
            }
            Call::DeleteFilter(id) => {
                self.check_owned(owner, 2, id)?;
                let mut users = self.sessions().filter(|one| one.filter_id.as_str() == id);
                refuse_if(users.next().is_some(), "TrafficMirrorFilterInUse")?;
                Ok(Some(id.clone()))
            }
            Call::Services(id, add, remove) => {
                let is_unknown = add.iter().chain(remove).any(|one| one != "amazon-dns");
                refuse_if(is_unknown, INVALID_VALUE)?;
                refuse_if(!add.is_empty() && !remove.is_empty(), INVALID_COMBINATION)?;
                self.check_owned(owner, 2, id).map(|()| Some(id.clone()))
            }
            Call::ModifyRule(id, request) => {
                self.modified_rule(owner, id, request).map(|_| Some(id.clone()))
            }
            Call::ModifySession(id, request) => {
                self.modified_session(owner, id, request).map(|_| Some(id.clone()))
            }
            Call::DeleteRule(id) => self.check_owned(owner, 3, id).map(|()| Some(id.clone())),
            Call::DeleteSession(id) => self.check_owned(owner, 0, id).map(|()| Some(id.clone())),
            Call::CreateTags(..) | Call::DeleteTags(..) => {
                self.changed_tags(owner, call).map(|_| Some(String::new()))
            }
        }
    }

    fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.resources.sessions.values().map(|one| &one.session)
    }

    fn check_target(&self, owner: &str, request: &CreateTarget) -> Result<(), ErrorCode> {
        match &request.kind {
            TargetKind::NetworkInterface(id) => {
                refuse_if(!initial_state::exists(id.as_str()), "InvalidTrafficMirrorTarget")?;
            }
            TargetKind::NetworkLoadBalancer(arn) => {
                let is_network_load_balancer = arn.contains(":loadbalancer/net/");
                refuse_if(!is_network_load_balancer, "InvalidNetworkLoadBalancerArn.Malformed")?;
            }
            TargetKind::GatewayLoadBalancerEndpoint(id) => {
                refuse_if(id.ends_with('x'), "InvalidVpcEndpointId.Malformed")?;
            }
            TargetKind::Address => {}
        }
        address(&request.kind, &request.tags)?;
        if let TargetKind::NetworkInterface(id) = &request.kind {
            let is_source = self.sessions().any(|one| one.network_interface_id == *id);
            refuse_if(is_source, "InvalidTrafficMirrorTarget")?;
        }
        let is_full = self.count(1, owner) >= QUOTAS.targets;
        refuse_if(is_full, "TrafficMirrorTargetLimitExceeded")
    }

    fn check_rule_number(
        &self,
        filter: &str,
        rule: &FilterRule,
        id: &str,
    ) -> Result<(), ErrorCode> {
        let key = |rule: &FilterRule| (rule.direction(), rule.number());
        let mut others = self.resources.rules.iter().filter(|(other, _)| *other != id);
        let is_taken = others.any(|(_, one)| one.filter == filter && key(&one.rule) == key(rule));
        refuse_if(is_taken, "TrafficMirrorFilterRuleAlreadyExists")
    }

    fn check_rule(&self, owner: &str, request: &CreateRule) -> Result<(), ErrorCode> {
        self.check_owned(owner, 2, &request.filter_id)?;
        self.check_rule_number(&request.filter_id, &request.rule, "")?;
        let rules = self.resources.rules.values().filter(|one| one.filter == request.filter_id);
        let is_full = rules.count() >= QUOTAS.rules_per_filter;
        refuse_if(is_full, "TrafficMirrorFilterRuleLimitExceeded")
    }

    /// The rule after a change.
    pub(crate) fn modified_rule(
        &self,
        owner: &str,
        id: &str,
        request: &ModifyRule,
    ) -> Result<FilterRule, ErrorCode> {
        let removes = |field| request.remove.contains(&field);
        let set_and_removed = [
            request.ports.destination.is_some() && removes(RuleField::DestinationPorts),
            request.ports.source.is_some() && removes(RuleField::SourcePorts),
            request.protocol.is_some() && removes(RuleField::Protocol),
            request.description.is_some() && removes(RuleField::Description),
        ];
        refuse_if(set_and_removed.contains(&true), INVALID_COMBINATION)?;
        self.check_owned(owner, 3, id)?;
        let known = &self.resources.rules[id];
        let old = &known.rule;
        let (source, destination) = (
            request.source.unwrap_or(old.source()),
            request.destination.unwrap_or(old.destination()),
        );
        let protocol =
            request.protocol.or(old.protocol()).filter(|_| !removes(RuleField::Protocol));
        let source_ports = request.ports.source.or(old.source_ports());
        let source_ports = source_ports.filter(|_| !removes(RuleField::SourcePorts));
        let destination_ports = request.ports.destination.or(old.destination_ports());
        let destination_ports = destination_ports.filter(|_| !removes(RuleField::DestinationPorts));
        let has_ports = source_ports.is_some() || destination_ports.is_some();
        refuse_if(
            has_ports && !protocol.is_some_and(|one| matches!(one.0, 6 | 17)),
            INVALID_VALUE,
        )?;
        let (direction, number, action) = (
            request.direction.unwrap_or(old.direction()),
            request.number.unwrap_or(old.number()),
            request.action.unwrap_or(old.action()),
        );
        let rule = FilterRule::new(direction, number, action, source, destination);
        let rule = rule.map_err(|_| INVALID_VALUE)?;
        let rule = protocol.map_or(Ok(rule.clone()), |one| rule.with_protocol(one)).unwrap();
        let rule =
            source_ports.map_or(Ok(rule.clone()), |one| rule.with_source_ports(one)).unwrap();
        let mut rule = destination_ports
            .map_or(Ok(rule.clone()), |one| rule.with_destination_ports(one))
            .unwrap();
        self.check_rule_number(&known.filter, &rule, id)?;
        rule.id.clone_from(&old.id);
        rule.tags.clone_from(&old.tags);
        let description = request.description.clone().or_else(|| old.description.clone());
        rule.description = description.filter(|_| !removes(RuleField::Description));
        Ok(rule)
    }

    fn check_session(&self, owner: &str, request: &CreateSession) -> Result<(), ErrorCode> {
        let source = &*request.network_interface_id;
        refuse_if(source.ends_with('x'), "InvalidNetworkInterfaceId.Malformed")?;
        refuse_if(!initial_state::exists(source), "InvalidNetworkInterfaceID.NotFound")?;
        self.check_visible(owner, 1, &request.target_id)?;
        self.check_visible(owner, 2, &request.filter_id)?;
        self.check_source(source, request.number.value(), "")?;
        let of_source = self.sessions().filter(|one| one.network_interface_id.as_str() == source);
        let is_full = of_source.count() >= QUOTAS.sessions_per_interface;
        refuse_if(is_full, "TrafficMirrorSessionsPerInterfaceLimitExceeded")?;
        self.check_source_quota(&request.target_id, source)?;
        let is_full = self.count(0, owner) >= QUOTAS.sessions;
        refuse_if(is_full, "TrafficMirrorSessionLimitExceeded")
    }

    fn check_source(&self, source: &str, number: u16, id: &str) -> Result<(), ErrorCode> {
        let is_source = |kind: &TargetKind| matches!(kind, TargetKind::NetworkInterface(one) if one.as_str() == source);
        refuse_if(self.resources.targets.values().any(|one| is_source(&one.kind)), INVALID_VALUE)?;
        refuse_if(!initial_state::has_device(source), "NetworkInterfaceNotSupported")?;
        let mut others = self.resources.sessions.iter().filter(|(other, _)| *other != id);
        let is_taken = others.any(|(_, one)| {
            let one = &one.session;
            one.network_interface_id.as_str() == source && one.number.value() == number
        });
        refuse_if(is_taken, INVALID_VALUE)
    }

    /// Checks the number of distinct sources of an interface target, including `source`.
    fn check_source_quota(&self, target: &str, source: &str) -> Result<(), ErrorCode> {
        let with_target = self.sessions().filter(|one| one.target_id.as_str() == target);
        let mut sources: BTreeSet<&str> =
            with_target.map(|one| one.network_interface_id.as_str()).collect();
        sources.insert(source);
        let is_interface =
            matches!(self.resources.targets[target].kind, TargetKind::NetworkInterface(_));
        let is_over = is_interface && sources.len() > QUOTAS.sources_per_target;
        refuse_if(is_over, "TrafficMirrorSourcesPerTargetLimitExceeded")
    }

    /// The session after a change, without a network identifier if the account generates one.
    pub(crate) fn modified_session(
        &self,
        owner: &str,
        id: &str,
        request: &ModifySession,
    ) -> Result<Session, ErrorCode> {
        let removes = |field| request.remove.contains(&field);
        let set_and_removed = [
            request.packet_length.is_some() && removes(SessionField::PacketLength),
            request.description.is_some() && removes(SessionField::Description),
            request.virtual_network_id.is_some() && removes(SessionField::VirtualNetworkId),
        ];
        refuse_if(set_and_removed.contains(&true), INVALID_COMBINATION)?;
        self.check_owned(owner, 0, id)?;
        let old = &self.resources.sessions[id].session;
        let target = request.target_id.as_deref().unwrap_or(old.target_id.as_str());
        let filter = request.filter_id.as_deref().unwrap_or(old.filter_id.as_str());
        self.check_visible(owner, 1, target)?;
        self.check_visible(owner, 2, filter)?;
        let mut session = old.clone();
        session.target_id = TargetId::new(target).unwrap();
        session.filter_id = FilterId::new(filter).unwrap();
        session.number = request.number.unwrap_or(old.number);
        let source = old.network_interface_id.as_str();
        self.check_source(source, session.number.value(), id)?;
        if target != old.target_id.as_str() {
            self.check_source_quota(target, source)?;
        }
        let network_id: Option<VirtualNetworkId> =
            request.virtual_network_id.or(old.virtual_network_id);
        session.virtual_network_id =
            network_id.filter(|_| !removes(SessionField::VirtualNetworkId));
        let len = request.packet_length.or(old.packet_length);
        session.packet_length = len.filter(|_| !removes(SessionField::PacketLength));
        let description = request.description.clone().or_else(|| old.description.clone());
        session.description = description.filter(|_| !removes(SessionField::Description));
        Ok(session)
    }

    /// The tags of resources after the change, by kind and id.
    pub(crate) fn changed_tags(
        &self,
        owner: &str,
        call: &Call,
    ) -> Result<Vec<(usize, String, Tags)>, ErrorCode> {
        let (Call::CreateTags(ids, _) | Call::DeleteTags(ids, _)) = call else { unreachable!() };
        let mut changed = Vec::new();
        for id in ids {
            let kind = PREFIXES.iter().position(|prefix| id.starts_with(prefix));
            let kind = kind.ok_or("InvalidID")?;
            self.check_owned(owner, kind, id)?;
            let mut tags = self.tags_of(kind, id).clone();
            match call {
                Call::CreateTags(_, new) => tags.extend(new.clone()),
                Call::DeleteTags(_, deleted) if deleted.is_empty() => tags.clear(),
                Call::DeleteTags(_, deleted) => tags.retain(|key, value| {
                    let is_value =
                        |own: &Option<String>| own.as_ref().is_none_or(|own| own == value);
                    !deleted.iter().any(|one| one.key == *key && is_value(&one.value))
                }),
                _ => {}
            }
            if kind == 1 {
                address(&self.resources.targets[id].kind, &tags)?;
            }
            changed.push((kind, id.clone(), tags));
        }
        Ok(changed)
    }

    fn tags_of(&self, kind: usize, id: &str) -> &Tags {
        match kind {
            0 => &self.resources.sessions[id].session.tags,
            1 => &self.resources.targets[id].tags,
            2 => &self.resources.filters[id].tags,
            _ => &self.resources.rules[id].rule.tags,
        }
    }
}

/// The address of a target: "the tag first, then what the user pinned". None if it is that of its
/// interface, or unknown.
pub(crate) fn address(kind: &TargetKind, tags: &Tags) -> Result<Option<SocketAddr>, ErrorCode> {
    if let Some(text) = tags.get("mirror:address") {
        return text.parse().map(Some).map_err(|_| INVALID_VALUE);
    }
    let name = match kind {
        TargetKind::NetworkInterface(id) => id.as_str(),
        TargetKind::NetworkLoadBalancer(name) | TargetKind::GatewayLoadBalancerEndpoint(name) => {
            name
        }
        TargetKind::Address => return Err("MissingParameter"),
    };
    if initial_state::is_pinned(name) {
        return Ok(PINNED.parse().ok());
    }
    // An interface has its own address, and any other resource has none.
    Ok(None)
}

fn refuse_if(is_wrong: bool, code: ErrorCode) -> Result<(), ErrorCode> {
    if is_wrong { Err(code) } else { Ok(()) }
}
