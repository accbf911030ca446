//! Patches: rules that were added or removed since the tables were built.
//!
//! Most packets match none of these rules, and the answer of the tables is valid. For the others
//! the patch searches from match to match, in the forest and in the added rules, and skips the
//! removed rules, until a session accepts. Example: the tables have rules 0 (reject) and 1 (accept)
//! of one session, and rule 0 is removed. A packet that matches both finds rule 0, skips it because
//! it is removed, searches from index 1 on, and finds rule 1, which accepts. Such a packet needs a
//! few more searches, until the rules are compiled again.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::answer::Answer;
use super::bit_vector::BitVector;
use super::compiled::Compiled;
use super::list::{RuleList, RulePosition, matches, rules_of};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::index::SessionIndex;
use crate::model::{Filter, FilterRule, RuleAction};

/// The largest number of rules in a patch; if more rules differ, all rules are compiled again.
const MAX_CHANGED: usize = 126;

/// The number of packets that are searched together.
const BATCH_LEN: usize = 32;

/// The difference from the tables.
#[derive(Debug)]
pub(super) struct Patch {
    /// All added and removed rules: only packets that match one of them may get another answer.
    changed: BitVector,
    len: usize,
    /// Indices of the removed rules, ascending.
    removed: Vec<u32>,
    /// The added rules in evaluation order.
    added: Vec<(FilterRule, RulePosition)>,
}

/// The search state of a packet.
struct PatchLookup {
    /// Index of its key.
    key: usize,
    /// The search continues at this index of the tables.
    from: u32,
    /// The search continues at this session.
    session: SessionIndex,
}

impl PatchLookup {
    const fn new(key: usize) -> Self {
        Self { key, from: 0, session: SessionIndex::FIRST }
    }
}

impl Patch {
    /// The difference between the rules of the tables and those of `filters`, and the session and
    /// rule that each answer now denotes. `None` if too many rules differ.
    pub(super) fn from_changes(
        compiled: &Compiled,
        filters: &[Arc<Filter>],
    ) -> Option<(Option<Self>, Arc<[RulePosition]>)> {
        if filters.len() != compiled.filters.len() {
            return None;
        }
        let mut changes = Changes::default();
        for (session, (old, new)) in SessionIndex::enumerate(compiled.filters.iter().zip(filters)) {
            if !Arc::ptr_eq(old, new) {
                changes.compare_session(compiled, session, (old, new))?;
            }
        }
        if changes.is_none() {
            let unchanged = || Arc::clone(&compiled.positions);
            return Some((None, changes.positions.map_or_else(unchanged, Arc::from)));
        }
        compiled.engine.forest()?;
        Some(changes.into_patch(compiled))
    }

    /// The number of added and removed rules.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Corrects the answers of the tables for packets that match an added or removed rule.
    pub(super) fn correct(
        &self,
        compiled: &Compiled,
        positions: &[RulePosition],
        keys: &[FlowKey],
        answers: &mut [Answer],
    ) {
        for (keys, answers) in keys.chunks(BATCH_LEN).zip(answers.chunks_mut(BATCH_LEN)) {
            let numbered = keys.iter().enumerate();
            let differing = numbered.filter(|(_, key)| self.changed.has_match(key));
            let mut lookups: ArrayVec<PatchLookup, BATCH_LEN> =
                differing.map(|(key, _)| PatchLookup::new(key)).collect();
            while !lookups.is_empty() {
                self.step(compiled, positions, (keys, answers), &mut lookups);
            }
        }
    }

    /// Searches the next match of each lookup, and removes the lookups that have an answer.
    fn step(
        &self,
        compiled: &Compiled,
        positions: &[RulePosition],
        (keys, answers): (&[FlowKey], &mut [Answer]),
        lookups: &mut ArrayVec<PatchLookup, BATCH_LEN>,
    ) {
        let Some(forest) = compiled.engine.forest() else { return lookups.clear() };
        let asked: ArrayVec<FlowKey, BATCH_LEN> =
            lookups.iter().filter_map(|lookup| keys.get(lookup.key).copied()).collect();
        let from: ArrayVec<u32, BATCH_LEN> = lookups.iter().map(|lookup| lookup.from).collect();
        let mut found = [Answer::NONE; BATCH_LEN];
        forest.first_matches(&asked, &from, &mut found);
        let mut found = found.into_iter().zip(asked);
        lookups.retain(|lookup| {
            let Some((found, key)) = found.next() else { return false };
            let answer = self.resolve_match(compiled, positions, lookup, (found, &key));
            if let (Some(answer), Some(slot)) = (answer, answers.get_mut(lookup.key)) {
                *slot = answer;
            }
            answer.is_none()
        });
    }

