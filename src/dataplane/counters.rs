//! Counters: every frame is counted exactly once, as mirrored, not mirrored or dropped.

use std::collections::HashMap;
use std::sync::Arc;

use super::encap::copy::{CopyRef, CopyState};
use super::endpoints::DropCause;
use super::index::SessionIndex;
#[cfg(feature = "live")]
use super::kernel::KernelCounts;
use super::table::MirrorTable;
use super::table_parts::CompiledSession;
#[cfg(feature = "live")]
use super::verdict::SessionMatch;
use super::verdict::{AcceptedBy, NotMirrored};
use crate::model::Direction;

/// The counters of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// Copies that were sent.
    pub mirrored: u64,
    /// Inner bytes of these copies, after truncation, without encapsulation.
    pub mirrored_bytes: u64,
    /// Copies among them that are shorter than their frame.
    pub truncated: u64,
    /// Truncated copies that are shorter because of the MTU of the path to the target, not because
    /// of PacketLength.
    pub truncated_to_mtu: u64,
    /// Copies that were dropped. The session accepted `mirrored + dropped` packets.
    pub dropped: u64,
}

impl DirectionCounters {
    const fn add(&mut self, other: &Self) {
        self.mirrored += other.mirrored;
        self.mirrored_bytes += other.mirrored_bytes;
        self.skipped += other.skipped;
        self.skipped_bytes += other.skipped_bytes;
    }
}

impl SessionCounters {
    fn add(&mut self, other: &Self) {
        self.mirrored += other.mirrored;
        self.mirrored_bytes += other.mirrored_bytes;
        self.truncated += other.truncated;
        self.truncated_to_mtu += other.truncated_to_mtu;
        self.dropped += other.dropped;
    }
}

/// The counters of one direction: copies that were sent, and copies that were dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectionCounters {
    /// Copies that were sent.
    pub mirrored: u64,
    /// Inner bytes of these copies, after truncation, without encapsulation.
    pub mirrored_bytes: u64,
    /// Copies that a session accepted and that were dropped.
    pub skipped: u64,
    /// Inner bytes of the dropped copies.
    pub skipped_bytes: u64,
}

/// The counters of a worker. `received = mirrored + not mirrored + dropped` always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pairs of a frame and an interface that owns it; a frame without an owner counts once.
    pub received: u64,
    /// Frames that a source lent.
    pub frames: u64,
    /// By [`SessionIndex`].
    pub sessions: Vec<SessionCounters>,
    pub(super) not_mirrored: [u64; NotMirrored::ALL.len()],
    pub(super) dropped: [u64; DropCause::ALL.len()],
    /// The counters of sessions that are no longer in the table.
    retired: SessionCounters,
    /// By direction: ingress, then egress.
    directions: [DirectionCounters; 2],
    /// Copies that were sent, by rule: for each session one entry for each rule of its filter, and
    /// one for the network service `amazon-dns`.
    rules: Vec<u64>,
    /// Index in `rules` of the first entry of each session.
    rule_starts: Vec<usize>,
}

impl Counters {
    /// Counters for the sessions of a table, all zero.
    #[must_use]
    pub fn new(table: &MirrorTable) -> Self {
        let sessions = table.sessions();
        let mut counters = Self::default();
        counters.sessions.resize(sessions.len(), SessionCounters::default());
        let mut end = 0;
        for session in sessions {
            counters.rule_starts.push(end);
            end += session.filter.all_rules().len() + 1;
        }
        counters.rules.resize(end, 0);
        counters
    }

