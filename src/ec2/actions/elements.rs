//! Writes resources as XML elements, and gives their fields to filters.

use super::super::describe::Filterable;
use super::super::xml::Xml;
use crate::control::account::{Account, DEFAULT_OWNER, Ownership};
use crate::model::{
    Direction, Filter, FilterRule, PacketLength, PortRange, Session, Tags, Target, TargetKind,
};

pub(super) fn tag_set(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

pub(super) fn owner<'a>(account: &'a Account, ownership: Option<&'a Ownership>) -> &'a str {
    account.shown_owner(ownership.map_or(DEFAULT_OWNER, |ownership| &ownership.owner))
}

/// A session with its owner and its effective packet length.
pub(super) struct SessionView<'a> {
    pub(super) session: &'a Session,
    pub(super) owner: &'a str,
    pub(super) packet_length: Option<PacketLength>,
}

impl<'a> SessionView<'a> {
    pub(super) fn new(account: &'a Account, session: &'a Session) -> Self {
        let ownership = session.id.as_ref().and_then(|id| account.sessions().get(id));
        let target = account.registry().target(&session.target_id);
        // "For sessions with Network Load Balancer (NLB) Traffic Mirror targets the default
        // PacketLength will be set to 8500" (EC2 API).
        let default = match target.map(|target| &target.kind) {
            Some(TargetKind::NetworkLoadBalancer(_)) => Some(PacketLength::MAX),
            _ => None,
        };
        let packet_length = session.packet_length.or(default);
        Self { session, owner: owner(account, ownership), packet_length }
    }

    pub(super) fn write(&self, xml: &mut Xml) {
        let Session { description, tags, .. } = self.session;
        xml.optional("trafficMirrorSessionId", self.session.id.as_ref());
        xml.text("trafficMirrorTargetId", &self.session.target_id);
        xml.text("trafficMirrorFilterId", &self.session.filter_id);
        xml.text("networkInterfaceId", &self.session.network_interface_id);
        xml.text("ownerId", self.owner);
        xml.optional("packetLength", self.packet_length);
        xml.text("sessionNumber", self.session.number);
        xml.optional("virtualNetworkId", self.session.virtual_network_id);
        xml.optional("description", description.as_ref());
        tag_set(xml, tags);
    }
}

fn single(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

fn optional(value: Option<impl ToString>) -> Vec<String> {
    value.map(|value| value.to_string()).into_iter().collect()
}

/// The names of the filters of DescribeTrafficMirrorSessions.
pub(super) const SESSION_FILTERS: &[&str] = &[
    "description",
    "network-interface-id",
    "owner-id",
    "packet-length",
    "session-number",
    "traffic-mirror-filter-id",
    "traffic-mirror-session-id",
    "traffic-mirror-target-id",
    "virtual-network-id",
];

impl Filterable for SessionView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        Some(match name {
            "description" => optional(self.session.description.as_ref()),
            "network-interface-id" => single(&self.session.network_interface_id),
            "owner-id" => single(self.owner),
            "packet-length" => optional(self.packet_length),
            "session-number" => single(self.session.number),
            "traffic-mirror-filter-id" => single(&self.session.filter_id),
            "traffic-mirror-session-id" => optional(self.session.id.as_ref()),
            "traffic-mirror-target-id" => single(&self.session.target_id),
            "virtual-network-id" => optional(self.session.virtual_network_id),
            _ => return None,
        })
    }

    fn tags(&self) -> &Tags {
        &self.session.tags
    }
}

/// A target with its owner.
pub(super) struct TargetView<'a> {
    pub(super) target: &'a Target,
    pub(super) owner: &'a str,
}

impl<'a> TargetView<'a> {
    pub(super) fn new(account: &'a Account, target: &'a Target) -> Self {
        Self { target, owner: owner(account, account.targets().get(target.id())) }
    }

    fn interface(&self) -> Option<&str> {
        match &self.target.kind {
            TargetKind::NetworkInterface(id) => Some(id.as_str()),
            _ => None,
        }
    }

    fn load_balancer(&self) -> Option<&str> {
        match &self.target.kind {
            TargetKind::NetworkLoadBalancer(arn) => Some(arn),
            _ => None,
        }
    }

