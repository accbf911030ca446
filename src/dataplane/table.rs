//! The mirror table: everything that is needed to decide which session mirrors a packet. It is
//! compiled once and immutable, so workers share it without locks; a change makes a new table.

mod explanations;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::aws_exclusions::{AwsExclusions, TrafficClass};
use super::compiled_rules::{
    CompiledRules, InterfaceRuleSet, PreviousRules, RuleCache, RuleSetIndex,
};
use super::compiled_target::CompiledTarget;
use super::encap::session_encap::SessionEncap;
use super::encap::target_balancer::TargetBalancers;
use super::flow_key::FlowKey;
use super::frame::Frame;
use super::index::{InterfaceIndex, SessionIndex, TargetIndex};
use super::interface_lookup::{FrameOwner, InterfaceLookup};
use super::ipv4_fields::Ipv4Fields;
use super::loop_guard::LoopGuard;
use super::rules::RuleSet;
use super::table_parts::{CompiledSession, TableParts};
use super::verdict::{AcceptedBy, MirrorOutcome, NotMirrored, SessionMatch};
use crate::model::{Direction, NetworkInterface, Settings};

/// The number of the next table of this process.
static NEXT_TABLE_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Decides which session mirrors a packet.
#[derive(Debug)]
pub struct MirrorTable {
    /// Unique among the tables of this process.
    number: u64,
    parts: TableParts,
    interface_lookup: InterfaceLookup,
    exclusions: AwsExclusions,
    guard: Arc<LoopGuard>,
    /// By interface, direction and address family: four rule sets for each interface.
    rules: CompiledRules,
    /// By interface: the first session whose filter has `amazon-dns`.
    amazon_dns: Vec<Option<SessionIndex>>,
    /// By session.
    encaps: Vec<SessionEncap>,
    /// Whether a session has a target without an address.
    drops_copies: bool,
    balancers: TargetBalancers,
}

/// The result of the checks before the rules.
#[derive(Debug, Clone, Copy)]
pub(super) enum Precheck {
    /// The rule set at this index decides.
    Rules(RuleSetIndex),
    /// The outcome is known without rules.
    Decided(MirrorOutcome),
}

impl MirrorTable {
    /// Compiles the parts. A session with an invalid index mirrors nothing.
    #[must_use]
    pub fn new(parts: TableParts) -> Self {
        Self::from_previous(
            parts,
            PreviousRules::None,
            &TargetBalancers::default(),
            &mut RuleCache::default(),
        )
    }

    /// Compiles the parts and reuses the compiled rules of an earlier table. If only a few rules
    /// differ, they are kept as a patch of the old rules, which is fast; call
    /// [`MirrorTable::fully_compiled`] later to compile them.
    #[must_use]
    pub fn reusing(parts: TableParts, previous: &Self) -> Self {
        Self::with_rule_cache(parts, Some(previous), &mut RuleCache::default())
    }

    /// Like [`MirrorTable::reusing`], but shares rules with other tables whose sessions have the
    /// same filters.
    #[must_use]
    pub fn with_rule_cache(
        parts: TableParts,
        previous: Option<&Self>,
        cache: &mut RuleCache,
    ) -> Self {
        match previous {
            None => {
                Self::from_previous(parts, PreviousRules::None, &TargetBalancers::default(), cache)
            }
            Some(previous) => {
                let rules = PreviousRules::AllowPatches(&previous.parts, &previous.rules);
                Self::from_previous(parts, rules, &previous.balancers, cache)
            }
        }
    }

    /// The same table, compiled again with the rules that `compiled` has and those in `cache`.
    #[must_use]
    pub fn rebased(&self, compiled: &Self, cache: &mut RuleCache) -> Self {
        Self::with_rule_cache(self.parts.clone(), Some(compiled), cache)
    }

    /// The same table with another loop guard; `None` if it already has this guard.
    #[must_use]
    pub fn with_loop_guard(&self, guard: &Arc<LoopGuard>) -> Option<Self> {
        let loop_guard = Some(Arc::clone(guard));
        let parts = || TableParts { loop_guard, ..self.parts.clone() };
        (!Arc::ptr_eq(&self.guard, guard)).then(|| Self::reusing(parts(), self))
    }

    /// The loop guard of the table.
    #[must_use]
    pub fn loop_guard(&self) -> &Arc<LoopGuard> {
        &self.guard
    }

    /// Whether some rule sets are slow enough for a cache of their answers to be worthwhile.
    pub(super) fn is_expensive(&self) -> bool {
        self.rules.iter().any(InterfaceRuleSet::is_expensive)
    }

    /// Whether all rules are compiled, so that no rule set has a patch.
    #[must_use]
    pub fn is_fully_compiled(&self) -> bool {
        self.rules.are_fully_compiled()
    }

    /// The same table with all rules compiled; `None` if they already are. It takes as long as
    /// compiling the rules of the interfaces whose rules changed.
    #[must_use]
    pub fn fully_compiled(&self) -> Option<Self> {
        self.fully_compiled_with_cache(&mut RuleCache::default())
    }

