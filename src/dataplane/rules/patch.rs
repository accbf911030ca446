//! Rules that came or went since the tables were made.
//!
//! Most packets match none of them: what the tables say of such a packet holds. The others walk
//! from first match to first match, through the trees of the tables and through the rules that
//! came, past those that went, until a session accepts. That costs such a packet a few walks, and
//! it costs them only until new tables are there.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::list::{RuleList, matches, rules_of};
use super::words::Words;
use super::{Compiled, NOBODY};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::verdict::Taken;
use crate::model::{Filter, FilterRule, RuleAction};

/// How many rules may have come and gone; with more, new tables are made at once.
const MOST_CHANGED: usize = 126;

/// How many packets walk together.
const WIDTH: usize = 32;

/// What differs from the tables.
#[derive(Debug)]
pub(super) struct Patch {
    /// All that came or went: what a packet must match for anything to differ.
    changed: Words,
    len: usize,
    /// Places in the tables, in their order.
    went: Vec<u32>,
    /// In the order of asking.
    came: Vec<(FilterRule, Taken)>,
}

/// A packet on its way from first match to first match.
struct Walker {
    /// Its place among the keys.
    key: usize,
    /// The places of the tables before this one are behind it.
    from: u32,
    /// So are these sessions.
    session: u32,
}

impl Patch {
    /// What differs between the rules of the tables and these, and which session and rule each
    /// answer now stands for. Nothing where too much differs.
    pub(super) fn between(
        compiled: &Compiled,
        filters: &[Arc<Filter>],
    ) -> Option<(Option<Self>, Arc<[Taken]>)> {
        if filters.len() != compiled.filters.len() {
            return None;
        }
        let mut changes = Changes::default();
        for (session, (old, new)) in (0..).zip(compiled.filters.iter().zip(filters)) {
            if !Arc::ptr_eq(old, new) {
                changes.find(compiled, session, (old, new))?;
            }
        }
        if changes.is_none() {
            let taken = changes.taken.map_or_else(|| Arc::clone(&compiled.taken), Arc::from);
            return Some((None, taken));
        }
        compiled.engine.forest()?;
        Some(changes.into_patch(compiled))
    }

    /// How many rules came or went.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Mends the answers of the tables for packets that match a rule that came or went.
    pub(super) fn correct(
        &self,
        compiled: &Compiled,
        taken: &[Taken],
        keys: &[FlowKey],
        answers: &mut [u32],
    ) {
        for (keys, answers) in keys.chunks(WIDTH).zip(answers.chunks_mut(WIDTH)) {
            let numbered = keys.iter().enumerate();
            let differing = numbered.filter(|(_, key)| self.changed.has_match(key));
            let mut walkers: ArrayVec<Walker, WIDTH> =
                differing.map(|(key, _)| Walker { key, from: 0, session: 0 }).collect();
            while !walkers.is_empty() {
                self.step(compiled, taken, (keys, answers), &mut walkers);
            }
        }
    }

    /// From each walker's place to the next match; who has an answer walks no further.
    fn step(
        &self,
        compiled: &Compiled,
        taken: &[Taken],
        (keys, answers): (&[FlowKey], &mut [u32]),
        walkers: &mut ArrayVec<Walker, WIDTH>,
    ) {
        let Some(forest) = compiled.engine.forest() else { return walkers.clear() };
        let asked: ArrayVec<FlowKey, WIDTH> =
            walkers.iter().filter_map(|walker| keys.get(walker.key).copied()).collect();
        let from: ArrayVec<u32, WIDTH> = walkers.iter().map(|walker| walker.from).collect();
        let mut found = [NOBODY; WIDTH];
        forest.first_matches(&asked, &from, &mut found);
        let mut found = found.into_iter().zip(asked);
        walkers.retain(|walker| {
            let Some((place, key)) = found.next() else { return false };
            let answer = self.weigh(compiled, taken, walker, (place, &key));
            if let (Some(answer), Some(slot)) = (answer, answers.get_mut(walker.key)) {
                *slot = answer;
            }
            answer.is_none()
        });
    }