    pub(super) fn write(&self, xml: &mut Xml) {
        xml.text("trafficMirrorTargetId", self.target.id());
        xml.optional("networkInterfaceId", self.interface());
        xml.optional("networkLoadBalancerArn", self.load_balancer());
        let kind = match &self.target.kind {
            TargetKind::GatewayLoadBalancerEndpoint(id) => {
                xml.text("gatewayLoadBalancerEndpointId", id);
                "gateway-load-balancer-endpoint"
            }
            TargetKind::NetworkLoadBalancer(_) => "network-load-balancer",
            // AWS has no kind for a target of a configuration file that is only an address.
            TargetKind::NetworkInterface(_) | TargetKind::Address => "network-interface",
        };
        xml.text("type", kind);
        xml.optional("description", self.target.description.as_ref());
        xml.text("ownerId", self.owner);
        tag_set(xml, &self.target.tags);
    }
}

/// The names of the filters of DescribeTrafficMirrorTargets.
pub(super) const TARGET_FILTERS: &[&str] = &[
    "description",
    "network-interface-id",
    "network-load-balancer-arn",
    "owner-id",
    "traffic-mirror-target-id",
];

impl Filterable for TargetView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        Some(match name {
            "description" => optional(self.target.description.as_ref()),
            "network-interface-id" => optional(self.interface()),
            "network-load-balancer-arn" => optional(self.load_balancer()),
            "owner-id" => single(self.owner),
            "traffic-mirror-target-id" => single(self.target.id()),
            _ => return None,
        })
    }

    fn tags(&self) -> &Tags {
        &self.target.tags
    }
}

pub(super) fn filter(xml: &mut Xml, filter: &Filter) {
    xml.text("trafficMirrorFilterId", filter.id());
    for (name, direction) in
        [("ingressFilterRuleSet", Direction::Ingress), ("egressFilterRuleSet", Direction::Egress)]
    {
        xml.list(name, filter.rules(direction), |xml, one| rule(xml, filter, one, true));
    }
    xml.element("networkServiceSet", |xml| {
        if filter.amazon_dns {
            xml.text("item", Filter::AMAZON_DNS);
        }
    });
    xml.optional("description", filter.description.as_ref());
    tag_set(xml, &filter.tags);
}

/// The names of the filters of DescribeTrafficMirrorFilters.
pub(super) const FILTER_FILTERS: &[&str] = &["description", "traffic-mirror-filter-id"];

impl Filterable for &Filter {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        Some(match name {
            "description" => optional(self.description.as_ref()),
            "traffic-mirror-filter-id" => single(self.id()),
            _ => return None,
        })
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// Writes a rule. "Tags are not returned for ModifyTrafficMirrorFilterRule" (EC2 API).
pub(super) fn rule(xml: &mut Xml, filter: &Filter, rule: &FilterRule, has_tags: bool) {
    xml.optional("trafficMirrorFilterRuleId", rule.id.as_ref());
    xml.text("trafficMirrorFilterId", filter.id());
    xml.text("trafficDirection", rule.direction());
    xml.text("ruleNumber", rule.number());
    xml.text("ruleAction", rule.action());
    xml.optional("protocol", rule.protocol());
    ports(xml, "destinationPortRange", rule.destination_ports());
    ports(xml, "sourcePortRange", rule.source_ports());
    xml.text("destinationCidrBlock", rule.destination());
    xml.text("sourceCidrBlock", rule.source());
    xml.optional("description", rule.description.as_ref());
    if has_tags {
        tag_set(xml, &rule.tags);
    }
}

fn ports(xml: &mut Xml, name: &str, ports: Option<PortRange>) {
    let Some(ports) = ports else { return };
    xml.element(name, |xml| {
        xml.text("fromPort", ports.from_port());
        xml.text("toPort", ports.to_port());
    });
}

/// A rule with its filter.
pub(super) struct RuleView<'a> {
    pub(super) filter: &'a Filter,
    pub(super) rule: &'a FilterRule,
}

/// The names of the filters of DescribeTrafficMirrorFilterRules.
pub(super) const RULE_FILTERS: &[&str] = &[
    "traffic-mirror-filter-rule-id",
    "traffic-mirror-filter-id",
    "rule-number",
    "rule-action",
    "traffic-direction",
    "protocol",
    "source-cidr-block",
    "destination-cidr-block",
    "description",
];

impl Filterable for RuleView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        Some(match name {
            "traffic-mirror-filter-rule-id" => optional(self.rule.id.as_ref()),
            "traffic-mirror-filter-id" => single(self.filter.id()),
            "rule-number" => single(self.rule.number()),
            "rule-action" => single(self.rule.action()),
            "traffic-direction" => single(self.rule.direction()),
            "protocol" => optional(self.rule.protocol()),
            "source-cidr-block" => single(self.rule.source()),
            "destination-cidr-block" => single(self.rule.destination()),
            "description" => optional(self.rule.description.as_ref()),
            _ => return None,
        })
    }

    fn tags(&self) -> &Tags {
        &self.rule.tags
    }
}