    /// Like [`MirrorTable::fully_compiled`], but shares rules with other tables whose sessions have
    /// the same filters.
    #[must_use]
    pub fn fully_compiled_with_cache(&self, cache: &mut RuleCache) -> Option<Self> {
        let previous = PreviousRules::Recompile(&self.parts, &self.rules);
        let parts = || self.parts.clone();
        (!self.is_fully_compiled())
            .then(|| Self::from_previous(parts(), previous, &self.balancers, cache))
    }

    /// The same table, but with `rules` for one interface, direction and address family. They must
    /// be compiled from the same filters. For measurements of the engines.
    #[must_use]
    pub fn with_rule_set(
        &self,
        interface: InterfaceIndex,
        direction: Direction,
        is_ipv4: bool,
        rules: Arc<RuleSet>,
    ) -> Self {
        let mut table = Self::reusing(self.parts.clone(), self);
        if let Some(index) = table.rule_set_index(FrameOwner { interface, direction }, is_ipv4) {
            table.rules.put(index, rules);
        }
        table
    }

    fn from_previous(
        parts: TableParts,
        previous: PreviousRules<'_>,
        previous_balancers: &TargetBalancers,
        cache: &mut RuleCache,
    ) -> Self {
        let mut balancers = TargetBalancers::default();
        let sessions = parts.sessions.iter();
        let encaps: Vec<SessionEncap> = sessions
            .map(|one| SessionEncap::new(&parts, one, (&mut balancers, previous_balancers)))
            .collect();
        let mut amazon_dns = vec![None; parts.interfaces.len()];
        let sessions = SessionIndex::enumerate(&parts.sessions);
        for (index, session) in sessions.filter(|(_, session)| session.filter.amazon_dns) {
            if let Some(first @ None) = amazon_dns.get_mut(session.interface.get()) {
                *first = Some(index);
            }
        }
        Self {
            number: NEXT_TABLE_NUMBER.fetch_add(1, Ordering::Relaxed),
            interface_lookup: InterfaceLookup::new(parts.interfaces.iter().map(AsRef::as_ref)),
            exclusions: AwsExclusions::new(&parts.settings),
            guard: parts.loop_guard.clone().unwrap_or_else(|| Arc::new(LoopGuard::disabled())),
            rules: CompiledRules::new(&parts, previous, cache),
            amazon_dns,
            drops_copies: encaps.iter().any(|encap| !encap.has_address),
            encaps,
            balancers,
            parts,
        }
    }

    /// A number that is unique among the tables of this process. A sink uses it to check whether
    /// the values that it cached belong to this table.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The direction of a frame at the only interface of this table: by MAC address, then by IP
    /// address, then as the source says; ingress if none of these decides.
    #[must_use]
    pub fn direction_of(&self, frame: &Frame<'_>) -> Direction {
        let mut owners = Vec::new();
        let key = FlowKey::parse(frame.bytes).ok();
        self.interface_lookup().owners(frame, key.as_ref(), &mut owners);
        let known = owners.first().map(|owner| owner.direction).or(frame.direction);
        known.unwrap_or(Direction::Ingress)
    }

    /// The interfaces, in the order of the configuration.
    #[must_use]
    pub fn interfaces(&self) -> &[Arc<NetworkInterface>] {
        &self.parts.interfaces
    }

    /// The sessions, grouped by interface; each group is in evaluation order.
    #[must_use]
    pub fn sessions(&self) -> &[CompiledSession] {
        &self.parts.sessions
    }