    /// The answer, if the next match gives one; else the walker is behind that match.
    fn weigh(
        &self,
        compiled: &Compiled,
        taken: &[Taken],
        walker: &mut Walker,
        (place, key): (u32, &FlowKey),
    ) -> Option<u32> {
        if self.went.binary_search(&place).is_ok() {
            walker.from = place + 1;
            return None;
        }
        let mut came = (compiled.taken.len()..).zip(&self.came);
        let came = came.find(|(_, (rule, at))| at.session >= walker.session && matches(rule, key));
        let old = usize::try_from(place).ok().filter(|_| place != NOBODY);
        let old = old.and_then(|place| Some((place, *taken.get(place)?, compiled.action(place)?)));
        let new = came.map(|(answer, (rule, at))| (answer, *at, rule.action()));
        let first = old.into_iter().chain(new).min_by_key(|(_, at, _)| (at.session, at.rule));
        let Some((answer, at, action)) = first else { return Some(NOBODY) };
        if action == RuleAction::Accept {
            return Some(u32::try_from(answer).unwrap_or(NOBODY));
        }
        walker.session = at.session + 1;
        walker.from = walker.from.max(compiled.start_of(walker.session));
        None
    }
}

impl Compiled {
    /// The first place of that session or a later one.
    fn start_of(&self, session: u32) -> u32 {
        let place = self.taken.partition_point(|taken| taken.session < session);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// What the rule at a place does.
    fn action(&self, place: usize) -> Option<RuleAction> {
        self.rule(place).map(FilterRule::action)
    }

    fn rule(&self, place: usize) -> Option<&FilterRule> {
        let taken = self.taken.get(place)?;
        let filter = self.filters.get(usize::try_from(taken.session).ok()?)?;
        filter.all_rules().get(usize::try_from(taken.rule).ok()?)
    }
}

/// What is known so far of the difference.
#[derive(Debug, Default)]
struct Changes {
    went: Vec<u32>,
    came: Vec<(FilterRule, Taken)>,
    /// By place of the tables, where they are no longer those of the tables.
    taken: Option<Vec<Taken>>,
}

impl Changes {
    const fn is_none(&self) -> bool {
        self.went.is_empty() && self.came.is_empty()
    }

    /// Compares a session's rules, which are in the order of their numbers, before and now.
    fn find(
        &mut self,
        compiled: &Compiled,
        session: u32,
        (old, new): (&Filter, &Filter),
    ) -> Option<()> {
        let (start, end) = (compiled.start_of(session), compiled.start_of(session + 1));
        let mut new = rules_of(new, compiled.direction, compiled.is_ipv4).peekable();
        let all = self.taken.get_or_insert_with(|| compiled.taken.to_vec());
        let places = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        for (place, taken) in (start..).zip(all.get_mut(places)?) {
            let rule = old.all_rules().get(usize::try_from(taken.rule).ok()?)?;
            while let Some((at, rule)) = new.next_if(|(_, new)| new.number() < rule.number()) {
                self.came.push((rule.clone(), Taken { session, rule: at }));
            }
            match new.next_if(|(_, new)| new.number() == rule.number()) {
                Some((at, same)) if is_same(rule, same) => taken.rule = at,
                other => {
                    self.went.push(place);
                    self.came.extend(
                        other.map(|(at, rule)| (rule.clone(), Taken { session, rule: at })),
                    );
                }
            }
            if self.went.len() + self.came.len() > MOST_CHANGED {
                return None;
            }
        }
        let room = MOST_CHANGED + 1 - self.went.len();
        let rest: Vec<_> = new.collect();
        // Behind the last accepting rule none changes anything.
        let kept = rest.iter().rposition(|(_, rule)| rule.action() == RuleAction::Accept);
        let rest = rest.into_iter().take(kept.map_or(0, |last| last + 1)).take(room);
        self.came.extend(rest.map(|(at, rule)| (rule.clone(), Taken { session, rule: at })));
        (self.went.len() + self.came.len() <= MOST_CHANGED).then_some(())
    }

    fn into_patch(self, compiled: &Compiled) -> (Option<Patch>, Arc<[Taken]>) {
        let Self { went, came, taken } = self;
        let gone = went.iter().filter_map(|place| compiled.rule(usize::try_from(*place).ok()?));
        let changed =
            Words::new(&RuleList::of_rules(gone.chain(came.iter().map(|(rule, _)| rule))));
        let mut taken = taken.unwrap_or_else(|| compiled.taken.to_vec());
        taken.extend(came.iter().map(|(_, taken)| *taken));
        let patch = Patch { changed, len: went.len() + came.len(), went, came };
        (Some(patch), Arc::from(taken))
    }
}

/// Whether both match the same packets and do the same with them.
fn is_same(a: &FilterRule, b: &FilterRule) -> bool {
    let asked = |rule: &FilterRule| {
        (
            rule.action(),
            (rule.source(), rule.destination()),
            rule.protocol(),
            (rule.source_ports(), rule.destination_ports()),
        )
    };
    asked(a) == asked(b)
}
