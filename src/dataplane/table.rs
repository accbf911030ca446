//! The mirror table: everything that decides about a packet, compiled once and never changed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::exclusions::{Exclusions, Service};
use super::flow_key::FlowKey;
use super::frame::Frame;
use super::loop_guard::LoopGuard;
use super::membership::{Membership, Owner};
use super::rules::{Decision, EngineStats, RuleSet, matches};
use super::rulings::{Earlier, RuleCache, Ruling, Rulings};
use super::spread::Spreads;
use super::verdict::{NotMirrored, Outcome, Taken};
use super::wrap::Wrap;
use crate::model::{
    Direction, Filter, NetworkInterface, PacketLength, Rate, SessionId, SessionNumber, Settings,
    TargetId, VirtualNetworkId,
};

/// A session as it was compiled, with its names for reports.
#[derive(Debug, Clone)]
pub struct SessionEntry {
    /// The id; drawn where the user gave none.
    pub id: SessionId,
    /// The order among the sessions of its interface.
    pub number: SessionNumber,
    /// Index of the source in [`MirrorTable::interfaces`].
    pub interface: u32,
    /// Index of the target in [`MirrorTable::targets`].
    pub target: u32,
    /// Which packets it takes.
    pub filter: Arc<Filter>,
    /// How much of a frame it copies, where the user or AWS's default limits it.
    pub packet_length: Option<PacketLength>,
    /// The network identifier; drawn where the user gave none.
    pub virtual_network_id: VirtualNetworkId,
    /// The outer source address.
    pub source_address: IpAddr,
    /// How much of it leaves at the most; a live mirror sheds the rest.
    pub rate_limit: Option<Rate>,
}

/// A target as it was compiled.
#[derive(Debug, Clone)]
pub struct TargetEntry {
    /// The id.
    pub id: TargetId,
    /// Where its copies are sent.
    pub address: SocketAddr,
    /// The other addresses of a load balancer, of the same family; flows are spread over all.
    pub further_addresses: Vec<SocketAddr>,
    /// Of a Gateway Load Balancer endpoint: its id in GENEVE, which its copies are wrapped in.
    pub gateway_endpoint: Option<u64>,
    /// The longest outer IP packet it takes, in bytes.
    pub mtu: Option<u16>,
    /// How much it takes at the most; a live mirror sheds the rest.
    pub rate_limit: Option<Rate>,
}

/// What a table is made of. Sessions are grouped by interface, in the order of the interfaces,
/// and in each group in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct TableParts {
    /// What holds for all sessions.
    pub settings: Settings,
    /// The sources.
    pub interfaces: Vec<Arc<NetworkInterface>>,
    /// Where copies go.
    pub targets: Vec<TargetEntry>,
    /// Who takes what, in the order of asking.
    pub sessions: Vec<SessionEntry>,
    /// What recognises our own copies and copies of copies, which a live mirror must not mirror:
    /// it would mirror them without end. Without a guard they are mirrored like other frames.
    pub loop_guard: Option<Arc<LoopGuard>>,
}

/// How many tables were made.
static TABLES: AtomicU64 = AtomicU64::new(1);

/// Everything that decides about a packet.
#[derive(Debug)]
pub struct MirrorTable {
    /// Each table of the process has another one.
    number: u64,
    parts: TableParts,
    membership: Membership,
    exclusions: Exclusions,
    guard: Arc<LoopGuard>,
    /// By interface, direction and family: four for each interface, ingress and IPv4 first.
    rules: Rulings,
    /// By interface and direction: the first session whose filter has `amazon-dns`.
    amazon_dns: Vec<Option<Taken>>,
    /// By session.
    wraps: Vec<Wrap>,
    spreads: Spreads,
}

/// What must be asked about a packet at an interface.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// These rules.
    Rules(u32),
    /// Nothing; this is the end.
    Settled(Outcome),
}

impl MirrorTable {
    /// Compiles the parts. An index that leads nowhere makes a session that takes nothing.
    #[must_use]
    pub fn new(parts: TableParts) -> Self {
        Self::from_earlier(parts, Earlier::Nothing, &Spreads::default(), &mut RuleCache::default())
    }

    /// Compiles the parts, but takes over what an earlier table has compiled: a few rules that came
    /// or went stand beside its tables, which is quick, and [`MirrorTable::settled`] is due.
    #[must_use]
    pub fn following(parts: TableParts, earlier: &Self) -> Self {
        Self::sharing(parts, Some(earlier), &mut RuleCache::default())
    }

    /// The same, sharing rules with other tables whose sessions have the same filters.
    #[must_use]
    pub fn sharing(parts: TableParts, earlier: Option<&Self>, cache: &mut RuleCache) -> Self {
        match earlier {
            None => Self::from_earlier(parts, Earlier::Nothing, &Spreads::default(), cache),
            Some(earlier) => {
                let rules = Earlier::Patched(&earlier.parts, &earlier.rules);
                Self::from_earlier(parts, rules, &earlier.spreads, cache)
            }
        }
    }

