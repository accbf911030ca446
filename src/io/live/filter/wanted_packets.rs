//! What the sessions of an interface can want at all: more than they take, never less.

use std::net::IpAddr;
use std::sync::Arc;

use crate::dataplane::{CompiledSession, MirrorTable};
use crate::model::{CidrBlock, Direction, Filter, FilterRule, PortRange, Protocol, RuleAction};

use super::layout::{Family, TUNNEL_PORTS};

/// How many terms one direction and family may have; with more, all is wanted.
const MAX_TERMS: usize = 32;

/// How many ports of targets the program may test.
const MAX_PORTS: usize = 32;

const DNS: u16 = 53;

/// The resolver's link-local addresses, which hold for every VPC.
const RESOLVERS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 253)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x253)),
];

/// What all sessions of one interface want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedPackets {
    /// The longest PacketLength; none where one wants whole frames.
    pub(super) max_packet_length: Option<u32>,
    /// The ports of targets that are not known as ports of tunnels anyway.
    pub(super) target_ports: Vec<u16>,
    ingress: [TermSet; 2],
    egress: [TermSet; 2],
}

/// Which plain packets of one direction and family are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TermSet {
    All,
    Any(Vec<Term>),
}

/// Packets that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) source: CidrBlock,
    pub(super) destination: CidrBlock,
    pub(super) protocol: Option<Protocol>,
    pub(super) source_ports: Option<PortRange>,
    pub(super) destination_ports: Option<PortRange>,
}

impl WantedPackets {
    /// Everything, whole.
    pub(super) const ALL: Self = Self {
        max_packet_length: None,
        target_ports: Vec::new(),
        ingress: [TermSet::All, TermSet::All],
        egress: [TermSet::All, TermSet::All],
    };

    /// What the sessions of the interface at that index of the table want. Of an interface that
    /// has none all is taken in, since it is counted.
    pub(super) fn of(table: &MirrorTable, interface: u32) -> Self {
        let sessions: Vec<&CompiledSession> =
            table.sessions().iter().filter(|one| one.interface == interface).collect();
        let target_ports = target_ports(table);
        // With too many ports no frame is cut, so that the program stays short.
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

    /// Whether there is anything that nobody wants.
    pub(super) fn can_drop(&self) -> bool {
        self.ingress.iter().chain(&self.egress).any(|term_set| *term_set != TermSet::All)
    }
}

/// The ports of all targets but for those of known tunnels; none where they are too many.
fn target_ports(table: &MirrorTable) -> Option<Vec<u16>> {
    let ports = table.loop_guard().target_ports();
    let mut ports: Vec<u16> =
        ports.filter(|one| !TUNNEL_PORTS.contains(&u32::from(*one))).collect();
    ports.sort_unstable();
    ports.dedup();
    (ports.len() <= MAX_PORTS).then_some(ports)
}

/// Rejects are passed over: they only make a session want less.
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

/// The filters of the sessions, those that several have once.
fn filters<'s>(sessions: &[&'s CompiledSession]) -> Vec<&'s Filter> {
    let mut filters: Vec<&Arc<Filter>> = Vec::new();
    for session in sessions {
        if !filters.iter().any(|known| Arc::ptr_eq(known, &session.filter)) {
            filters.push(&session.filter);
        }
    }
    filters.into_iter().map(|filter| &**filter).collect()
}

/// Adds a term, unless another one covers it.
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

    /// Queries and answers. They are of a protocol with ports; where others have something else in
    /// the place of ports, it does no harm to let them through.
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
