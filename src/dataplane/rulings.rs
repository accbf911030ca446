//! The rules of all interfaces, compiled: for each interface four sets, ingress and IPv4 first.
//!
//! Interfaces whose sessions have the same filters share theirs. What an earlier table has
//! compiled is taken over where it still holds, so that a change costs what it touches.

use std::collections::HashMap;
use std::sync::Arc;

use super::flow_key::FlowKey;
use super::rules::{EngineStats, RuleSet};
use super::table::{SessionEntry, TableParts};
use super::verdict::Taken;
use crate::model::{Direction, Filter, NetworkInterfaceId};

/// The sets of an interface.
const SETS: usize = 4;

/// A set of rules in the place of its interface.
#[derive(Debug, Clone)]
pub(super) struct Ruling {
    set: Arc<RuleSet>,
    /// The index in the table of the interface's first session.
    first_session: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Rulings {
    all: Vec<Ruling>,
}

/// What is there already.
#[derive(Debug, Clone, Copy)]
pub(super) enum Earlier<'a> {
    /// Nothing.
    Nothing,
    /// A table; rules that changed may stand beside its tables.
    Patched(&'a TableParts, &'a Rulings),
    /// The same, but where rules changed new tables are made.
    Settled(&'a TableParts, &'a Rulings),
}

impl Ruling {
    /// Puts the answer for each key into `answers`; the keys are of the family of the rules.
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        self.set.classify(keys, answers);
    }

    /// Whether what they answered is worth being kept.
    #[inline]
    pub(super) fn is_dear(&self) -> bool {
        self.set.is_dear()
    }

    /// Which session of the table and which of its rules an answer stands for.
    #[inline]
    pub(super) fn taken(&self, answer: u32) -> Option<Taken> {
        self.set.taken(answer).map(|taken| self.in_table(taken))
    }

    /// The first session that accepts, and its rule.
    pub(super) fn first_accept(&self, key: &FlowKey) -> Option<Taken> {
        self.set.first_accept(key).map(|taken| self.in_table(taken))
    }

    pub(super) fn stats(&self) -> EngineStats {
        self.set.stats()
    }

    #[inline]
    const fn in_table(&self, taken: Taken) -> Taken {
        Taken { session: taken.session.wrapping_add(self.first_session), rule: taken.rule }
    }
}

impl Rulings {
    /// Compiles the rules of each interface of the parts.
    pub(super) fn new(parts: &TableParts, earlier: Earlier<'_>) -> Self {
        let seats = Seats::new(&parts.sessions);
        let mut press =
            Press { earlier: earlier.by_interface(), earlier_is: earlier, made: HashMap::new() };
        let all = (0..).zip(&parts.interfaces).flat_map(|(index, interface)| {
            let (first_session, filters) = seats.of(index);
            let sets = press.sets(interface.id(), filters);
            sets.map(|set| Ruling { set, first_session })
        });
        Self { all: all.collect() }
    }

    /// Those of that number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Ruling> {
        self.all.get(usize::try_from(number).ok()?)
    }

    /// From now on these are those of that number.
    pub(super) fn put(&mut self, number: u32, set: Arc<RuleSet>) {
        let place = usize::try_from(number).ok().and_then(|number| self.all.get_mut(number));
        if let Some(ruling) = place {
            ruling.set = set;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Ruling> {
        self.all.iter()
    }

    /// Whether no rules stand beside their tables.
    pub(super) fn are_settled(&self) -> bool {
        self.all.iter().all(|ruling| ruling.set.is_settled())
    }

    /// The sets of an interface.
    fn sets_of(&self, interface: usize) -> Option<&[Ruling; SETS]> {
        self.all.get(SETS * interface..)?.first_chunk()
    }
}

impl<'a> Earlier<'a> {
    /// Where each interface of the earlier table is.
    fn by_interface(self) -> HashMap<&'a NetworkInterfaceId, &'a [Ruling; SETS]> {
        let (Self::Patched(parts, rulings) | Self::Settled(parts, rulings)) = self else {
            return HashMap::new();
        };
        let known = parts.interfaces.iter().enumerate();
        known.filter_map(|(at, one)| Some((one.id(), rulings.sets_of(at)?))).collect()
    }
}

/// The sessions of each interface.
struct Seats<'a>(HashMap<u32, (u32, &'a [SessionEntry])>);

impl<'a> Seats<'a> {
    fn new(sessions: &'a [SessionEntry]) -> Self {
        let mut first = 0;
        let groups = sessions.chunk_by(|a, b| a.interface == b.interface).filter_map(|group| {
            let start = first;
            first += u32::try_from(group.len()).unwrap_or(u32::MAX);
            Some((group.first()?.interface, (start, group)))
        });
        Self(groups.collect())
    }

    /// The index of the first session, and the filters in the order of asking.
    fn of(&self, interface: u32) -> (u32, Vec<Arc<Filter>>) {
        let (first, sessions) = self.0.get(&interface).copied().unwrap_or_default();
        (first, sessions.iter().map(|session| Arc::clone(&session.filter)).collect())
    }
}

/// Makes sets.
struct Press<'a> {
    earlier_is: Earlier<'a>,
    earlier: HashMap<&'a NetworkInterfaceId, &'a [Ruling; SETS]>,
    /// By filters.
    made: HashMap<Vec<*const Filter>, [Arc<RuleSet>; SETS]>,
}

impl Press<'_> {
    fn sets(&mut self, id: &NetworkInterfaceId, filters: Vec<Arc<Filter>>) -> [Arc<RuleSet>; SETS] {
        let same: Vec<*const Filter> = filters.iter().map(Arc::as_ptr).collect();
        if let Some(sets) = self.made.get(&same) {
            return sets.clone();
        }
        let earlier = self.earlier.get(id).copied();
        let earlier: [Option<&Ruling>; SETS] =
            earlier.map_or([None; SETS], |sets| sets.each_ref().map(Some));
        let wanted = [
            (Direction::Ingress, true),
            (Direction::Ingress, false),
            (Direction::Egress, true),
            (Direction::Egress, false),
        ];
        let mut earlier = earlier.into_iter().flatten();
        let sets = wanted.map(|(direction, is_ipv4)| {
            let kept = earlier.next().and_then(|ruling| self.kept(&ruling.set, &filters));
            kept.unwrap_or_else(|| Arc::new(RuleSet::new(&filters, direction, is_ipv4)))
        });
        self.made.insert(same, sets.clone());
        sets
    }

    /// What was compiled earlier, if it may be used.
    fn kept(&self, earlier: &RuleSet, filters: &[Arc<Filter>]) -> Option<Arc<RuleSet>> {
        let adapted = earlier.adapted(filters)?;
        let must_settle = matches!(self.earlier_is, Earlier::Settled(..));
        (adapted.is_settled() || !must_settle).then(|| Arc::new(adapted))
    }
}
