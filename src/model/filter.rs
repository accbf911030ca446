//! Filters: numbered accept and reject rules for each direction, and network services.

use std::fmt;

use super::{
    CidrBlock, Direction, FilterId, FilterRuleId, InvalidValue, PortRange, Protocol, RuleNumber,
    Tags,
};

/// The action of a rule on a packet that matches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// The session mirrors the packet.
    Accept,
    /// The session does not mirror the packet; the next session is evaluated.
    Reject,
}

impl RuleAction {
    /// `accept` or `reject`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }

    /// Parses `accept` or `reject`, in upper, lower or mixed case.
    ///
    /// # Errors
    /// [`InvalidValue`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let known = [Self::Accept, Self::Reject].into_iter();
        let mut known = known.filter(|action| text.eq_ignore_ascii_case(action.as_str()));
        let expected = "accept or reject";
        known.next().ok_or_else(|| InvalidValue::new("rule_action", text, expected))
    }
}

impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One numbered rule. Both blocks have one address family; only TCP and UDP rules have ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRule {
    direction: Direction,
    number: RuleNumber,
    action: RuleAction,
    source: CidrBlock,
    destination: CidrBlock,
    protocol: Option<Protocol>,
    source_ports: Option<PortRange>,
    destination_ports: Option<PortRange>,
    /// The id, if given.
    pub id: Option<FilterRuleId>,
    /// The description, if given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl FilterRule {
    /// A rule for all protocols and ports between two blocks.
    ///
    /// # Errors
    /// [`InvalidValue`] if one block is IPv4 and the other IPv6.
    pub fn new(
        direction: Direction,
        number: RuleNumber,
        action: RuleAction,
        source: CidrBlock,
        destination: CidrBlock,
    ) -> Result<Self, InvalidValue> {
        if source.is_ipv4() != destination.is_ipv4() {
            let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
            let expected = format!("an {family} block, as source_cidr_block is {source}");
            return Err(InvalidValue::new("destination_cidr_block", destination, expected));
        }
        Ok(Self {
            direction,
            number,
            action,
            source,
            destination,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            id: None,
            description: None,
            tags: Tags::default(),
        })
    }

    /// The same rule, restricted to one protocol.
    ///
    /// # Errors
    /// [`InvalidValue`] if the rule has ports and the protocol is not TCP or UDP.
    pub fn with_protocol(mut self, protocol: Protocol) -> Result<Self, InvalidValue> {
        self.protocol = Some(protocol);
        self.with_valid_ports()
    }

    /// The same rule, restricted to some source ports.
    ///
    /// # Errors
    /// [`InvalidValue`] if the protocol of the rule is not TCP or UDP.
    pub fn with_source_ports(mut self, ports: PortRange) -> Result<Self, InvalidValue> {
        self.source_ports = Some(ports);
        self.with_valid_ports()
    }

    /// The same rule, restricted to some destination ports.
    ///
    /// # Errors
    /// [`InvalidValue`] if the protocol of the rule is not TCP or UDP.
    pub fn with_destination_ports(mut self, ports: PortRange) -> Result<Self, InvalidValue> {
        self.destination_ports = Some(ports);
        self.with_valid_ports()
    }

    /// The same rule with another number.
    #[must_use]
    pub const fn with_number(mut self, number: RuleNumber) -> Self {
        self.number = number;
        self
    }

    /// The same rule with ports for any protocol. AWS rejects such a rule, but the rule sets of
    /// classifier benchmarks contain them.
    pub(crate) const fn with_ports_of_any_protocol(
        mut self,
        source_ports: Option<PortRange>,
        destination_ports: Option<PortRange>,
    ) -> Self {
        self.source_ports = source_ports;
        self.destination_ports = destination_ports;
        self
    }

    fn with_valid_ports(self) -> Result<Self, InvalidValue> {
        let (field, ports) = match (self.source_ports, self.destination_ports) {
            (Some(ports), _) => ("source_port_range", ports),
            (None, Some(ports)) => ("destination_port_range", ports),
            (None, None) => return Ok(self),
        };
        if self.protocol.is_some_and(Protocol::has_ports) {
            return Ok(self);
        }
        let expected = "no port range, or protocol 6 (TCP) or 17 (UDP) beside it";
        Err(InvalidValue::new(field, ports, expected))
    }

    /// The direction.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The RuleNumber: "The rules are processed in ascending order by rule number" (EC2 API).
    #[must_use]
    pub const fn number(&self) -> RuleNumber {
        self.number
    }

    /// The action.
    #[must_use]
    pub const fn action(&self) -> RuleAction {
        self.action
    }

    /// The block that must contain the source address of the packet.
    #[must_use]
    pub const fn source(&self) -> CidrBlock {
        self.source
    }

    /// The block that must contain the destination address of the packet.
    #[must_use]
    pub const fn destination(&self) -> CidrBlock {
        self.destination
    }

    /// The protocol; `None` matches all protocols.
    #[must_use]
    pub const fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// The source ports; `None` matches all ports and packets without ports.
    #[must_use]
    pub const fn source_ports(&self) -> Option<PortRange> {
        self.source_ports
    }

    /// The destination ports; `None` matches all ports and packets without ports.
    #[must_use]
    pub const fn destination_ports(&self) -> Option<PortRange> {
        self.destination_ports
    }
}

