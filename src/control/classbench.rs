//! Rule sets and traces in the text format of ClassBench (Taylor and Turner, "ClassBench: A Packet
//! Classification Benchmark", INFOCOM 2005).
//!
//! A rule is a line `@source/len destination/len low : high low : high protocol/mask ...`. The
//! first rule has the highest priority. Fields after the protocol (flags) are ignored. A header of
//! a trace is a line `source destination source_port destination_port protocol ...` of decimal
//! numbers. IPv6 addresses are in their usual text form, in rules and in traces.
//!
//! Some ClassBench rules have ports and no protocol, or a protocol without ports. AWS does not
//! accept such rules. They are accepted here, because each header of a trace has ports.

use std::net::{IpAddr, Ipv4Addr};

use crate::dataplane::FlowKey;
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, InvalidValue, PortRange, Protocol,
    RuleAction, RuleNumber,
};

/// An invalid line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// The error, with the expected value.
    pub what: String,
}

/// Reads rules and skips empty lines. All are ingress rules with the action accept, numbered from 1
/// to the largest rule number and then from 1 again.
///
/// # Errors
/// [`LineError`] at the first line that is not a rule.
pub fn rules(text: &str) -> Result<Vec<FilterRule>, LineError> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .zip(0_u32..)
        .map(|((line, text), index)| rule(text, index).map_err(|what| LineError { line, what }))
        .collect()
}

/// Reads the headers of a trace and skips empty lines.
///
/// # Errors
/// [`LineError`] at the first line that is not a header.
pub fn trace(text: &str) -> Result<Vec<FlowKey>, LineError> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(line, text)| header(text).map_err(|what| LineError { line, what })).collect()
}

/// Distributes rules in their order over `wanted` filters, as evenly as their order allows, or over
/// more filters if one filter cannot number its rules. The rules get new numbers.
///
/// # Errors
/// [`InvalidValue`] if a rule number or filter id is invalid.
pub fn filters(rules: &[FilterRule], wanted: usize) -> Result<Vec<Filter>, InvalidValue> {
    let max_rules = usize::from(RuleNumber::MAX.value());
    let rules_per_filter = rules.len().div_ceil(wanted.max(1)).clamp(1, max_rules);
    let groups = (1..).zip(rules.chunks(rules_per_filter));
    groups.map(|(group, rules)| filter(group, rules)).collect()
}

/// The filter `tmf-GROUP`, with rules that are numbered from 1.
fn filter(group: usize, rules: &[FilterRule]) -> Result<Filter, InvalidValue> {
    let numbered = (1..)
        .zip(rules)
        .map(|(number, rule)| Ok(rule.clone().with_number(RuleNumber::new(number)?)));
    let rules: Vec<FilterRule> = numbered.collect::<Result<_, InvalidValue>>()?;
    let (filter, _) = Filter::from_rules(FilterId::new(&format!("tmf-{group}"))?, rules);
    Ok(filter)
}

/// The rule of a line; `index` is that of the rule, from 0.
fn rule(text: &str, index: u32) -> Result<FilterRule, String> {
    let text = text.trim().strip_prefix('@').ok_or("expected a rule that begins with @")?;
    let mut words = text.split_whitespace();
    let mut next = |name: &str| words.next().ok_or_else(|| format!("{name} is missing"));
    let source = block("source", next("source/len")?)?;
    let destination = block("destination", next("destination/len")?)?;
    let mut range = |name: &'static str| {
        let low = port(name, next(name)?)?;
        match next(name)? {
            ":" => ports(name, low, port(name, next(name)?)?),
            other => Err(format!("{name} {other:?}: expected `:` between two ports")),
        }
    };
    let source_ports = range("source_ports")?;
    let destination_ports = range("destination_ports")?;
    let protocol = protocol(next("protocol/mask")?)?;
    let number_count = u32::from(RuleNumber::MAX.value());
    let number = RuleNumber::new(i64::from(index % number_count) + 1).map_err(to_message)?;
    let mut rule =
        FilterRule::new(Direction::Ingress, number, RuleAction::Accept, source, destination)
            .map_err(to_message)?;
    if let Some(protocol) = protocol {
        rule = rule.with_protocol(protocol).map_err(to_message)?;
    }
    Ok(rule.with_ports_of_any_protocol(source_ports, destination_ports))
}

fn to_message(invalid: InvalidValue) -> String {
    invalid.to_string()
}

fn block(name: &'static str, text: &str) -> Result<CidrBlock, String> {
    CidrBlock::parse(name, text).map(|(block, _)| block).map_err(to_message)
}

fn port(name: &str, text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{name} {text:?}: expected a number from 0 to 65535"))
}

