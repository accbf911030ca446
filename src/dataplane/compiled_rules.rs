//! The compiled rules of all interfaces: four sets for each interface, in the order ingress IPv4,
//! ingress IPv6, egress IPv4, egress IPv6.
//!
//! Interfaces whose sessions have the same filters share their sets. Sets of an earlier table are
//! reused if their filters are unchanged, so the cost of a change depends only on its size.

use std::collections::HashMap;
use std::sync::Arc;

use super::flow_key::FlowKey;
use super::index::InterfaceIndex;
use super::interface_lookup::FrameOwner;
use super::rules::{Answer, EngineStats, RuleSet};
use super::table_parts::{CompiledSession, TableParts};
use super::verdict::SessionMatch;
use crate::model::{Direction, Filter, NetworkInterfaceId};

/// The number of sets of an interface.
const SETS: usize = 4;

/// The index of a rule set: four for each interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleSetIndex(u32);

impl RuleSetIndex {
    /// The set for an interface of the table, a direction and an address family.
    #[inline(always)]
    pub(super) fn new(owner: FrameOwner, is_ipv4: bool) -> Self {
        let is_egress = owner.direction == Direction::Egress;
        Self(4 * owner.interface.number() + 2 * u32::from(is_egress) + u32::from(!is_ipv4))
    }

    /// The interface and the direction.
    #[inline(always)]
    pub(super) const fn owner(self) -> FrameOwner {
        let direction = match self.0 & 2 {
            0 => Direction::Ingress,
            _ => Direction::Egress,
        };
        FrameOwner { interface: InterfaceIndex::new(self.0 / 4), direction }
    }

    /// The number, which is unique in the table.
    #[inline(always)]
    pub(super) const fn number(self) -> u32 {
        self.0
    }
}

/// A rule set at an interface.
#[derive(Debug, Clone)]
pub(super) struct InterfaceRuleSet {
    set: Arc<RuleSet>,
    /// The number of sessions in the table before those of the interface.
    sessions_before: u32,
}

/// The rule sets of all interfaces.
#[derive(Debug, Default)]
pub(super) struct CompiledRules {
    all: Vec<InterfaceRuleSet>,
}

/// The compiled rules of an earlier table, and how they may be reused.
#[derive(Debug, Clone, Copy)]
pub(super) enum PreviousRules<'a> {
    /// There is no earlier table.
    None,
    /// Reuse sets with a patch for the rules that changed.
    AllowPatches(&'a TableParts, &'a CompiledRules),
    /// Reuse only sets whose rules did not change; compile the others.
    Recompile(&'a TableParts, &'a CompiledRules),
}

impl InterfaceRuleSet {
    /// Writes the answer for each key to `answers`. The keys must be of the family of the rules.
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        self.set.classify(keys, answers);
    }

    /// Whether the set is slow enough for a cache of its answers to be worthwhile.
    #[inline]
    pub(super) fn is_expensive(&self) -> bool {
        self.set.is_expensive()
    }

    /// The session of the table and the rule that an answer denotes.
    #[inline]
    pub(super) fn session_match(&self, answer: Answer) -> Option<SessionMatch> {
        self.set.session_match(answer).map(|matched| self.in_table(matched))
    }

    /// The first session that accepts the packet, and its rule.
    pub(super) fn first_accept(&self, key: &FlowKey) -> Option<SessionMatch> {
        self.set.first_accept(key).map(|matched| self.in_table(matched))
    }

    pub(super) fn stats(&self) -> EngineStats {
        self.set.stats()
    }

    #[inline]
    const fn in_table(&self, matched: SessionMatch) -> SessionMatch {
        SessionMatch {
            session: matched.session.saturating_add(self.sessions_before),
            by: matched.by,
        }
    }
}

impl CompiledRules {
    /// Compiles the rules of each interface of the parts that are not in the cache.
    pub(super) fn new(
        parts: &TableParts,
        previous: PreviousRules<'_>,
        cache: &mut RuleCache,
    ) -> Self {
        let sessions_by_interface = SessionsByInterface::new(&parts.sessions);
        let mut builder =
            RuleSetBuilder { previous_by_interface: previous.by_interface(), previous, cache };
        let interfaces = InterfaceIndex::enumerate(&parts.interfaces);
        let all = interfaces.flat_map(|(index, interface)| {
            let (sessions_before, filters) = sessions_by_interface.filters_of(index);
            let sets = builder.sets(interface.id(), filters);
            sets.map(|set| InterfaceRuleSet { set, sessions_before })
        });
        Self { all: all.collect() }
    }

    /// The set at this index.
    #[inline]
    pub(super) fn get(&self, index: RuleSetIndex) -> Option<&InterfaceRuleSet> {
        self.all.get(usize::try_from(index.0).ok()?)
    }

    /// Replaces the set at this index.
    pub(super) fn put(&mut self, index: RuleSetIndex, set: Arc<RuleSet>) {
        let place = usize::try_from(index.0).ok().and_then(|index| self.all.get_mut(index));
        if let Some(rule_set) = place {
            rule_set.set = set;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InterfaceRuleSet> {
        self.all.iter()
    }

    /// Whether no set has a patch.
    pub(super) fn are_fully_compiled(&self) -> bool {
        self.all.iter().all(|rule_set| rule_set.set.is_fully_compiled())
    }

    /// Whether both share all sets in memory.
    #[cfg(test)]
    pub(super) fn are_shared_with(&self, other: &Self) -> bool {
        self.all.iter().zip(&other.all).all(|(own, other)| Arc::ptr_eq(&own.set, &other.set))
    }

    /// The sets of an interface.
    fn sets_of(&self, interface: usize) -> Option<&[InterfaceRuleSet; SETS]> {
        self.all.get(SETS * interface..)?.first_chunk()
    }
}

impl<'a> PreviousRules<'a> {
    /// The sets of each interface of the earlier table.
    fn by_interface(self) -> HashMap<&'a NetworkInterfaceId, &'a [InterfaceRuleSet; SETS]> {
        let (Self::AllowPatches(parts, compiled) | Self::Recompile(parts, compiled)) = self else {
            return HashMap::new();
        };
        let known = parts.interfaces.iter().enumerate();
        known.filter_map(|(at, one)| Some((one.id(), compiled.sets_of(at)?))).collect()
    }
}

/// By interface: the number of sessions before its own, and its sessions.
struct SessionsByInterface<'a>(HashMap<InterfaceIndex, (u32, &'a [CompiledSession])>);

