//! Renders a registry in Terraform's configuration language.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display, Write as _};

use super::aws_json::address_tag;
use crate::control::Registry;
use crate::model::{Filter, FilterRule, PortRange, Session, Tags, Target, TargetKind};

/// Resources of the AWS provider that refer to each other by name. A resource whose id has the
/// format of EC2 gets an `import` block, so that Terraform adopts the existing resource.
///
/// Terraform has no arguments for settings, rate limits, MTUs, devices and tags of rules. The tag
/// `mirror:address` contains the own address of a target. If a target has only an address, the
/// network interface that AWS requires is a variable. Terraform treats zero as unset: a
/// VirtualNetworkId of 0 and a rule for protocol 0 are left out, and a comment says so.
#[must_use]
pub fn to_terraform(registry: &Registry) -> String {
    let names = ResourceNames::new(registry);
    let mut text = String::new();
    // Writing to a string never fails.
    let _ = write(registry, &names, &mut text);
    text
}

const TARGET: &str = "aws_ec2_traffic_mirror_target";
const FILTER: &str = "aws_ec2_traffic_mirror_filter";
const RULE: &str = "aws_ec2_traffic_mirror_filter_rule";
const SESSION: &str = "aws_ec2_traffic_mirror_session";

/// The Terraform name of each resource: its id with invalid characters replaced.
#[derive(Default)]
struct ResourceNames {
    by_id: HashMap<(&'static str, String), String>,
    taken: HashSet<(&'static str, String)>,
}

impl ResourceNames {
    fn new(registry: &Registry) -> Self {
        let mut names = Self::default();
        for target in registry.targets() {
            names.put(TARGET, target.id().as_str());
        }
        for filter in registry.filters() {
            names.put(FILTER, filter.id().as_str());
        }
        names
    }

    fn put(&mut self, kind: &'static str, id: &str) {
        let name = self.unique_name(kind, id);
        self.by_id.insert((kind, id.to_owned()), name);
    }

    /// "Names must start with a letter or underscore, and may contain only letters, digits,
    /// underscores, and dashes."
    fn unique_name(&mut self, kind: &'static str, id: &str) -> String {
        let is_valid = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-');
        let valid: String = id.chars().map(|one| if is_valid(one) { one } else { '_' }).collect();
        let starts_valid = valid.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_');
        let base = if starts_valid { valid } else { format!("_{valid}") };
        let mut name = base.clone();
        for number in 2_u64.. {
            if self.taken.insert((kind, name.clone())) {
                break;
            }
            name = format!("{base}_{number}");
        }
        name
    }

    fn of(&self, kind: &'static str, id: &str) -> &str {
        self.by_id.get(&(kind, id.to_owned())).map_or("", |name| name)
    }
}

fn write(registry: &Registry, names: &ResourceNames, out: &mut String) -> fmt::Result {
    registry.targets().iter().try_for_each(|one| target(names, one, out))?;
    let mut rules = ResourceNames::default();
    for one in registry.filters() {
        filter(names, one, out)?;
        for filter_rule in one.all_rules() {
            rule((names, &mut rules), one, filter_rule, out)?;
        }
    }
    let mut sessions = ResourceNames::default();
    registry.sessions().iter().try_for_each(|one| session((names, &mut sessions), one, out))
}

/// Writes a block with its arguments aligned as `terraform fmt` aligns them.
struct BlockWriter<'o> {
    out: &'o mut String,
    /// Arguments that are not yet written, because their longest name is not yet known.
    pending: Vec<(String, String)>,
}

impl<'o> BlockWriter<'o> {
    fn open(kind: &str, name: &str, out: &'o mut String) -> Result<Self, fmt::Error> {
        let gap = if out.is_empty() { "" } else { "\n" };
        writeln!(out, "{gap}resource \"{kind}\" \"{name}\" {{")?;
        Ok(Self { out, pending: Vec::new() })
    }

    fn raw(&mut self, key: &str, value: impl Display) {
        self.pending.push((key.to_owned(), value.to_string()));
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.raw(key, quoted(value));
        }
    }

