//! The packets that the sessions of an interface can mirror: a superset of what they do mirror.
//!
//! Each accept rule gives a *term*; reject rules are ignored, because they only reduce the set. A
//! term that another term covers is omitted. Example: the rules "accept TCP from 10.0.0.0/8",
//! "accept all from 10.1.0.0/16" and "accept TCP from 10.2.0.0/16" give two terms, because the
//! first rule covers the third. With more than 32 terms the filter accepts everything.

use std::net::IpAddr;
use std::sync::Arc;

use crate::dataplane::{CompiledSession, InterfaceIndex, MirrorTable};
use crate::model::{CidrBlock, Direction, Filter, FilterRule, PortRange, Protocol, RuleAction};

use super::layout::{Family, TUNNEL_PORTS};

/// The maximum number of terms for one direction and family; with more, all packets are accepted.
const MAX_TERMS: usize = 32;

/// The maximum number of target ports that the program tests.
const MAX_PORTS: usize = 32;

const DNS: u16 = 53;

/// The addresses of the Amazon DNS resolver that are the same in every VPC.
const RESOLVERS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 253)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x253)),
];

/// The packets that the sessions of one interface can mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedPackets {
    /// The longest PacketLength in bytes; `None` if a session mirrors whole frames.
    pub(super) max_packet_length: Option<u32>,
    /// The ports of targets, except those of known tunnels.
    pub(super) target_ports: Vec<u16>,
    ingress: [TermSet; 2],
    egress: [TermSet; 2],
}

/// The accepted plain packets of one direction and family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TermSet {
    All,
    Any(Vec<Term>),
}

/// A set of packets, as in a filter rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) source: CidrBlock,
    pub(super) destination: CidrBlock,
    pub(super) protocol: Option<Protocol>,
    pub(super) source_ports: Option<PortRange>,
    pub(super) destination_ports: Option<PortRange>,
}

impl WantedPackets {
    /// All packets, not truncated.
    pub(super) const ALL: Self = Self {
        max_packet_length: None,
        target_ports: Vec::new(),
        ingress: [TermSet::All, TermSet::All],
        egress: [TermSet::All, TermSet::All],
    };

    /// The packets for the sessions of an interface of the table. All packets of an interface
    /// without sessions are accepted, because they are counted.
    pub(super) fn of(table: &MirrorTable, interface: InterfaceIndex) -> Self {
        let sessions: Vec<&CompiledSession> =
            table.sessions().iter().filter(|one| one.interface == interface).collect();
        let target_ports = target_ports(table);
        // With too many ports no frame is truncated, so that the program stays short.
        let may_truncate = target_ports.is_some();
        let target_ports = target_ports.unwrap_or_default();
        if sessions.is_empty() {
            return Self { target_ports, ..Self::ALL };
        }
        let lengths = sessions.iter().map(|one| one.packet_length.map(|len| len.value().into()));
        let term_sets = |direction| {
            [Family::V4, Family::V6].map(|family| term_set(table, &sessions, direction, family))
        };
        let max_packet_length =
            lengths.collect::<Option<Vec<u32>>>().and_then(|all| all.into_iter().max());
        Self {
            max_packet_length: max_packet_length.filter(|_| may_truncate),
            target_ports,
            ingress: term_sets(Direction::Ingress),
            egress: term_sets(Direction::Egress),
        }
    }

    pub(super) const fn term_set(&self, direction: Direction, family: Family) -> &TermSet {
        let [ipv4, ipv6] = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        match family {
            Family::V4 => ipv4,
            Family::V6 => ipv6,
        }
    }

    /// Whether any packets can be dropped.
    pub(super) fn can_drop(&self) -> bool {
        self.ingress.iter().chain(&self.egress).any(|term_set| *term_set != TermSet::All)
    }
}

/// The ports of all targets except those of known tunnels; `None` if there are too many.
fn target_ports(table: &MirrorTable) -> Option<Vec<u16>> {
    let ports = table.loop_guard().target_ports();
    let mut ports: Vec<u16> =
        ports.filter(|one| !TUNNEL_PORTS.contains(&u32::from(*one))).collect();
    ports.sort_unstable();
    ports.dedup();
    (ports.len() <= MAX_PORTS).then_some(ports)
}

