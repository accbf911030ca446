//! Restores resources from records.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::format::{FilterRecord, InterfaceRecord, RuleRecord, SessionRecord, TargetRecord};
use crate::control::account::api_error::ApiError;
use crate::control::account::{Account, Ownership};
use crate::control::vpc::synthetic_mac;
use crate::model::{
    Filter, FilterId, FilterRuleId, InvalidValue, NetworkInterface, NetworkInterfaceId,
    PacketLength, Session, SessionId, SessionNumber, Target, TargetId, TargetKind,
    VirtualNetworkId,
};

impl Account {
    /// Adds the resources and client tokens of the records of an earlier run.
    ///
    /// # Errors
    /// [`ApiError`] for a record that cannot be read or contradicts another one.
    pub fn restore(
        &mut self,
        records: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ApiError> {
        let mut records: Vec<(u8, String, String)> = records
            .into_iter()
            .map(|(key, text)| Ok((restore_order(&key)?, key, text)))
            .collect::<Result<_, ApiError>>()?;
        records.sort();
        for (_, key, text) in &records {
            let restored = self.restore_one(key, text);
            restored
                .map_err(|why| ApiError::new("InternalError", format!("record {key}: {why}")))?;
        }
        self.changed.clear();
        Ok(())
    }

    fn restore_one(&mut self, key: &str, text: &str) -> Result<(), ApiError> {
        let (kind, id) = key.split_once('/').unwrap_or_default();
        match kind {
            "network-interface" => {
                self.restore_interface(NetworkInterfaceId::new(id)?, from_json(text)?)
            }
            "target" => self.restore_target(TargetId::new(id)?, from_json(text)?),
            "filter" => self.restore_filter(FilterId::new(id)?, from_json(text)?),
            "rule" => self.restore_rule(FilterRuleId::new(id)?, from_json(text)?),
            "session" => self.restore_session(SessionId::new(id)?, from_json(text)?),
            _ => {
                let (owner, token) = id.split_once('/').unwrap_or_default();
                self.tokens.restore(owner, token, from_json(text)?);
                Ok(())
            }
        }
    }

    fn restored_ownership(&mut self, sequence: u64, owner: &str) -> Ownership {
        self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
        Ownership { sequence, owner: Arc::from(owner), is_from_file: false }
    }

    fn restore_interface(
        &mut self,
        id: NetworkInterfaceId,
        record: InterfaceRecord,
    ) -> Result<(), ApiError> {
        let mut interface = NetworkInterface::new(id.clone());
        interface.mac_address = Some(synthetic_mac(&id));
        interface.private_ip_addresses = record.addresses;
        interface.interface_type = record.interface_type;
        interface.created_s = record.created_s;
        interface.is_detached = record.is_detached;
        interface.description = record.description;
        interface.tags = record.tags;
        self.registry.add_network_interface(interface)?;
        let ownership = self.restored_ownership(record.sequence, &record.owner);
        self.network_interfaces.insert(id, ownership);
        Ok(())
    }

    fn restore_target(&mut self, id: TargetId, record: TargetRecord) -> Result<(), ApiError> {
        let kind = match &*record.kind {
            "network-interface" => {
                let id = NetworkInterfaceId::new(&record.name)?;
                self.ensure_interface(&id, None)?;
                TargetKind::NetworkInterface(id)
            }
            "network-load-balancer" => TargetKind::NetworkLoadBalancer(record.name),
            "gateway-load-balancer-endpoint" => {
                TargetKind::GatewayLoadBalancerEndpoint(record.name)
            }
            other => {
                return Err(ApiError::invalid_value(
                    "kind",
                    other,
                    "network-interface, network-load-balancer or gateway-load-balancer-endpoint",
                ));
            }
        };
        let mut target = Target::new(id.clone(), kind);
        let last = record.address.iter().chain(&record.further_addresses);
        let canonical = |one: &SocketAddr| SocketAddr::new(one.ip().to_canonical(), one.port());
        target.sources.last = last.map(canonical).collect();
        target.sources.pinned = record.pinned_addresses;
        target.description = record.description;
        target.tags = record.tags;
        self.registry.add_target(target)?;
        self.recheck_target(&id);
        let ownership = self.restored_ownership(record.sequence, &record.owner);
        self.targets.insert(id, ownership);
        Ok(())
    }

    fn restore_filter(&mut self, id: FilterId, record: FilterRecord) -> Result<(), ApiError> {
        let mut filter = Filter::new(id.clone());
        filter.amazon_dns = record.amazon_dns;
        filter.description = record.description;
        filter.tags = record.tags;
        self.registry.add_filter(filter)?;
        let ownership = self.restored_ownership(record.sequence, &record.owner);
        self.filters.insert(id, ownership);
        Ok(())
    }

    fn restore_rule(&mut self, id: FilterRuleId, record: RuleRecord) -> Result<(), ApiError> {
        if self.filter_of.contains_key(&id) {
            let expected = "an id that no other rule has";
            return Err(ApiError::invalid_value("FilterRuleId", id, expected));
        }
        let filter_id = FilterId::new(&record.filter)?;
        let Some(filter) = self.registry.filter(&filter_id) else {
            return Err(ApiError::invalid_value(
                "filter",
                filter_id,
                "the id of a filter in the state",
            ));
        };
        let mut changed = Filter::clone(filter);
        let mut rule = record.rule()?;
        rule.id = Some(id.clone());
        changed.push_rule(rule)?;
        self.registry.replace_filter(changed)?;
        let ownership = self.restored_ownership(record.sequence, &record.owner);
        self.rules.insert(id.clone(), ownership);
        self.filter_of.insert(id, filter_id);
        Ok(())
    }

    fn restore_session(&mut self, id: SessionId, record: SessionRecord) -> Result<(), ApiError> {
        let interface = NetworkInterfaceId::new(&record.network_interface)?;
        self.ensure_interface(&interface, record.device)?;
        let number = SessionNumber::new(record.number)?;
        let (filter, target) = (FilterId::new(&record.filter)?, TargetId::new(&record.target)?);
        let mut session = Session::new(interface, number, filter, target);
        session.id = Some(id.clone());
        session.virtual_network_id = Some(VirtualNetworkId::new(record.virtual_network_id)?);
        session.packet_length = record.packet_length.map(PacketLength::new).transpose()?;
        session.description = record.description;
        session.tags = record.tags;
        self.registry.add_session(session)?;
        let ownership = self.restored_ownership(record.sequence, &record.owner);
        self.sessions.insert(id, ownership);
        Ok(())
    }

    /// Adds the interface of a session or target if it does not exist: an interface that disappears
    /// keeps its sessions.
    pub(in crate::control::account) fn ensure_interface(
        &mut self,
        id: &NetworkInterfaceId,
        device: Option<String>,
    ) -> Result<(), InvalidValue> {
        if self.registry.network_interface(id).is_some() {
            return Ok(());
        }
        let mut interface = NetworkInterface::new(id.clone());
        interface.device = device;
        interface.is_discovered = true;
        self.registry.add_network_interface(interface)
    }
}

/// The rank of a record in the order of reading.
fn restore_order(key: &str) -> Result<u8, ApiError> {
    let kinds = ["network-interface/", "target/", "filter/", "rule/", "session/", "token/"];
    let known = (0..).zip(kinds).find(|(_, kind)| key.starts_with(kind));
    known
        .map(|(rank, _)| rank)
        .ok_or_else(|| ApiError::internal(format!("record {key}: unknown kind of record")))
}

fn from_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(ApiError::internal)
}
