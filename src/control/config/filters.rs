//! Converts tables to filters and rules.

use std::collections::HashMap;

use super::document::{SourcePosition, Table, Value};
use super::fields::Fields;
use super::resources::{description, tags};
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, FilterRuleId, InvalidValue, PortRange,
    Protocol, RuleAction, RuleNumber,
};

pub(super) const FILTER: [&str; 5] =
    ["traffic_mirror_filter_id", "network_services", "rule", "description", "tags"];

pub(super) const RULE: [&str; 11] = [
    "traffic_mirror_filter_rule_id",
    "traffic_direction",
    "rule_number",
    "rule_action",
    "protocol",
    "source_cidr_block",
    "destination_cidr_block",
    "source_port_range",
    "destination_port_range",
    "description",
    "tags",
];

pub(super) const PORT_RANGE: [&str; 2] = ["from_port", "to_port"];

/// Protocols that a rule may name, with their IANA numbers.
const PROTOCOLS: [(&str, i64); 10] = [
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("sctp", 132),
];

const EXPECTED_BLOCK: &str = "a CIDR block such as 0.0.0.0/0";

/// The position of the id of each rule of all filters.
pub(super) type RuleIds = HashMap<FilterRuleId, SourcePosition>;

pub(super) fn filter(
    fields: &mut Fields<'_, '_, '_, '_>,
    rule_ids: &mut RuleIds,
) -> Option<Filter> {
    fields.require("traffic_mirror_filter_id", "a name such as tmf-web");
    let id = fields.text("traffic_mirror_filter_id", FilterId::new);
    let services = fields.texts("network_services", network_service);
    let (description, tags) = (description(fields), tags(fields));
    let tables = fields.tables("rule");
    let mut rules = Vec::with_capacity(tables.len());
    let mut rule_tables = Vec::with_capacity(tables.len());
    for (position, table) in tables {
        if let Some(one) = rule(&mut Fields::new(table, position, &RULE, fields.out)) {
            rules.push(one);
            rule_tables.push(table);
        }
    }
    report_duplicate_rule_numbers(&rules, &rule_tables, fields);
    report_duplicate_rule_ids(&mut rules, &rule_tables, rule_ids, fields);
    // The rules are read even if the id is invalid, so that their errors are reported too.
    let (mut filter, _) = Filter::from_rules(id?, rules);
    filter.amazon_dns = !services.is_empty();
    filter.description = description;
    filter.tags = tags;
    Some(filter)
}

fn network_service(text: &str) -> Result<(), InvalidValue> {
    if text.eq_ignore_ascii_case(Filter::AMAZON_DNS) {
        return Ok(());
    }
    Err(InvalidValue::new("network_services", text, "amazon-dns, the only network service"))
}