/// The port range, or `None` for all ports.
fn ports(name: &'static str, low: u16, high: u16) -> Result<Option<PortRange>, String> {
    if (low, high) == (0, u16::MAX) {
        return Ok(None);
    }
    PortRange::new(name, i64::from(low), i64::from(high)).map(Some).map_err(to_message)
}

/// The protocol, or `None` for all protocols.
fn protocol(text: &str) -> Result<Option<Protocol>, String> {
    let invalid = || format!("protocol {text:?}: expected 0xNN/0xFF or 0x00/0x00");
    let (value, mask) = text.split_once('/').ok_or_else(invalid)?;
    let hex = |digits: &str| {
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        u8::from_str_radix(digits, 16).map_err(|_| invalid())
    };
    match (hex(value)?, hex(mask)?) {
        (_, 0) => Ok(None),
        (value, 0xff) => Ok(Some(Protocol(value))),
        _ => Err(invalid()),
    }
}

fn header(text: &str) -> Result<FlowKey, String> {
    let mut words = text.split_whitespace();
    let mut next = |name: &str| words.next().ok_or_else(|| format!("{name} is missing"));
    let source = address("source", next("source")?)?;
    let destination = address("destination", next("destination")?)?;
    let source_port = port("source_port", next("source_port")?)?;
    let destination_port = port("destination_port", next("destination_port")?)?;
    let protocol = next("protocol")?;
    let protocol = protocol
        .parse()
        .map_err(|_| format!("protocol {protocol:?}: expected a number from 0 to 255"))?;
    if source.is_ipv4() != destination.is_ipv4() {
        return Err("expected source and destination of one address family".to_owned());
    }
    Ok(FlowKey::new(source, destination, protocol, Some((source_port, destination_port))))
}

fn address(name: &str, text: &str) -> Result<IpAddr, String> {
    let number = text.parse().map(|bits: u32| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    number.or_else(|_| text.parse()).map_err(|_| {
        format!("{name} {text:?}: expected an IPv4 address as a decimal number, or an IP address")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        "@45.1.46.96/29\t38.240.81.0/24\t0 : 65535\t53 : 1024\t0x11/0xFF\t0x0000/0x0000\t";

    #[test]
    fn a_rule_is_parsed() {
        let rules =
            rules(&format!("{RULE}\n\n@::/0 2001:db8::/32 0 : 65535 0 : 65535 0/0\n")).unwrap();
        let [first, second] = &rules[..] else { panic!("two rules") };
        assert_eq!(first.source().to_string(), "45.1.46.96/29");
        assert_eq!((first.source_ports(), first.protocol()), (None, Some(Protocol::UDP)));
        assert_eq!(first.destination_ports().map(PortRange::to_port), Some(1024));
        assert_eq!((second.number().value(), second.protocol()), (2, None));
        assert_eq!(second.destination().to_string(), "2001:db8::/32");
    }

    #[test]
    fn ports_are_kept_with_any_protocol() {
        let any = RULE.replace("0x11/0xFF", "0x00/0x00");
        let rules = rules(&format!("{any}\n{}\n", RULE.replace("0x11", "0x02"))).unwrap();
        let protocols: Vec<_> = rules.iter().map(|rule| rule.protocol()).collect();
        assert_eq!(protocols, [None, Some(Protocol(2))]);
        assert!(rules.iter().all(|rule| rule.destination_ports().is_some()));
    }

    #[test]
    fn a_trace_header_is_parsed() {
        let keys = trace("3342508625 3434317512 7 22 6 33559040 29\n").unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let wanted =
            FlowKey::new(address("199.58.162.81"), address("204.179.134.200"), 6, Some((7, 22)));
        assert_eq!(keys, [wanted]);
    }

    #[test]
    fn an_invalid_line_is_an_error_with_its_number() {
        let message = |text: &str| rules(text).unwrap_err().to_string();
        assert_eq!(message("\n1.2.3.4/8"), "line 2: expected a rule that begins with @");
        assert!(message("@1.2.3.4/33 0.0.0.0/0 0 : 1 0 : 1 6/ff").contains("1.2.3.4/33"));
        assert!(message(&RULE.replace("0xFF", "0x0F")).contains("protocol"));
        assert!(message(&RULE.replace("53 : 1024", "53 - 1024")).contains("destination_ports"));
        assert_eq!(trace("1 2 3").unwrap_err().what, "destination_port is missing");
        assert!(trace("1 2 3 4 256").unwrap_err().what.contains("256"));
    }

    #[test]
    fn rules_are_divided_among_filters_in_order() {
        let rules = rules(&format!("{RULE}\n").repeat(10)).unwrap();
        let filters = filters(&rules, 3).unwrap();
        let lens: Vec<usize> = filters.iter().map(|one| one.all_rules().len()).collect();
        assert_eq!(lens, [4, 4, 2]);
        assert_eq!(super::filters(&[], 3).unwrap(), []);
    }
}