    fn number(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.raw(key, value);
        }
    }

    fn flush(&mut self, indent: &str) -> fmt::Result {
        let longest = self.pending.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
        for (key, value) in self.pending.drain(..) {
            writeln!(self.out, "{indent}{key:longest$} = {value}")?;
        }
        Ok(())
    }

    fn ports(&mut self, key: &str, range: Option<PortRange>) -> fmt::Result {
        let Some(range) = range else { return Ok(()) };
        self.flush("  ")?;
        writeln!(self.out, "\n  {key} {{")?;
        self.raw("from_port", range.from_port());
        self.raw("to_port", range.to_port());
        self.flush("    ")?;
        writeln!(self.out, "  }}")
    }

    fn tags(&mut self, tags: &Tags) -> fmt::Result {
        if tags.is_empty() {
            return Ok(());
        }
        self.flush("  ")?;
        writeln!(self.out, "\n  tags = {{")?;
        for (key, value) in tags {
            self.raw(&quoted(key), quoted(value));
        }
        self.flush("    ")?;
        writeln!(self.out, "  }}")
    }

    fn close(mut self) -> fmt::Result {
        self.flush("  ")?;
        writeln!(self.out, "}}")
    }
}

/// Writes the variable for the network interface of a target that has only an address.
fn variable(target: &str, out: &mut String) -> Result<String, fmt::Error> {
    let gap = if out.is_empty() { "" } else { "\n" };
    let name = format!("{target}_network_interface_id");
    writeln!(out, "{gap}variable \"{name}\" {{")?;
    writeln!(out, "  description = \"The network interface that receives the copies.\"")?;
    writeln!(out, "  type        = string\n}}")?;
    Ok(format!("var.{name}"))
}

/// Writes a comment about a value that Terraform cannot express.
fn comment(text: impl Display, out: &mut String) -> fmt::Result {
    let gap = if out.is_empty() { "" } else { "\n" };
    writeln!(out, "{gap}# {text}")
}

fn target(names: &ResourceNames, target: &Target, out: &mut String) -> fmt::Result {
    let name = names.of(TARGET, target.id().as_str());
    let interface = match target.kind {
        TargetKind::Address => Some(variable(name, out)?),
        _ => None,
    };
    let mut block = BlockWriter::open(TARGET, name, out)?;
    block.text("description", target.description.as_deref());
    match &target.kind {
        TargetKind::Address => block.number("network_interface_id", interface),
        TargetKind::NetworkInterface(id) => {
            block.text("network_interface_id", Some(id.as_str()));
        }
        TargetKind::NetworkLoadBalancer(arn) => block.text("network_load_balancer_arn", Some(arn)),
        TargetKind::GatewayLoadBalancerEndpoint(id) => {
            block.text("gateway_load_balancer_endpoint_id", Some(id));
        }
    }
    let mut tags = target.tags.clone();
    tags.extend(address_tag(target));
    block.tags(&tags)?;
    block.close()?;
    import((TARGET, name), "tmt-", target.id().as_str(), out)
}

fn filter(names: &ResourceNames, filter: &Filter, out: &mut String) -> fmt::Result {
    let name = names.of(FILTER, filter.id().as_str());
    let mut block = BlockWriter::open(FILTER, name, out)?;
    block.text("description", filter.description.as_deref());
    if filter.amazon_dns {
        block.raw("network_services", format_args!("[{}]", quoted(Filter::AMAZON_DNS)));
    }
    block.tags(&filter.tags)?;
    block.close()?;
    import((FILTER, name), "tmf-", filter.id().as_str(), out)
}

