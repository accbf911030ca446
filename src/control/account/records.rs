//! Resources as records, by which an account is as it was after a restart.
//!
//! A record has a key and a text in JSON. What changed is kept as a set of keys, so that a record is
//! written once however often its resource was changed since the last commit.

mod restore;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::api_error::ApiError;
use super::targets::set_addresses;
use super::{Account, NamedBy, Ownership};
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, FilterRuleId, InvalidValue,
    NetworkInterface, NetworkInterfaceId, PacketLength, PortRange, Protocol, RuleAction,
    RuleNumber, Session, SessionId, SessionNumber, Tags, Target, TargetId, TargetKind,
    VirtualNetworkId,
};

/// Which resource a record is of. The order is that in which records are read: what is referred to
/// comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordKey {
    Target(TargetId),
    Filter(FilterId),
    Rule(FilterRuleId),
    Session(SessionId),
    Token(Arc<str>, String),
}

/// A record to be written, or to be deleted where it has no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `session/tms-...`
    pub key: String,
    /// JSON.
    pub text: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetRecord {
    sequence: u64,
    owner: String,
    kind: String,
    name: String,
    /// Where copies went at last, for when nothing else says it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    further_addresses: Vec<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterRecord {
    sequence: u64,
    owner: String,
    amazon_dns: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRecord {
    sequence: u64,
    owner: String,
    filter: String,
    direction: String,
    number: u16,
    action: String,
    source: (IpAddr, u8),
    destination: (IpAddr, u8),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_ports: Option<(u16, u16)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destination_ports: Option<(u16, u16)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRecord {
    sequence: u64,
    owner: String,
    network_interface: String,
    /// By which an interface that is not there at the start is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    target: String,
    filter: String,
    number: u16,
    virtual_network_id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packet_length: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl Account {
    /// What changed since the last time, to be written together.
    ///
    /// # Errors
    /// [`ApiError`] where a resource cannot be said in JSON, which would be a fault of ours.
    pub fn take_changes(&mut self) -> Result<Vec<Record>, ApiError> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| self.record(&key)).collect()
    }

    pub(super) fn mark_changed(&mut self, key: RecordKey) {
        self.changed.insert(key);
    }

    fn record(&self, key: &RecordKey) -> Result<Record, ApiError> {
        let (key, text) = match key {
            RecordKey::Target(id) => (format!("target/{id}"), self.target_record(id)?),
            RecordKey::Filter(id) => (format!("filter/{id}"), self.filter_record(id)?),
            RecordKey::Rule(id) => (format!("rule/{id}"), self.rule_record(id)?),
            RecordKey::Session(id) => (format!("session/{id}"), self.session_record(id)?),
            RecordKey::Token(owner, token) => {
                let text = self.tokens.record(owner, token).as_ref().map(to_json).transpose()?;
                (format!("token/{owner}/{token}"), text)
            }
        };
        Ok(Record { key, text })
    }

    fn target_record(&self, id: &TargetId) -> Result<Option<String>, ApiError> {
        let Some((target, ownership)) = self.registry.target(id).zip(self.targets.get(id)) else {
            return Ok(None);
        };
        let (kind, name) = match &target.kind {
            TargetKind::NetworkInterface(id) => ("network-interface", id.to_string()),
            TargetKind::NetworkLoadBalancer(arn) => ("network-load-balancer", arn.clone()),
            TargetKind::GatewayLoadBalancerEndpoint(id) => {
                ("gateway-load-balancer-endpoint", id.clone())
            }
            TargetKind::Address => return Err(ApiError::internal("a target without a kind")),
        };
        to_json(&TargetRecord {
            sequence: ownership.sequence,
            owner: ownership.owner.to_string(),
            kind: kind.to_owned(),
            name,
            address: target.address.or_else(|| self.registry.target_address(target)),
            further_addresses: target.further_addresses.clone(),
            description: target.description.clone(),
            tags: target.tags.clone(),
        })
        .map(Some)
    }

    fn filter_record(&self, id: &FilterId) -> Result<Option<String>, ApiError> {
        let Some((filter, ownership)) = self.registry.filter(id).zip(self.filters.get(id)) else {
            return Ok(None);
        };
        to_json(&FilterRecord {
            sequence: ownership.sequence,
            owner: ownership.owner.to_string(),
            amazon_dns: filter.amazon_dns,
            description: filter.description.clone(),
            tags: filter.tags.clone(),
        })
        .map(Some)
    }

    fn rule_record(&self, id: &FilterRuleId) -> Result<Option<String>, ApiError> {
        let Some(((filter, rule), ownership)) = self.rule(id).zip(self.rules.get(id)) else {
            return Ok(None);
        };
        let block = |block: CidrBlock| (block.network(), block.prefix_len());
        let ports = |ports: PortRange| (ports.from_port(), ports.to_port());
        to_json(&RuleRecord {
            sequence: ownership.sequence,
            owner: ownership.owner.to_string(),
            filter: filter.id().to_string(),
            direction: rule.direction().to_string(),
            number: rule.number().value(),
            action: rule.action().to_string(),
            source: block(rule.source()),
            destination: block(rule.destination()),
            protocol: rule.protocol().map(|protocol| protocol.0),
            source_ports: rule.source_ports().map(ports),
            destination_ports: rule.destination_ports().map(ports),
            description: rule.description.clone(),
            tags: rule.tags.clone(),
        })
        .map(Some)
    }

    fn session_record(&self, id: &SessionId) -> Result<Option<String>, ApiError> {
        let Some((session, ownership)) = self.registry.session(id).zip(self.sessions.get(id))
        else {
            return Ok(None);
        };
        let network_id = session.virtual_network_id;
        let network_id = network_id.ok_or_else(|| ApiError::internal("a session without a VNI"))?;
        let interface = self.registry.network_interface(&session.network_interface_id);
        to_json(&SessionRecord {
            sequence: ownership.sequence,
            owner: ownership.owner.to_string(),
            network_interface: session.network_interface_id.to_string(),
            device: interface.and_then(|interface| interface.device.clone()),
            target: session.target_id.to_string(),
            filter: session.filter_id.to_string(),
            number: session.number.value(),
            virtual_network_id: network_id.value(),
            packet_length: session.packet_length.map(PacketLength::value),
            description: session.description.clone(),
            tags: session.tags.clone(),
        })
        .map(Some)
    }
}

impl RuleRecord {
    fn rule(&self) -> Result<FilterRule, InvalidValue> {
        let block = |(address, len)| CidrBlock::new(address, len);
        let mut rule = FilterRule::new(
            Direction::parse(&self.direction)?,
            RuleNumber::new(self.number)?,
            RuleAction::parse(&self.action)?,
            block(self.source)?,
            block(self.destination)?,
        )?;
        if let Some(protocol) = self.protocol {
            rule = rule.with_protocol(Protocol(protocol))?;
        }
        if let Some((from, to)) = self.source_ports {
            rule = rule.with_source_ports(PortRange::new("source_port_range", from, to)?)?;
        }
        if let Some((from, to)) = self.destination_ports {
            let ports = PortRange::new("destination_port_range", from, to)?;
            rule = rule.with_destination_ports(ports)?;
        }
        rule.description.clone_from(&self.description);
        rule.tags.clone_from(&self.tags);
        Ok(rule)
    }
}

fn to_json<T: Serialize>(record: &T) -> Result<String, ApiError> {
    serde_json::to_string(record).map_err(ApiError::internal)
}