    /// The same with what another one has compiled, sharing rules with other tables.
    #[must_use]
    pub fn rebased(&self, compiled: &Self, cache: &mut RuleCache) -> Self {
        Self::sharing(self.parts.clone(), Some(compiled), cache)
    }

    /// The same table with another loop guard; nothing where it has this one already.
    #[must_use]
    pub fn guarded_by(&self, guard: &Arc<LoopGuard>) -> Option<Self> {
        let loop_guard = Some(Arc::clone(guard));
        let parts = || TableParts { loop_guard, ..self.parts.clone() };
        (!Arc::ptr_eq(&self.guard, guard)).then(|| Self::following(parts(), self))
    }

    /// What recognises copies.
    #[must_use]
    pub(crate) fn loop_guard(&self) -> &LoopGuard {
        &self.guard
    }

    /// Whether some of its rules are so dear that answers are worth being kept.
    pub(super) fn is_dear(&self) -> bool {
        self.rules.iter().any(Ruling::is_dear)
    }

    /// Whether all rules are in its tables.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.rules.are_settled()
    }

    /// The same table with all rules in its tables. Nothing where they are already; takes as long
    /// as compiling the interfaces whose rules changed.
    #[must_use]
    pub fn settled(&self) -> Option<Self> {
        self.settled_sharing(&mut RuleCache::default())
    }

    /// The same, sharing rules with other tables whose sessions have the same filters.
    #[must_use]
    pub fn settled_sharing(&self, cache: &mut RuleCache) -> Option<Self> {
        let earlier = Earlier::Settled(&self.parts, &self.rules);
        let parts = || self.parts.clone();
        (!self.is_settled()).then(|| Self::from_earlier(parts(), earlier, &self.spreads, cache))
    }

    /// The same table, but at an interface the rules of a direction and family are asked by `rules`,
    /// which were made of its filters. For measurements.
    pub(crate) fn asked_by(
        &self,
        interface: u32,
        direction: Direction,
        is_ipv4: bool,
        rules: Arc<RuleSet>,
    ) -> Self {
        let mut table = Self::following(self.parts.clone(), self);
        if let Some(seat) = table.seat_of(interface, direction) {
            table.rules.put(2 * seat + u32::from(!is_ipv4), rules);
        }
        table
    }

    fn from_earlier(
        parts: TableParts,
        earlier: Earlier<'_>,
        earlier_spreads: &Spreads,
        cache: &mut RuleCache,
    ) -> Self {
        let mut spreads = Spreads::default();
        let sessions = parts.sessions.iter();
        let wraps =
            sessions.map(|one| Wrap::new(&parts, one, (&mut spreads, earlier_spreads))).collect();
        let mut amazon_dns = vec![None; 2 * parts.interfaces.len()];
        for (index, session) in (0..).zip(&parts.sessions) {
            let own = usize::try_from(session.interface).map_or(usize::MAX, |own| 2 * own);
            for first in amazon_dns.iter_mut().skip(own).take(2) {
                if session.filter.amazon_dns && first.is_none() {
                    *first = Some(Taken { session: index, rule: Taken::BY_AMAZON_DNS });
                }
            }
        }
        Self {
            number: TABLES.fetch_add(1, Ordering::Relaxed),
            membership: Membership::new(parts.interfaces.iter().map(AsRef::as_ref)),
            exclusions: Exclusions::new(&parts.settings),
            guard: parts.loop_guard.clone().unwrap_or_else(|| Arc::new(LoopGuard::off())),
            rules: Rulings::new(&parts, earlier, cache),
            amazon_dns,
            wraps,
            spreads,
            parts,
        }
    }

    /// A number that no other table of the process has: what a sink keeps of a table it can know
    /// again.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The interfaces, in the order of the configuration.
    #[must_use]
    pub fn interfaces(&self) -> &[Arc<NetworkInterface>] {
        &self.parts.interfaces
    }

    /// The sessions: interface by interface, each in the order in which they are asked.
    #[must_use]
    pub fn sessions(&self) -> &[SessionEntry] {
        &self.parts.sessions
    }

    /// The targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> &[TargetEntry] {
        &self.parts.targets
    }

    /// The settings it was compiled with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// What becomes of a packet at an interface: at most one session takes it. What the packet
    /// carries is not looked at, so copies of copies are not recognised here.
    #[must_use]
    pub fn decide(&self, interface: u32, direction: Direction, key: &FlowKey) -> Outcome {
        match self.question((interface, direction), key, &Frame::new(&[])) {
            Question::Settled(outcome) => outcome,
            Question::Rules(rules) => {
                let taken = self.rule_set(rules).and_then(|rules| rules.first_accept(key));
                outcome_of(taken)
            }
        }
    }

    /// Whether rules must be asked, and which.
    #[inline(always)]
    pub(super) fn question(
        &self,
        (interface, direction): Owner,
        key: &FlowKey,
        frame: &Frame<'_>,
    ) -> Question {
        let Some(seat) = self.seat_of(interface, direction) else {
            return Question::Settled(Outcome::NotMirrored(NotMirrored::NoNetworkInterface));
        };
        if self.guard.suspects(key)
            && let Some(reason) = self.guard.reason(key, frame)
        {
            return Question::Settled(Outcome::NotMirrored(reason));
        }
        match self.exclusions.service(key) {
            Service::Ordinary => Question::Rules(2 * seat + u32::from(!key.is_ipv4)),
            special => Question::Settled(self.decide_special(special, seat, key)),
        }
    }

    /// The rules by their number.
    #[inline]
    pub(super) fn rule_set(&self, number: u32) -> Option<&Ruling> {
        self.rules.get(number)
    }

    /// What the rules of each session say of a packet, for explanations: the first match of
    /// every session that has one. Services of AWS are not looked at.
    #[must_use]
    pub fn decisions(&self, interface: u32, direction: Direction, key: &FlowKey) -> Vec<Decision> {
        let sessions = (0..).zip(&self.parts.sessions);
        let own = sessions.filter(|(_, session)| session.interface == interface);
        own.filter_map(|(session, entry)| {
            let mut rules = (0..).zip(entry.filter.all_rules());
            let first = rules.find(|(_, rule)| rule.direction() == direction && matches(rule, key));
            first.map(|(rule, found)| Decision {
                taken: Taken { session, rule },
                action: found.action(),
            })
        })
        .collect()
    }

    /// What the compiled rules cost, for each interface, direction and family that has some:
    /// index of the interface, direction, whether of IPv4, figures.
    pub fn engine_stats(&self) -> impl Iterator<Item = (u32, Direction, bool, EngineStats)> {
        let interfaces = (0..).zip(&self.parts.interfaces).map(|(interface, _)| interface);
        let seats = interfaces.flat_map(|interface| {
            let directions = Direction::BOTH.into_iter();
            directions.flat_map(move |way| [(interface, way, true), (interface, way, false)])
        });
        let sets = seats.zip(self.rules.iter());
        sets.map(|((interface, way, is_ipv4), rules)| (interface, way, is_ipv4, rules.stats()))
            .filter(|(.., stats)| stats.rules > 0)
    }

    /// How many bytes of a frame a session copies at the most: PacketLength, the target's MTU and
    /// the longest datagram in one number.
    #[must_use]
    pub fn most_inner_len(&self, session: u32) -> usize {
        let wrap = self.wrap_of(session);
        wrap.and_then(|wrap| usize::try_from(wrap.most_inner_len).ok()).unwrap_or_default()
    }

    /// "When the service is on, DNS to and from the VPC resolver is mirrored whatever the rules
    /// say; when it is off, it never is." With the exclusions off it is ordinary traffic, which a
    /// session with the service takes all the same.
    #[cold]
    fn decide_special(&self, service: Service, seat: u32, key: &FlowKey) -> Outcome {
        let dns = usize::try_from(seat).ok().and_then(|seat| self.amazon_dns.get(seat).copied()?);
        let rules = self.rule_set(2 * seat + u32::from(!key.is_ipv4));
        let by_rules = || rules.and_then(|rules| rules.first_accept(key));
        match (service, self.exclusions.enabled) {
            (Service::Excluded, _) => Outcome::NotMirrored(NotMirrored::AwsExcluded),
            (Service::AmazonDns, true) => {
                dns.map_or(Outcome::NotMirrored(NotMirrored::AmazonDns), Outcome::Mirrored)
            }
            (Service::AmazonDns, false) => {
                let both = [dns, by_rules()];
                outcome_of(both.into_iter().flatten().min_by_key(|taken| taken.session))
            }
            (Service::Ordinary, _) => outcome_of(by_rules()),
        }
    }

    /// The number of an interface and direction among all.
    #[inline]
    fn seat_of(&self, interface: u32, direction: Direction) -> Option<u32> {
        let is_there = usize::try_from(interface).is_ok_and(|at| at < self.parts.interfaces.len());
        let egress = u32::from(direction == Direction::Egress);
        is_there.then_some(2 * interface + egress)
    }

    /// Whether what is decided of one segment of a super-frame may not hold for the next: each
    /// may carry another copy.
    #[inline]
    pub(super) fn decides_each_segment(&self, key: &FlowKey) -> bool {
        self.guard.suspects(key)
    }

    #[cfg(test)]
    pub(crate) fn shares_rules_with(&self, other: &Self) -> bool {
        self.rules.are_shared_with(&other.rules)
    }

    pub(super) fn membership(&self) -> &Membership {
        &self.membership
    }

    #[inline]
    pub(super) fn wrap_of(&self, session: u32) -> Option<&Wrap> {
        self.wraps.get(usize::try_from(session).ok()?)
    }
}

#[inline]
fn outcome_of(taken: Option<Taken>) -> Outcome {
    taken.map_or(Outcome::NotMirrored(NotMirrored::NoSessionMatched), Outcome::Mirrored)
}