    /// The answer, if the next match gives one; otherwise the lookup continues after that match.
    fn resolve_match(
        &self,
        compiled: &Compiled,
        positions: &[RulePosition],
        lookup: &mut PatchLookup,
        (found, key): (Answer, &FlowKey),
    ) -> Option<Answer> {
        let place = found.place();
        if self.removed.binary_search(&place).is_ok() {
            lookup.from = place + 1;
            return None;
        }
        let mut added = (compiled.positions.len()..).zip(&self.added);
        let added =
            added.find(|(_, (rule, at))| at.session >= lookup.session && matches(rule, key));
        let old = usize::try_from(place).ok().filter(|_| found != Answer::NONE);
        let old =
            old.and_then(|place| Some((place, *positions.get(place)?, compiled.action(place)?)));
        let new = added.map(|(answer, (rule, at))| (answer, *at, rule.action()));
        let first = old.into_iter().chain(new).min_by_key(|(_, at, _)| *at);
        let Some((answer, at, action)) = first else { return Some(Answer::NONE) };
        if action == RuleAction::Accept {
            return Some(u32::try_from(answer).map_or(Answer::NONE, Answer::new));
        }
        lookup.session = at.session.saturating_add(1);
        lookup.from = lookup.from.max(compiled.start_of(lookup.session));
        None
    }
}

/// The difference, while it is collected.
#[derive(Debug, Default)]
struct Changes {
    removed: Vec<u32>,
    added: Vec<(FilterRule, RulePosition)>,
    /// By index in the tables: session and rule, if they differ from those of the tables.
    positions: Option<Vec<RulePosition>>,
}

impl Changes {
    const fn is_none(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Compares the old and new rules of a session; both are sorted by number.
    fn compare_session(
        &mut self,
        compiled: &Compiled,
        session: SessionIndex,
        (old, new): (&Filter, &Filter),
    ) -> Option<()> {
        let next_session = session.saturating_add(1);
        let (start, end) = (compiled.start_of(session), compiled.start_of(next_session));
        let mut new = rules_of(new, compiled.direction, compiled.is_ipv4).peekable();
        let all = self.positions.get_or_insert_with(|| compiled.positions.to_vec());
        let places = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        for (place, position) in (start..).zip(all.get_mut(places)?) {
            let rule = old.all_rules().get(position.rule.get())?;
            while let Some((at, rule)) = new.next_if(|(_, new)| new.number() < rule.number()) {
                self.added.push((rule.clone(), RulePosition { session, rule: at }));
            }
            match new.next_if(|(_, new)| new.number() == rule.number()) {
                Some((at, same)) if has_same_effect(rule, same) => position.rule = at,
                other => {
                    self.removed.push(place);
                    self.added.extend(
                        other.map(|(at, rule)| (rule.clone(), RulePosition { session, rule: at })),
                    );
                }
            }
            if self.removed.len() + self.added.len() > MAX_CHANGED {
                return None;
            }
        }
        let room = MAX_CHANGED + 1 - self.removed.len();
        let rest: Vec<_> = new.collect();
        // Rules after the last accepting rule have no effect.
        let kept = rest.iter().rposition(|(_, rule)| rule.action() == RuleAction::Accept);
        let rest = rest.into_iter().take(kept.map_or(0, |last| last + 1)).take(room);
        self.added
            .extend(rest.map(|(at, rule)| (rule.clone(), RulePosition { session, rule: at })));
        (self.removed.len() + self.added.len() <= MAX_CHANGED).then_some(())
    }

    fn into_patch(self, compiled: &Compiled) -> (Option<Patch>, Arc<[RulePosition]>) {
        let Self { removed, added, positions } = self;
        let removed_rules =
            removed.iter().filter_map(|place| compiled.rule(usize::try_from(*place).ok()?));
        let changed = {
            let touched = removed_rules.chain(added.iter().map(|(rule, _)| rule));
            BitVector::new(&RuleList::of_rules(touched), compiled.is_ipv4)
        };
        let mut positions = positions.unwrap_or_else(|| compiled.positions.to_vec());
        positions.extend(added.iter().map(|(_, position)| *position));
        let patch = Patch { changed, len: removed.len() + added.len(), removed, added };
        (Some(patch), Arc::from(positions))
    }
}

/// Whether both rules match the same packets and have the same action.
fn has_same_effect(a: &FilterRule, b: &FilterRule) -> bool {
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
