//! Resources as records in a state store, from which an account is restored after a restart.
//!
//! A record has a key and a JSON text. The account collects the keys of changed records in a set,
//! so that each record is written once per commit, no matter how often its resource changed.

mod format;
mod restore;

use serde::Serialize;

use self::format::{FilterRecord, InterfaceRecord, RuleRecord, SessionRecord, TargetRecord};
use super::Account;
use super::api_error::ApiError;
use super::record_key::RecordKey;
use super::undo::UndoLog;
use crate::model::{
    CidrBlock, FilterId, FilterRuleId, NetworkInterfaceId, PacketLength, PortRange, SessionId,
    TargetId, TargetKind,
};

/// A record to write, or to delete if it has no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `session/tms-...`
    pub key: String,
    /// JSON.
    pub text: Option<String>,
}

impl Record {
    /// A warning about a rule for protocol 0, HOPOPT, which the author of the rule may have meant as
    /// all protocols.
    #[must_use]
    pub fn protocol_zero_warning(&self) -> Option<String> {
        let (id, text) = (self.key.strip_prefix("rule/")?, self.text.as_deref()?);
        // Most records need no parser.
        let rule = text.contains("\"protocol\":0").then(|| serde_json::from_str(text).ok())?;
        rule.filter(|rule: &RuleRecord| rule.protocol == Some(0)).map(|_| {
            format!(
                "rule {id}: protocol 0 is HOPOPT, not all protocols; a rule without Protocol matches \
                 all protocols"
            )
        })
    }
}

impl Account {
    /// The records that changed since [`Account::mark_persisted`], to be written in one
    /// transaction.
    ///
    /// # Errors
    /// [`ApiError`] if a resource cannot be serialized, which is an internal error.
    pub fn unpersisted_records(&self) -> Result<Vec<Record>, ApiError> {
        self.changed.iter().map(|key| self.record(key)).collect()
    }

    /// The number of [`Account::unpersisted_records`].
    #[must_use]
    pub fn unpersisted_len(&self) -> usize {
        self.changed.len()
    }

    /// Reports that all changed records were written. Changes whose undo log was not taken can no
    /// longer be undone.
    pub fn mark_persisted(&mut self) {
        self.changed.clear();
        self.undo_log = UndoLog::default();
    }

    /// The records that changed since the last call, which count as written.
    ///
    /// # Errors
    /// That of [`Account::unpersisted_records`]; then none counts as written.
    pub fn take_changes(&mut self) -> Result<Vec<Record>, ApiError> {
        let records = self.unpersisted_records()?;
        self.mark_persisted();
        Ok(records)
    }

    fn record(&self, key: &RecordKey) -> Result<Record, ApiError> {
        let (key, text) = match key {
            RecordKey::NetworkInterface(id) => {
                (format!("network-interface/{id}"), self.interface_record(id)?)
            }
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

    fn interface_record(&self, id: &NetworkInterfaceId) -> Result<Option<String>, ApiError> {
        let known = self.registry.network_interface(id).zip(self.network_interfaces.get(id));
        let Some((interface, ownership)) = known else { return Ok(None) };
        to_json(&InterfaceRecord {
            sequence: ownership.sequence,
            owner: ownership.owner.to_string(),
            addresses: interface.private_ip_addresses.clone(),
            interface_type: interface.interface_type.clone(),
            created_s: interface.created_s,
            is_detached: interface.is_detached,
            description: interface.description.clone(),
            tags: interface.tags.clone(),
        })
        .map(Some)
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
            TargetKind::Address => return Err(ApiError::internal("a target has no kind")),
        };
        let mut lasting = self.lasting_addresses(target).into_iter();
        to_json(&TargetRecord {
            sequence: ownership.sequence,
            owner: ownership.owner.to_string(),
            kind: kind.to_owned(),
            name,
            address: lasting.next(),
            further_addresses: lasting.collect(),
            pinned_addresses: target.sources.pinned.clone(),
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
        let network_id =
            network_id.ok_or_else(|| ApiError::internal("a session has no VirtualNetworkId"))?;
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

fn to_json<T: Serialize>(record: &T) -> Result<String, ApiError> {
    serde_json::to_string(record).map_err(ApiError::internal)
}