/// The terms of the accept rules. Reject rules are ignored: they only reduce the set.
fn term_set(
    table: &MirrorTable,
    sessions: &[&CompiledSession],
    direction: Direction,
    family: Family,
) -> TermSet {
    let rules = filters(sessions).into_iter().flat_map(|one| one.rules(direction));
    let accepts = rules.filter(|rule| rule.action() == RuleAction::Accept).map(Term::of);
    let mut terms: Vec<Term> = Vec::new();
    for term in accepts.filter(|term| term.source.is_ipv4() == (family == Family::V4)) {
        let is_all = term.is_all();
        add_term(&mut terms, term);
        if is_all || terms.len() > MAX_TERMS {
            return TermSet::All;
        }
    }
    if sessions.iter().any(|one| one.filter.amazon_dns) {
        let own = table.settings().vpc_resolver_addresses.iter().chain(&RESOLVERS);
        for resolver in own.filter(|one| one.is_ipv4() == (family == Family::V4)) {
            let Some(both) = Term::of_resolver(*resolver) else { return TermSet::All };
            both.into_iter().for_each(|term| add_term(&mut terms, term));
        }
    }
    if terms.len() > MAX_TERMS { TermSet::All } else { TermSet::Any(terms) }
}

/// The filters of the sessions, without duplicates.
fn filters<'s>(sessions: &[&'s CompiledSession]) -> Vec<&'s Filter> {
    let mut filters: Vec<&Arc<Filter>> = Vec::new();
    for session in sessions {
        if !filters.iter().any(|known| Arc::ptr_eq(known, &session.filter)) {
            filters.push(&session.filter);
        }
    }
    filters.into_iter().map(|filter| &**filter).collect()
}

/// Adds a term, unless another one covers it. Removes the terms that it covers.
fn add_term(terms: &mut Vec<Term>, term: Term) {
    if !terms.iter().any(|known| known.covers(&term)) {
        terms.retain(|known| !term.covers(known));
        terms.push(term);
    }
}

impl Term {
    fn of(rule: &FilterRule) -> Self {
        Self {
            source: rule.source(),
            destination: rule.destination(),
            protocol: rule.protocol(),
            source_ports: rule.source_ports(),
            destination_ports: rule.destination_ports(),
        }
    }

    /// The terms for DNS queries and answers. They do not test the protocol: for a protocol without
    /// ports, a false match does no harm.
    fn of_resolver(resolver: IpAddr) -> Option<[Self; 2]> {
        let (any, bits) = match resolver {
            IpAddr::V4(_) => (CidrBlock::any_ipv4(), 32),
            IpAddr::V6(_) => (CidrBlock::any_ipv6(), 128),
        };
        let one = CidrBlock::new(resolver, bits).ok()?;
        let port = PortRange::new("port", DNS, DNS).ok();
        let queries = Self {
            source: any,
            destination: one,
            protocol: None,
            source_ports: None,
            destination_ports: port,
        };
        let answers = Self {
            source: one,
            destination: any,
            source_ports: port,
            destination_ports: None,
            ..queries
        };
        port.map(|_| [queries, answers])
    }

    fn covers(&self, other: &Self) -> bool {
        block_covers(self.source, other.source)
            && block_covers(self.destination, other.destination)
            && (self.protocol.is_none() || self.protocol == other.protocol)
            && ports_cover(self.source_ports, other.source_ports)
            && ports_cover(self.destination_ports, other.destination_ports)
    }

    fn is_all(&self) -> bool {
        let is_any = |block: CidrBlock| block.prefix_len() == 0;
        is_any(self.source)
            && is_any(self.destination)
            && self.protocol.is_none()
            && self.source_ports.is_none()
            && self.destination_ports.is_none()
    }
}

fn block_covers(outer: CidrBlock, inner: CidrBlock) -> bool {
    outer.prefix_len() <= inner.prefix_len() && outer.contains(inner.network())
}

fn ports_cover(outer: Option<PortRange>, inner: Option<PortRange>) -> bool {
    match (outer, inner) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => {
            outer.contains(inner.from_port()) && outer.contains(inner.to_port())
        }
    }
}