impl<'a> SessionsByInterface<'a> {
    fn new(sessions: &'a [CompiledSession]) -> Self {
        let mut before = 0;
        let groups = sessions.chunk_by(|a, b| a.interface == b.interface).filter_map(|group| {
            let start = before;
            before += u32::try_from(group.len()).unwrap_or(u32::MAX);
            Some((group.first()?.interface, (start, group)))
        });
        Self(groups.collect())
    }

    /// The number of sessions before those of an interface, and its filters in evaluation order.
    fn filters_of(&self, interface: InterfaceIndex) -> (u32, Vec<Arc<Filter>>) {
        let (before, sessions) = self.0.get(&interface).copied().unwrap_or_default();
        (before, sessions.iter().map(|session| Arc::clone(&session.filter)).collect())
    }
}

/// Compiled rules, by the filters from which they were compiled. Interfaces whose sessions have the
/// same filters share their rules, even if each interface has its own table.
#[derive(Debug, Default)]
pub struct RuleCache {
    /// By the memory addresses of the filters; the value keeps them allocated.
    sets: HashMap<Vec<usize>, CachedSets>,
    /// The number of entries from which unused entries are removed.
    prune_len: usize,
}

#[derive(Debug)]
struct CachedSets {
    /// While these are allocated, no other filter can have the addresses of the key.
    _filters: Vec<Arc<Filter>>,
    sets: [Arc<RuleSet>; SETS],
}

/// Below this number of entries, unused entries are removed each time rules are compiled.
const MIN_PRUNE_LEN: usize = 64;

impl RuleCache {
    /// Adds the rules of another cache; they replace the rules of the same filters.
    pub fn merge(&mut self, other: Self) {
        self.sets.extend(other.sets);
    }

    fn get(&self, filters: &[Arc<Filter>]) -> Option<[Arc<RuleSet>; SETS]> {
        self.sets.get(&addresses(filters)).map(|cached| cached.sets.clone())
    }

    fn put(&mut self, filters: Vec<Arc<Filter>>, sets: [Arc<RuleSet>; SETS]) {
        if self.sets.len() < MIN_PRUNE_LEN || self.sets.len() >= self.prune_len {
            self.sets.retain(|_, cached| cached.is_used());
            self.prune_len = 2 * self.sets.len();
        }
        let key = addresses(&filters);
        self.sets.insert(key, CachedSets { _filters: filters, sets });
    }

    /// The number of combinations of filters in the cache.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }
}

impl CachedSets {
    /// Whether a table uses the rules.
    fn is_used(&self) -> bool {
        self.sets.iter().any(|set| Arc::strong_count(set) > 1)
    }
}

fn addresses(filters: &[Arc<Filter>]) -> Vec<usize> {
    filters.iter().map(|filter| Arc::as_ptr(filter).addr()).collect()
}

/// Builds the sets of one interface after the other.
struct RuleSetBuilder<'a> {
    previous: PreviousRules<'a>,
    previous_by_interface: HashMap<&'a NetworkInterfaceId, &'a [InterfaceRuleSet; SETS]>,
    cache: &'a mut RuleCache,
}

impl RuleSetBuilder<'_> {
    fn sets(&mut self, id: &NetworkInterfaceId, filters: Vec<Arc<Filter>>) -> [Arc<RuleSet>; SETS] {
        if let Some(sets) = self.cache.get(&filters).filter(|sets| self.may_reuse(sets)) {
            return sets;
        }
        let previous = self.previous_by_interface.get(id).copied();
        let previous: [Option<&InterfaceRuleSet>; SETS] =
            previous.map_or([None; SETS], |sets| sets.each_ref().map(Some));
        let wanted = [
            (Direction::Ingress, true),
            (Direction::Ingress, false),
            (Direction::Egress, true),
            (Direction::Egress, false),
        ];
        let mut previous = previous.into_iter().flatten();
        let sets = wanted.map(|(direction, is_ipv4)| {
            let reused =
                previous.next().and_then(|rule_set| self.reusable(&rule_set.set, &filters));
            reused.unwrap_or_else(|| Arc::new(RuleSet::new(&filters, direction, is_ipv4)))
        });
        self.cache.put(filters, sets.clone());
        sets
    }

    /// Whether patches are allowed, or none of these sets has one.
    fn may_reuse(&self, sets: &[Arc<RuleSet>; SETS]) -> bool {
        !matches!(self.previous, PreviousRules::Recompile(..))
            || sets.iter().all(|set| set.is_fully_compiled())
    }

    /// The earlier set, adapted to these filters, if it may be reused.
    fn reusable(&self, previous: &RuleSet, filters: &[Arc<Filter>]) -> Option<Arc<RuleSet>> {
        let patched = previous.patched(filters)?;
        let must_recompile = matches!(self.previous, PreviousRules::Recompile(..));
        (patched.is_fully_compiled() || !must_recompile).then(|| Arc::new(patched))
    }
}