    /// The counters of one direction.
    #[must_use]
    pub fn direction(&self, direction: Direction) -> DirectionCounters {
        let [ingress, egress] = self.directions;
        match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        }
    }

    /// Copies of a session that were sent, by the rule that accepted them, in the order of
    /// [`Filter::all_rules`](crate::model::Filter::all_rules); the last entry is the network
    /// service `amazon-dns`. The counts start at zero again when the filter changes.
    #[must_use]
    pub fn rules(&self, session: SessionIndex) -> &[u64] {
        let Some(start) = self.rule_starts.get(session.get()) else { return &[] };
        let end = self.rules_end(session);
        self.rules.get(*start..end).unwrap_or_default()
    }

    /// Copies that were sent, of all sessions.
    #[must_use]
    pub fn mirrored(&self) -> u64 {
        self.retired.mirrored + self.sessions.iter().map(|session| session.mirrored).sum::<u64>()
    }

    /// Inner bytes that were sent, of all sessions.
    #[must_use]
    pub fn mirrored_bytes(&self) -> u64 {
        let now = self.sessions.iter().map(|session| session.mirrored_bytes).sum::<u64>();
        self.retired.mirrored_bytes + now
    }

    /// Frames that were not mirrored for one reason.
    #[must_use]
    pub fn not_mirrored(&self, reason: NotMirrored) -> u64 {
        self.not_mirrored.get(reason.index()).copied().unwrap_or_default()
    }

    /// Copies and frames that were dropped for one cause.
    #[must_use]
    pub fn dropped(&self, cause: DropCause) -> u64 {
        self.dropped.get(cause.index()).copied().unwrap_or_default()
    }

    /// Whether every received frame was counted as mirrored, not mirrored or dropped.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.unaccounted() == 0
    }

    /// The difference between `received` and the sum of mirrored, not mirrored and dropped; a value
    /// other than zero is a bug in this program.
    #[must_use]
    pub fn unaccounted(&self) -> u64 {
        let buckets = self.not_mirrored.iter().chain(&self.dropped).sum::<u64>();
        self.received.abs_diff(self.mirrored() + buckets)
    }

    /// The counters of sessions that a later table no longer has.
    #[must_use]
    pub const fn retired(&self) -> SessionCounters {
        self.retired
    }

    /// Adds the counters of another worker with the same table.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.frames += other.frames;
        for (own, others) in self.sessions.iter_mut().zip(&other.sessions) {
            own.add(others);
        }
        let buckets = self.not_mirrored.iter_mut().chain(&mut self.dropped);
        for (own, others) in buckets.zip(other.not_mirrored.iter().chain(&other.dropped)) {
            *own += others;
        }
        self.retired.add(&other.retired);
        for (own, others) in self.rules.iter_mut().zip(&other.rules) {
            *own += others;
        }
        for (own, others) in self.directions.iter_mut().zip(&other.directions) {
            own.add(others);
        }
    }

    /// Adds what the programs of one direction counted. `accepted` has the session and the rule of
    /// each accepted outcome; the counters and the programs have the same table.
    #[cfg(feature = "live")]
    pub fn add_kernel_counts(
        &mut self,
        direction: Direction,
        counts: &KernelCounts,
        accepted: &[SessionMatch],
    ) {
        let counted = counts.counted();
        self.received += counted;
        self.frames += counted;
        let categories = self.not_mirrored.iter_mut().chain(&mut self.dropped);
        let amounts = counts.not_mirrored.iter().chain(&counts.dropped);
        categories.zip(amounts).for_each(|(own, amount)| *own += amount);
        for (own, session) in self.sessions.iter_mut().zip(&counts.sessions) {
            let [mirrored, mirrored_bytes, truncated, truncated_to_mtu, dropped] = *session;
            own.add(&SessionCounters {
                mirrored,
                mirrored_bytes,
                truncated,
                truncated_to_mtu,
                dropped,
            });
        }
        let [mirrored, mirrored_bytes, skipped, skipped_bytes] = counts.direction;
        let sum = DirectionCounters { mirrored, mirrored_bytes, skipped, skipped_bytes };
        for_direction(&mut self.directions, direction).add(&sum);
        for (matched, amount) in accepted.iter().zip(&counts.outcomes) {
            if let Some(rule) = self.rule_counter(matched.session, matched.by) {
                *rule += amount;
            }
        }
    }

    /// Moves the counters to a new table; those of a session follow its id.
    pub(super) fn move_to_table(&mut self, from: &MirrorTable, to: &MirrorTable) {
        let ids = from.sessions().iter().map(|session| &session.id);
        let places: HashMap<_, _> =
            SessionIndex::enumerate(ids).map(|(index, id)| (id, index)).collect();
        let mut old = std::mem::replace(self, Self::new(to));
        for (place, session) in to.sessions().iter().enumerate() {
            let known = places.get(&session.id).copied();
            let Some(known) = known.filter(|known| known.get() < old.sessions.len()) else {
                continue;
            };
            let same = from.session(known).is_some_and(|one| has_same_rules(one, session));
            if let Some(counted) = self.sessions.get_mut(place) {
                *counted =
                    old.sessions.get_mut(known.get()).map(std::mem::take).unwrap_or_default();
            }
            let start = self.rule_starts.get(place).copied().unwrap_or_default();
            for (own, olds) in self.rules.iter_mut().skip(start).zip(old.rules(known)) {
                *own = if same { *olds } else { 0 };
            }
        }
        // The counters of the sessions that still exist are zero now.
        old.sessions.iter().for_each(|gone| old.retired.add(gone));
        self.received = old.received;
        self.frames = old.frames;
        (self.not_mirrored, self.dropped) = (old.not_mirrored, old.dropped);
        (self.retired, self.directions) = (old.retired, old.directions);
    }

    /// The sum of counters of different tables, with one entry for all sessions together.
    #[must_use]
    pub fn sum<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        let mut all = SessionCounters::default();
        for part in parts {
            sum.add(part);
            part.sessions.iter().for_each(|session| all.add(session));
        }
        sum.sessions.push(all);
        sum
    }

    /// The same counters in the order of the sessions of another table.
    #[must_use]
    pub fn reordered_for(&self, from: &MirrorTable, to: &MirrorTable) -> Self {
        let mut carried = self.clone();
        carried.move_to_table(from, to);
        carried
    }

    /// Moves the counters of all sessions to the retired sessions.
    pub fn retire_sessions(&mut self) {
        let old = std::mem::take(&mut self.sessions);
        old.iter().for_each(|gone| self.retired.add(gone));
        self.rules.clear();
        self.rule_starts.clear();
    }

    /// Counts frames that were dropped before a decision.
    pub(super) fn count_dropped(&mut self, cause: DropCause, frames: u64) {
        self.received += frames;
        if let Some(count) = self.dropped.get_mut(cause.index()) {
            *count += frames;
        }
    }

    /// Counts frames that were not mirrored.
    #[inline]
    pub fn count_not_mirrored(&mut self, reason: NotMirrored, frames: u64) {
        self.received += frames;
        if let Some(count) = self.not_mirrored.get_mut(reason.index()) {
            *count += frames;
        }
    }

    /// Counts the copies of a burst in one loop, so that the sums of the directions stay in
    /// registers.
    pub(super) fn add_copies(&mut self, copies: &[CopyRef]) {
        self.received += u64::try_from(copies.len()).unwrap_or_default();
        let mut sums = [DirectionCounters::default(); 2];
        for copy in copies.iter().filter(|copy| copy.state != CopyState::Lost) {
            let inner_len = u64::from(copy.inner_len);
            if let Some(session) = self.sessions.get_mut(copy.session.get()) {
                session.mirrored += 1;
                session.mirrored_bytes += inner_len;
                // Most copies are not truncated: avoid the stores for them.
                if copy.state != CopyState::Whole {
                    session.truncated += 1;
                    session.truncated_to_mtu += u64::from(copy.state == CopyState::TruncatedToMtu);
                }
            }
            if let Some(rule) = self.rule_counter(copy.session, copy.by) {
                *rule += 1;
            }
            let sum = for_direction(&mut sums, copy.direction);
            sum.mirrored += 1;
            sum.mirrored_bytes += inner_len;
        }
        for (own, sum) in self.directions.iter_mut().zip(&sums) {
            own.add(sum);
        }
    }

    /// Counts a dropped copy and marks it as [`CopyState::Lost`].
    pub(super) fn record_drop(&mut self, copy: &mut CopyRef, cause: DropCause) {
        copy.state = CopyState::Lost;
        let direction = for_direction(&mut self.directions, copy.direction);
        direction.skipped += 1;
        direction.skipped_bytes += u64::from(copy.inner_len);
        if let Some(session) = self.sessions.get_mut(copy.session.get()) {
            session.dropped += 1;
        }
        if let Some(count) = self.dropped.get_mut(cause.index()) {
            *count += 1;
        }
    }

    #[inline]
    fn rule_counter(&mut self, session: SessionIndex, by: AcceptedBy) -> Option<&mut u64> {
        let start = self.rule_starts.get(session.get())?;
        let place = match by {
            AcceptedBy::Rule(rule) => start + rule.get(),
            AcceptedBy::AmazonDns => self.rules_end(session).checked_sub(1)?,
        };
        self.rules.get_mut(place)
    }

    /// Index in `rules` after the last entry of a session.
    #[inline]
    fn rules_end(&self, session: SessionIndex) -> usize {
        self.rule_starts.get(session.get() + 1).copied().unwrap_or(self.rules.len())
    }
}

/// Whether both sessions have the same rules. Reloading a file makes new filters with the same
/// rules, so pointers are not enough; most changes add or remove a rule, so the lengths are
/// compared first.
fn has_same_rules(one: &CompiledSession, other: &CompiledSession) -> bool {
    let [own, others] = [one, other].map(|session| session.filter.all_rules().len());
    Arc::ptr_eq(&one.filter, &other.filter) || own == others && one.filter == other.filter
}

#[inline]
const fn for_direction(
    directions: &mut [DirectionCounters; 2],
    direction: Direction,
) -> &mut DirectionCounters {
    let [ingress, egress] = directions;
    match direction {
        Direction::Ingress => ingress,
        Direction::Egress => egress,
    }
}