/// Reports rule numbers that an earlier rule of the direction has. `tables` are those of `rules`.
fn report_duplicate_rule_numbers(
    rules: &[FilterRule],
    tables: &[&Table<'_>],
    fields: &mut Fields<'_, '_, '_, '_>,
) {
    let mut known: HashMap<(Direction, RuleNumber), SourcePosition> =
        HashMap::with_capacity(rules.len());
    for (rule, table) in rules.iter().zip(tables) {
        let Some(entry) = table.entry("rule_number") else { continue };
        let key = (rule.direction(), rule.number());
        match known.get(&key) {
            Some(first) => {
                let expected = format!("a number that no other {} rule has", rule.direction());
                fields.out.report_duplicate(entry, expected, *first);
            }
            None => {
                known.insert(key, entry.value.position);
            }
        }
    }
}

/// Reports and removes rule ids that an earlier rule of any filter has. `tables` are those of
/// `rules`.
fn report_duplicate_rule_ids(
    rules: &mut [FilterRule],
    tables: &[&Table<'_>],
    known: &mut RuleIds,
    fields: &mut Fields<'_, '_, '_, '_>,
) {
    for (rule, table) in rules.iter_mut().zip(tables) {
        let entry = table.entry("traffic_mirror_filter_rule_id");
        let Some((id, entry)) = rule.id.clone().zip(entry) else { continue };
        let first = *known.entry(id).or_insert(entry.value.position);
        if first != entry.value.position {
            fields.out.report_duplicate(entry, "an id that no other rule has", first);
            rule.id = None;
        }
    }
}

fn rule(fields: &mut Fields<'_, '_, '_, '_>) -> Option<FilterRule> {
    fields.require("traffic_direction", "ingress or egress");
    fields.require("rule_number", "a number from 1 to 32766");
    fields.require("rule_action", "accept or reject");
    fields.require("source_cidr_block", EXPECTED_BLOCK);
    fields.require("destination_cidr_block", EXPECTED_BLOCK);
    let id = fields.text("traffic_mirror_filter_rule_id", FilterRuleId::new);
    let direction = fields.text("traffic_direction", Direction::parse);
    let number = fields.number("rule_number", RuleNumber::new);
    let action = fields.text("rule_action", RuleAction::parse);
    let source = cidr_block("source_cidr_block", fields);
    let destination = cidr_block("destination_cidr_block", fields);
    let (protocol, is_protocol_valid) = protocol(fields);
    let rule_match = RuleMatch {
        protocol,
        is_protocol_valid,
        source_ports: port_range("source_port_range", fields),
        destination_ports: port_range("destination_port_range", fields),
    };
    let (description, tags) = (description(fields), tags(fields));
    let (source, destination) = (source?, destination?);
    let required = direction.zip(number).zip(action);
    // Placeholders let `FilterRule::new` check the blocks even if another field is invalid.
    let ((direction, number), action) =
        required.unwrap_or(((Direction::Ingress, RuleNumber::MIN), RuleAction::Reject));
    let mut rule = match FilterRule::new(direction, number, action, source, destination) {
        Ok(rule) => rule_match.apply_to(rule, fields),
        Err(invalid) => {
            fields.report_invalid(invalid);
            return None;
        }
    };
    (rule.id, rule.description, rule.tags) = (id, description, tags);
    required.and(Some(rule))
}

/// A protocol: its number, or the name of a common one in any case. `None` means all protocols, as
/// the number 0 does in files with the names of Terraform. Also returns whether the field is valid.
fn protocol(fields: &mut Fields<'_, '_, '_, '_>) -> (Option<Protocol>, bool) {
    let Some(entry) = fields.entry("protocol") else { return (None, true) };
    let protocol = match &entry.value.value {
        Value::String(text) if text.parse::<i64>().is_ok() => {
            fields.text("protocol", |text| Protocol::new(text.parse::<i64>().unwrap_or(i64::MAX)))
        }
        Value::String(_) => {
            let named = fields.text("protocol", protocol_of_name);
            return (named, named.is_some());
        }
        _ => fields.number("protocol", Protocol::new),
    };
    if protocol != Some(Protocol(0)) {
        return (protocol, protocol.is_some());
    }
    if fields.out.is_toml_spelling(entry.value.position) {
        return (None, true);
    }
    let note = "matches only HOPOPT, the protocol with the number 0; leave Protocol out to match \
                all protocols";
    fields.out.report_adjusted(entry, note.to_owned());
    (protocol, true)
}

fn protocol_of_name(name: &str) -> Result<Protocol, InvalidValue> {
    let known = PROTOCOLS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    known.map(|(_, number)| *number).map(Protocol::new).unwrap_or_else(|| {
        let names = PROTOCOLS.map(|(name, _)| name).join(", ");
        let expected = format!("a number from 0 to 255, or one of {names}");
        Err(InvalidValue::new("protocol", name, expected))
    })
}

fn cidr_block(key: &'static str, fields: &mut Fields<'_, '_, '_, '_>) -> Option<CidrBlock> {
    let (block, cleared) = fields.text(key, |text| CidrBlock::parse(key, text))?;
    if let Some(entry) = fields.entry(key).filter(|_| cleared) {
        fields
            .out
            .report_adjusted(entry, format!("using {block}: host bits are cleared, as EC2 does"));
    }
    Some(block)
}

fn port_range(key: &'static str, fields: &mut Fields<'_, '_, '_, '_>) -> Option<PortRange> {
    let (entry, table) = fields.table(key)?;
    let position = entry.value.position;
    let mut inner = Fields::new(table, position, &PORT_RANGE, fields.out);
    inner.require("from_port", "a port from 0 to 65535");
    inner.require("to_port", "a port from 0 to 65535");
    let (from, to) = (inner.number("from_port", port), inner.number("to_port", port));
    match PortRange::new(key, from?, to?) {
        Ok(range) => Some(range),
        Err(invalid) => {
            fields.report_invalid(invalid);
            None
        }
    }
}

fn port(number: i64) -> Result<u16, InvalidValue> {
    u16::try_from(number).map_err(|_| InvalidValue::new("port", number, "a port from 0 to 65535"))
}

/// The optional conditions of a rule.
struct RuleMatch {
    protocol: Option<Protocol>,
    is_protocol_valid: bool,
    source_ports: Option<PortRange>,
    destination_ports: Option<PortRange>,
}

impl RuleMatch {
    fn apply_to(self, mut rule: FilterRule, fields: &mut Fields<'_, '_, '_, '_>) -> FilterRule {
        if let Some(protocol) = self.protocol {
            // A rule without ports accepts every protocol, so this does not fail.
            rule = rule.clone().with_protocol(protocol).unwrap_or(rule);
        } else if !self.is_protocol_valid {
            // The error was reported. The ports cannot be checked.
            return rule;
        }
        if let Some(ports) = self.source_ports {
            match rule.clone().with_source_ports(ports) {
                Ok(narrowed) => rule = narrowed,
                Err(invalid) => fields.report_invalid(invalid),
            }
        }
        if let Some(ports) = self.destination_ports {
            match rule.clone().with_destination_ports(ports) {
                Ok(narrowed) => rule = narrowed,
                Err(invalid) => fields.report_invalid(invalid),
            }
        }
        rule
    }
}