    /// The targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> &[CompiledTarget] {
        &self.parts.targets
    }

    /// The interface at an index.
    #[must_use]
    pub fn interface(&self, index: InterfaceIndex) -> Option<&NetworkInterface> {
        self.parts.interfaces.get(index.get()).map(AsRef::as_ref)
    }

    /// The session at an index.
    #[must_use]
    pub fn session(&self, index: SessionIndex) -> Option<&CompiledSession> {
        self.parts.sessions.get(index.get())
    }

    /// The target at an index.
    #[must_use]
    pub fn target(&self, index: TargetIndex) -> Option<&CompiledTarget> {
        self.parts.targets.get(index.get())
    }

    /// The settings it was compiled with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The outcome of a packet at an interface: at most one session mirrors it. Copies of copies
    /// are not recognised here, because the contents of the packet are not known.
    #[must_use]
    pub fn decide(
        &self,
        interface: InterfaceIndex,
        direction: Direction,
        key: &FlowKey,
    ) -> MirrorOutcome {
        match self.precheck(FrameOwner { interface, direction }, key, &Frame::new(&[])) {
            Precheck::Decided(outcome) => outcome,
            Precheck::Rules(rules) => {
                let matched = self.rule_set(rules).and_then(|rules| rules.first_accept(key));
                outcome_of(matched)
            }
        }
    }

    /// Checks everything that precedes the rules: interface, loop guard and AWS's exclusions.
    #[inline(always)]
    pub(super) fn precheck(&self, owner: FrameOwner, key: &FlowKey, frame: &Frame<'_>) -> Precheck {
        let Some(rules) = self.rule_set_index(owner, key.is_ipv4) else {
            return Precheck::Decided(MirrorOutcome::NotMirrored(NotMirrored::NoNetworkInterface));
        };
        if self.guard.may_be_copy(key)
            && let Some(reason) = self.guard.not_mirrored_reason(key, frame)
        {
            return Precheck::Decided(MirrorOutcome::NotMirrored(reason));
        }
        match self.exclusions.traffic_class(key) {
            TrafficClass::Ordinary => Precheck::Rules(rules),
            service_traffic => {
                Precheck::Decided(self.decide_aws_service(service_traffic, rules, key))
            }
        }
    }

    /// Whether the checks before the rules cannot concern a packet, so that the rules decide.
    #[inline(always)]
    pub(super) fn is_ordinary(&self, key: &FlowKey) -> bool {
        !self.guard.may_be_copy(key) && !self.exclusions.may_be_service(key)
    }

    /// Whether these checks may concern any of the first `len` packets.
    #[inline]
    pub(super) fn has_special(&self, fields: &Ipv4Fields, len: usize) -> bool {
        fields.has_special(len, &self.exclusions, &self.guard)
    }

    /// Whether a session has a target without an address, so that its copies are dropped.
    #[inline]
    pub(super) const fn drops_copies(&self) -> bool {
        self.drops_copies
    }

    /// The encapsulations, by session.
    #[inline]
    pub(super) fn encaps(&self) -> &[SessionEncap] {
        &self.encaps
    }

    /// Whether the table has an interface with this index.
    #[inline]
    pub(super) fn has_interface(&self, interface: InterfaceIndex) -> bool {
        interface.get() < self.parts.interfaces.len()
    }

    /// The rule set at this index.
    #[inline]
    pub(super) fn rule_set(&self, index: RuleSetIndex) -> Option<&InterfaceRuleSet> {
        self.rules.get(index)
    }

    /// The longest inner frame of a session in bytes: the smallest of PacketLength, the limit of
    /// the target's MTU and the longest UDP datagram.
    #[must_use]
    pub fn max_inner_len(&self, session: SessionIndex) -> usize {
        let encap = self.encap_of(session);
        encap.and_then(|encap| usize::try_from(encap.max_inner_len).ok()).unwrap_or_default()
    }

    /// "When the service is on, DNS to and from the VPC resolver is mirrored whatever the rules
    /// say; when it is off, it never is." Without AWS's exclusions the rules decide too, and the
    /// first session that accepts by rule or by service mirrors the packet.
    #[cold]
    fn decide_aws_service(
        &self,
        service: TrafficClass,
        index: RuleSetIndex,
        key: &FlowKey,
    ) -> MirrorOutcome {
        let dns = self.amazon_dns.get(index.owner().interface.get()).copied().flatten();
        let dns = dns.map(|session| SessionMatch { session, by: AcceptedBy::AmazonDns });
        let rules = self.rule_set(index);
        let by_rules = || rules.and_then(|rules| rules.first_accept(key));
        match (service, self.exclusions.enabled) {
            (TrafficClass::Excluded, _) => MirrorOutcome::NotMirrored(NotMirrored::AwsExcluded),
            (TrafficClass::AmazonDns, true) => dns.map_or(
                MirrorOutcome::NotMirrored(NotMirrored::AmazonDns),
                MirrorOutcome::Mirrored,
            ),
            (TrafficClass::AmazonDns, false) => {
                let both = [dns, by_rules()];
                outcome_of(both.into_iter().flatten().min_by_key(|matched| matched.session))
            }
            (TrafficClass::Ordinary, _) => outcome_of(by_rules()),
        }
    }

    /// The index of a rule set; `None` if the table has no such interface.
    #[inline]
    fn rule_set_index(&self, owner: FrameOwner, is_ipv4: bool) -> Option<RuleSetIndex> {
        self.has_interface(owner.interface).then(|| RuleSetIndex::new(owner, is_ipv4))
    }

    /// Whether each segment of a super-frame needs its own decision, because each may contain
    /// another copy.
    #[inline]
    pub(super) fn needs_decision_per_segment(&self, key: &FlowKey) -> bool {
        self.guard.may_be_copy(key)
    }

    #[cfg(test)]
    pub(crate) fn shares_rules_with(&self, other: &Self) -> bool {
        self.rules.are_shared_with(&other.rules)
    }

    pub(super) fn interface_lookup(&self) -> &InterfaceLookup {
        &self.interface_lookup
    }

    #[inline]
    pub(super) fn encap_of(&self, session: SessionIndex) -> Option<&SessionEncap> {
        self.encaps.get(session.get())
    }
}

#[inline]
pub(super) fn outcome_of(matched: Option<SessionMatch>) -> MirrorOutcome {
    matched
        .map_or(MirrorOutcome::NotMirrored(NotMirrored::NoSessionMatched), MirrorOutcome::Mirrored)
}