/// The rules of both directions and the network services. Several sessions can use one filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    id: FilterId,
    rules: Vec<FilterRule>,
    /// Whether the network service `amazon-dns` is enabled.
    pub amazon_dns: bool,
    /// The description, if given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Filter {
    /// The only network service.
    pub const AMAZON_DNS: &'static str = "amazon-dns";

    /// A filter without rules, which mirrors nothing.
    #[must_use]
    pub fn new(id: FilterId) -> Self {
        Self { id, rules: Vec::new(), amazon_dns: false, description: None, tags: Tags::default() }
    }

    /// A filter that accepts all traffic of both families in both directions.
    #[must_use]
    pub fn accept_all(id: FilterId) -> Self {
        let mut filter = Self::new(id);
        for direction in Direction::BOTH {
            for (number, any) in [(1, CidrBlock::any_ipv4()), (2, CidrBlock::any_ipv6())] {
                let rule = RuleNumber::new(number)
                    .and_then(|n| FilterRule::new(direction, n, RuleAction::Accept, any, any));
                filter.rules.extend(rule);
            }
        }
        filter
    }

    /// A filter from rules in any order. Rules that cannot be added are returned as errors, with
    /// their index in `rules`.
    #[must_use]
    pub fn from_rules(id: FilterId, rules: Vec<FilterRule>) -> (Self, Vec<(usize, InvalidValue)>) {
        let mut filter = Self::new(id);
        let mut refused = Vec::new();
        let mut indexed: Vec<(usize, FilterRule)> = rules.into_iter().enumerate().collect();
        // The sort is stable: of two rules with one number, the first is kept.
        indexed.sort_by_key(|(_, rule)| (rule.direction, rule.number));
        filter.rules.reserve(indexed.len());
        for (index, rule) in indexed {
            if let Err(invalid) = filter.push_rule(rule) {
                refused.push((index, invalid));
            }
        }
        (filter, refused)
    }

    /// Adds a rule; the rules stay in evaluation order.
    ///
    /// # Errors
    /// [`InvalidValue`] if the direction already has a rule with this number.
    pub fn push_rule(&mut self, rule: FilterRule) -> Result<(), InvalidValue> {
        let key = |r: &FilterRule| (r.direction, r.number);
        match self.rules.binary_search_by_key(&key(&rule), key) {
            Ok(_) => {
                let expected = format!("a number that no other {} rule has", rule.direction);
                Err(InvalidValue::new("rule_number", rule.number, expected))
            }
            Err(index) => {
                self.rules.insert(index, rule);
                Ok(())
            }
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &FilterId {
        &self.id
    }

    /// All rules: those of ingress first, each direction in ascending order of RuleNumber.
    #[must_use]
    pub fn all_rules(&self) -> &[FilterRule] {
        &self.rules
    }

    /// The rules of one direction, in ascending order of RuleNumber.
    pub fn rules(&self, direction: Direction) -> impl Iterator<Item = &FilterRule> {
        self.rules.iter().filter(move |rule| rule.direction == direction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, number: i64) -> FilterRule {
        let any = CidrBlock::any_ipv4();
        let number = RuleNumber::new(number).unwrap();
        FilterRule::new(direction, number, RuleAction::Accept, any, any).unwrap()
    }

    #[test]
    fn rules_are_sorted_in_evaluation_order() {
        let mut filter = Filter::new(FilterId::new("f").unwrap());
        for number in [30, 10, 20] {
            filter.push_rule(rule(Direction::Egress, number)).unwrap();
        }
        filter.push_rule(rule(Direction::Ingress, 20)).unwrap();
        let egress: Vec<u16> =
            filter.rules(Direction::Egress).map(|r| r.number().value()).collect();
        assert_eq!(egress, [10, 20, 30]);
        assert!(filter.push_rule(rule(Direction::Ingress, 20)).is_err());
    }

    #[test]
    fn from_rules_equals_adding_rules_one_by_one() {
        let numbers = [3, 1, 3, 2, 1];
        let id = FilterId::new("f").unwrap();
        let rules = numbers.map(|number| rule(Direction::Egress, number)).to_vec();
        let (filter, refused) = Filter::from_rules(id.clone(), rules);
        let mut one_by_one = Filter::new(id);
        for number in [1, 2, 3] {
            one_by_one.push_rule(rule(Direction::Egress, number)).unwrap();
        }
        assert_eq!(filter, one_by_one);
        let indices: Vec<usize> = refused.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [4, 2]);
    }

    #[test]
    fn ports_need_tcp_or_udp() {
        let ports = PortRange::new("source_port_range", 1, 2).unwrap();
        assert!(rule(Direction::Ingress, 1).with_source_ports(ports).is_err());
        let icmp = rule(Direction::Ingress, 1).with_protocol(Protocol(1)).unwrap();
        assert!(icmp.with_destination_ports(ports).is_err());
        let udp = rule(Direction::Ingress, 1).with_protocol(Protocol::UDP).unwrap();
        assert!(udp.with_source_ports(ports).unwrap().with_protocol(Protocol(1)).is_err());
    }

    #[test]
    fn a_port_range_must_not_be_reversed() {
        assert!(PortRange::new("source_port_range", 2, 1).is_err());
        assert!(PortRange::new("source_port_range", 0, 65_536).is_err());
        assert!(PortRange::new("source_port_range", 0, 65_535).unwrap().contains(65_535));
    }

    #[test]
    fn both_cidr_blocks_must_have_one_address_family() {
        let number = RuleNumber::new(1).unwrap();
        let (v4, v6) = (CidrBlock::any_ipv4(), CidrBlock::any_ipv6());
        assert!(FilterRule::new(Direction::Ingress, number, RuleAction::Accept, v4, v6).is_err());
    }
}
