//! The JSON of each kind of record in a state file.
//!
//! Unknown fields are an error, so that an earlier version does not silently lose the fields of a
//! state file that a later version wrote.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::model::{
    CidrBlock, Direction, FilterRule, InvalidValue, PortRange, Protocol, RuleAction, RuleNumber,
    Tags,
};

/// A network interface that a client created. Its Ethernet address is derived from its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceRecord {
    pub(super) sequence: u64,
    pub(super) owner: String,
    /// The primary IPv4 address is the first.
    pub(super) addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) interface_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created_s: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_detached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetRecord {
    pub(super) sequence: u64,
    pub(super) owner: String,
    /// `network-interface`, `network-load-balancer` or `gateway-load-balancer-endpoint`.
    pub(super) kind: String,
    /// The id or ARN of the resource that receives the copies.
    pub(super) name: String,
    /// The last address that copies were sent to, used if no other source gives an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) further_addresses: Vec<SocketAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pinned_addresses: Vec<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterRecord {
    pub(super) sequence: u64,
    pub(super) owner: String,
    pub(super) amazon_dns: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleRecord {
    pub(super) sequence: u64,
    pub(super) owner: String,
    pub(super) filter: String,
    pub(super) direction: String,
    pub(super) number: u16,
    pub(super) action: String,
    /// Address and prefix length, also of the destination.
    pub(super) source: (IpAddr, u8),
    pub(super) destination: (IpAddr, u8),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source_ports: Option<(u16, u16)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) destination_ports: Option<(u16, u16)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRecord {
    pub(super) sequence: u64,
    pub(super) owner: String,
    pub(super) network_interface: String,
    /// The name of the device, for an interface that does not exist at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    pub(super) target: String,
    pub(super) filter: String,
    pub(super) number: u16,
    pub(super) virtual_network_id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) packet_length: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
}

impl RuleRecord {
    /// The rule, without its id.
    pub(super) fn rule(&self) -> Result<FilterRule, InvalidValue> {
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