fn rule(
    (names, rules): (&ResourceNames, &mut ResourceNames),
    filter: &Filter,
    rule: &FilterRule,
    out: &mut String,
) -> fmt::Result {
    let of_filter = names.of(FILTER, filter.id().as_str());
    let (direction, number) = (rule.direction().as_str(), rule.number().value());
    if rule.protocol().is_some_and(|protocol| protocol.0 == 0) {
        let omitted = format_args!("{direction} rule {number} of {of_filter}");
        return comment(
            format_args!("{omitted} is left out: protocol 0 is every protocol in Terraform"),
            out,
        );
    }
    let name = rules.unique_name(RULE, &format!("{of_filter}_{direction}_{number}"));
    let mut block = BlockWriter::open(RULE, &name, out)?;
    block.text("description", rule.description.as_deref());
    block.raw("traffic_mirror_filter_id", format_args!("{FILTER}.{of_filter}.id"));
    block.text("traffic_direction", Some(direction));
    block.raw("rule_number", number);
    block.text("rule_action", Some(rule.action().as_str()));
    block.number("protocol", rule.protocol().map(|protocol| protocol.0));
    block.text("source_cidr_block", Some(&rule.source().to_string()));
    block.text("destination_cidr_block", Some(&rule.destination().to_string()));
    block.ports("source_port_range", rule.source_ports())?;
    block.ports("destination_port_range", rule.destination_ports())?;
    block.close()?;
    let Some(id) = &rule.id else { return Ok(()) };
    if !is_given_by_ec2("tmf-", filter.id().as_str()) || !is_given_by_ec2("tmfr-", id.as_str()) {
        return Ok(());
    }
    import_as((RULE, &name), &format!("{}:{id}", filter.id()), out)
}

fn session(
    (names, sessions): (&ResourceNames, &mut ResourceNames),
    session: &Session,
    out: &mut String,
) -> fmt::Result {
    let id = session.id.as_ref().map(|id| id.as_str());
    let derived = format!("{}_{}", session.network_interface_id, session.number.value());
    let name = sessions.unique_name(SESSION, id.unwrap_or(&derived));
    let network = session.virtual_network_id.map(|id| id.value());
    if network == Some(0) {
        comment(
            format_args!("{name} has VirtualNetworkId 0, which Terraform cannot express"),
            out,
        )?;
    }
    let mut block = BlockWriter::open(SESSION, &name, out)?;
    block.text("description", session.description.as_deref());
    block.text("network_interface_id", Some(session.network_interface_id.as_str()));
    let target = names.of(TARGET, session.target_id.as_str());
    block.raw("traffic_mirror_target_id", format_args!("{TARGET}.{target}.id"));
    let filter = names.of(FILTER, session.filter_id.as_str());
    block.raw("traffic_mirror_filter_id", format_args!("{FILTER}.{filter}.id"));
    block.raw("session_number", session.number.value());
    block.number("packet_length", session.packet_length.map(|length| length.value()));
    block.number("virtual_network_id", network.filter(|id| *id != 0));
    block.tags(&session.tags)?;
    block.close()?;
    import((SESSION, &name), "tms-", id.unwrap_or_default(), out)
}

fn import(resource: (&str, &str), prefix: &str, id: &str, out: &mut String) -> fmt::Result {
    if is_given_by_ec2(prefix, id) { import_as(resource, id, out) } else { Ok(()) }
}

fn import_as((kind, name): (&str, &str), id: &str, out: &mut String) -> fmt::Result {
    writeln!(out, "\nimport {{\n  to = {kind}.{name}\n  id = {}\n}}", quoted(id))
}

/// Whether an id has the format of EC2: the prefix and 8 or 17 hex digits.
fn is_given_by_ec2(prefix: &str, id: &str) -> bool {
    let digits = id.strip_prefix(prefix).unwrap_or_default();
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(digits.len(), 8 | 17) && digits.bytes().all(is_hex)
}

/// A string literal in which template sequences are escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut last = ' ';
    for one in text.chars() {
        match one {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // `${` and `%{` begin a template; `$${` and `%%{` are these characters themselves.
            '{' if matches!(last, '$' | '%') => {
                quoted.push(last);
                quoted.push('{');
            }
            control if control.is_control() => {
                // Writing to a string never fails.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
        last = one;
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_sequences_are_escaped() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
        assert_eq!(quoted("${x} %{y} $ {"), r#""$${x} %%{y} $ {""#);
        assert_eq!(quoted("\u{7}"), "\"\\u0007\"");
    }

    #[test]
    fn resource_names_are_valid_and_unique() {
        let mut names = ResourceNames::default();
        let fresh: Vec<String> =
            ["tmf-1", "1 a", "1_a", "\u{e9}"].map(|id| names.unique_name(FILTER, id)).into();
        assert_eq!(fresh, ["tmf-1", "_1_a", "_1_a_2", "_"]);
    }
}
