//! Resources as records, by which an account is as it was after a restart.
//!
//! A record has a key and a text in JSON. What changed is kept as a set of keys, so that a record is
//! written once however often its resource was changed since the last commit.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::refused::Refused;
use super::targets::put_addresses;
use super::{Account, Entry};
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, FilterRuleId, Invalid, NetworkInterface,
    NetworkInterfaceId, PacketLength, PortRange, Protocol, RuleAction, RuleNumber, Session,
    SessionId, SessionNumber, Tags, Target, TargetId, TargetKind, VirtualNetworkId,
};

/// Which resource a record is of. The order is that in which records are read: what is referred to
/// comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
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
    /// [`Refused`] where a resource cannot be said in JSON, which would be a fault of ours.
    pub fn take_changes(&mut self) -> Result<Vec<Record>, Refused> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| self.record(&key)).collect()
    }

    pub(super) fn mark(&mut self, key: Key) {
        self.changed.insert(key);
    }

    /// Takes in what was written before.
    ///
    /// # Errors
    /// [`Refused`] for a record that cannot be read or does not go with the others.
    pub fn restore(
        &mut self,
        records: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), Refused> {
        let mut records: Vec<(u8, String, String)> = records
            .into_iter()
            .map(|(key, text)| Ok((rank(&key)?, key, text)))
            .collect::<Result<_, Refused>>()?;
        records.sort();
        for (_, key, text) in &records {
            let restored = self.restore_one(key, text);
            restored
                .map_err(|why| Refused::new("InternalError", format!("record {key}: {why}")))?;
        }
        self.changed.clear();
        Ok(())
    }

    fn record(&self, key: &Key) -> Result<Record, Refused> {
        let (key, text) = match key {
            Key::Target(id) => (format!("target/{id}"), self.target_record(id)?),
            Key::Filter(id) => (format!("filter/{id}"), self.filter_record(id)?),
            Key::Rule(id) => (format!("rule/{id}"), self.rule_record(id)?),
            Key::Session(id) => (format!("session/{id}"), self.session_record(id)?),
            Key::Token(owner, token) => {
                let text = self.tokens.record(owner, token).as_ref().map(json).transpose()?;
                (format!("token/{owner}/{token}"), text)
            }
        };
        Ok(Record { key, text })
    }

    fn target_record(&self, id: &TargetId) -> Result<Option<String>, Refused> {
        let Some((target, entry)) = self.registry.target(id).zip(self.targets.get(id)) else {
            return Ok(None);
        };
        let (kind, name) = match &target.kind {
            TargetKind::NetworkInterface(id) => ("network-interface", id.to_string()),
            TargetKind::NetworkLoadBalancer(arn) => ("network-load-balancer", arn.clone()),
            TargetKind::GatewayLoadBalancerEndpoint(id) => {
                ("gateway-load-balancer-endpoint", id.clone())
            }
            TargetKind::Address => return Err(Refused::internal("a target without a kind")),
        };
        json(&TargetRecord {
            sequence: entry.sequence,
            owner: entry.owner.to_string(),
            kind: kind.to_owned(),
            name,
            address: self.registry.target_address(target),
            further_addresses: target.further_addresses.clone(),
            description: target.description.clone(),
            tags: target.tags.clone(),
        })
        .map(Some)
    }

    fn filter_record(&self, id: &FilterId) -> Result<Option<String>, Refused> {
        let Some((filter, entry)) = self.registry.filter(id).zip(self.filters.get(id)) else {
            return Ok(None);
        };
        json(&FilterRecord {
            sequence: entry.sequence,
            owner: entry.owner.to_string(),
            amazon_dns: filter.amazon_dns,
            description: filter.description.clone(),
            tags: filter.tags.clone(),
        })
        .map(Some)
    }

    fn rule_record(&self, id: &FilterRuleId) -> Result<Option<String>, Refused> {
        let Some(((filter, rule), entry)) = self.rule(id).zip(self.rules.get(id)) else {
            return Ok(None);
        };
        let block = |block: CidrBlock| (block.network(), block.prefix_len());
        let ports = |ports: PortRange| (ports.from_port(), ports.to_port());
        json(&RuleRecord {
            sequence: entry.sequence,
            owner: entry.owner.to_string(),
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

    fn session_record(&self, id: &SessionId) -> Result<Option<String>, Refused> {
        let Some((session, entry)) = self.registry.session(id).zip(self.sessions.get(id)) else {
            return Ok(None);
        };
        let network_id = session.virtual_network_id;
        let network_id = network_id.ok_or_else(|| Refused::internal("a session without a VNI"))?;
        let interface = self.registry.network_interface(&session.network_interface_id);
        json(&SessionRecord {
            sequence: entry.sequence,
            owner: entry.owner.to_string(),
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

    fn restore_one(&mut self, key: &str, text: &str) -> Result<(), Refused> {
        let (kind, id) = key.split_once('/').unwrap_or_default();
        match kind {
            "target" => self.restore_target(TargetId::new(id)?, read(text)?),
            "filter" => self.restore_filter(FilterId::new(id)?, read(text)?),
            "rule" => self.restore_rule(FilterRuleId::new(id)?, read(text)?),
            "session" => self.restore_session(SessionId::new(id)?, read(text)?),
            _ => {
                let (owner, token) = id.split_once('/').unwrap_or_default();
                self.tokens.restore(owner, token, read(text)?);
                Ok(())
            }
        }
    }

    fn restored(&mut self, sequence: u64, owner: &str) -> Entry {
        self.next = self.next.max(sequence.saturating_add(1));
        Entry { sequence, owner: Arc::from(owner), is_of_file: false }
    }

    fn restore_target(&mut self, id: TargetId, record: TargetRecord) -> Result<(), Refused> {
        let kind = match &*record.kind {
            "network-interface" => {
                let id = NetworkInterfaceId::new(&record.name)?;
                self.keep_interface(&id, None)?;
                TargetKind::NetworkInterface(id)
            }
            "network-load-balancer" => TargetKind::NetworkLoadBalancer(record.name),
            "gateway-load-balancer-endpoint" => {
                TargetKind::GatewayLoadBalancerEndpoint(record.name)
            }
            other => return Err(Refused::value("kind", other, "a kind of target")),
        };
        let addresses = match self.addresses_of(&kind, &record.tags) {
            Ok(addresses) => addresses,
            Err(why) => self.last_addresses(&record.address, &record.further_addresses, why)?,
        };
        let mut target = Target::new(id.clone(), kind);
        put_addresses(&mut target, addresses);
        target.description = record.description;
        target.tags = record.tags;
        self.registry.add_target(target)?;
        let entry = self.restored(record.sequence, &record.owner);
        self.targets.put(id, entry);
        Ok(())
    }

    /// Where copies went when it was written: what has no address now keeps that.
    fn last_addresses(
        &self,
        first: &Option<SocketAddr>,
        further: &[SocketAddr],
        why: Refused,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let last: Vec<SocketAddr> = first.iter().chain(further).copied().collect();
        last.iter().try_for_each(|address| self.places.may_take(address.ip()))?;
        if last.is_empty() { Err(why) } else { Ok(last) }
    }

    fn restore_filter(&mut self, id: FilterId, record: FilterRecord) -> Result<(), Refused> {
        let mut filter = Filter::new(id.clone());
        filter.amazon_dns = record.amazon_dns;
        filter.description = record.description;
        filter.tags = record.tags;
        self.registry.add_filter(filter)?;
        let entry = self.restored(record.sequence, &record.owner);
        self.filters.put(id, entry);
        Ok(())
    }

    fn restore_rule(&mut self, id: FilterRuleId, record: RuleRecord) -> Result<(), Refused> {
        let filter_id = FilterId::new(&record.filter)?;
        let Some(filter) = self.registry.filter(&filter_id) else {
            return Err(Refused::value("filter", filter_id, "a filter that is there"));
        };
        let mut changed = Filter::clone(filter);
        let mut rule = record.rule()?;
        rule.id = Some(id.clone());
        changed.push_rule(rule)?;
        self.registry.replace_filter(changed)?;
        let entry = self.restored(record.sequence, &record.owner);
        self.rules.put(id.clone(), entry);
        self.filter_of.insert(id, filter_id);
        Ok(())
    }

    fn restore_session(&mut self, id: SessionId, record: SessionRecord) -> Result<(), Refused> {
        let interface = NetworkInterfaceId::new(&record.network_interface)?;
        self.keep_interface(&interface, record.device)?;
        let number = SessionNumber::new(record.number)?;
        let (filter, target) = (FilterId::new(&record.filter)?, TargetId::new(&record.target)?);
        let mut session = Session::new(interface, number, filter, target);
        session.id = Some(id.clone());
        session.virtual_network_id = Some(VirtualNetworkId::new(record.virtual_network_id)?);
        session.packet_length = record.packet_length.map(PacketLength::new).transpose()?;
        session.description = record.description;
        session.tags = record.tags;
        self.registry.add_session(session)?;
        let entry = self.restored(record.sequence, &record.owner);
        self.sessions.put(id, entry);
        Ok(())
    }

    /// "An interface that disappears keeps its sessions", also where it is not there at the start.
    fn keep_interface(
        &mut self,
        id: &NetworkInterfaceId,
        device: Option<String>,
    ) -> Result<(), Invalid> {
        if self.registry.network_interface(id).is_some() {
            return Ok(());
        }
        let mut interface = NetworkInterface::new(id.clone());
        interface.device = device;
        self.registry.add_network_interface(interface)
    }
}

impl RuleRecord {
    fn rule(&self) -> Result<FilterRule, Invalid> {
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

/// In which order records are read.
fn rank(key: &str) -> Result<u8, Refused> {
    let kinds = ["target/", "filter/", "rule/", "session/", "token/"];
    let known = (0..).zip(kinds).find(|(_, kind)| key.starts_with(kind));
    known
        .map(|(rank, _)| rank)
        .ok_or_else(|| Refused::internal(format!("record {key}: of no kind")))
}

fn json<T: Serialize>(record: &T) -> Result<String, Refused> {
    serde_json::to_string(record).map_err(Refused::internal)
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Refused> {
    serde_json::from_str(text).map_err(Refused::internal)
}
