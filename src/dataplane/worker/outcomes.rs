//! Records the outcomes of a batch: copies, counters, and verdicts if the sink observes them.
//!
//! Lookups and runs of plain frames are merged in the order of the frames, because copies leave in
//! this order.

use std::sync::Arc;

use super::Worker;
use crate::dataplane::compiled_rules::InterfaceRuleSet;
use crate::dataplane::encap::copy::{CopyRef, CopyState};
use crate::dataplane::encap::session_encap::SessionEncap;
use crate::dataplane::flow_hash::{flow_hash_bits, source_port_bits, tag_bits};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::frame::Frame;
use crate::dataplane::interface_lookup::FrameOwner;
use crate::dataplane::lookup_batch::{Lookup, LookupBatch};
use crate::dataplane::plain_lanes::{PlainLanes, PlainRun};
use crate::dataplane::table::{MirrorTable, outcome_of};
use crate::dataplane::verdict::{MirrorOutcome, NotMirrored, SessionMatch, Verdict};
use crate::model::Direction;

impl Worker {
    /// Counts the frames of a batch that are not mirrored, and records the copies of the others.
    /// `start` is the index of the first frame of the batch in the burst.
    #[inline]
    pub(super) fn record_outcomes(
        &mut self,
        start: usize,
        frames: &[Frame<'_>],
        (batch, lanes): (&LookupBatch, &PlainLanes),
    ) {
        let mut lookups = batch.lookups().iter().peekable();
        self.last_decision = None;
        for run in lanes.runs() {
            while let Some(lookup) = lookups.next_if(|lookup| lookup.frame() < run.frame) {
                self.record_lookup(start, frames, (batch, lookup));
            }
            if lanes.is_decided_by_rules() && !self.wants_verdicts {
                self.record_run(start, frames, run);
            } else {
                self.record_each(start, frames, (lanes, run));
            }
        }
        for lookup in lookups {
            self.record_lookup(start, frames, (batch, lookup));
        }
    }

    /// Records the outcome of a frame that is in no lane.
    #[inline]
    fn record_lookup(
        &mut self,
        start: usize,
        frames: &[Frame<'_>],
        (batch, lookup): (&LookupBatch, &Lookup),
    ) {
        let Some(frame) = frames.get(lookup.frame()) else { return };
        let outcome = batch.outcome(&self.table, lookup);
        let key = batch.key(lookup);
        self.record_outcome((start + lookup.frame(), frame), lookup.owner(), (key, outcome));
        self.last_decision = key.filter(|_| self.interface.is_some()).map(|key| (*key, outcome));
    }

    /// Records the outcomes of a run one by one: if the sink observes verdicts, or if the checks
    /// before the rules decided on a frame of the batch.
    fn record_each(
        &mut self,
        start: usize,
        frames: &[Frame<'_>],
        (lanes, run): (&PlainLanes, PlainRun<'_>),
    ) {
        let table = Arc::clone(&self.table);
        let Some(rules) = table.rule_set(run.rules) else { return };
        let evaluated = run.keys.iter().zip(run.answers);
        for (index, (key, answer)) in (run.frame..).zip(evaluated) {
            let Some(frame) = frames.get(index) else { return };
            let by_rules = || outcome_of(rules.session_match(*answer));
            let outcome = lanes.decided(index).unwrap_or_else(by_rules);
            let owner = Some(run.rules.owner());
            self.record_outcome((start + index, frame), owner, (Some(key), outcome));
            self.last_decision = self.interface.map(|_| (*key, outcome));
        }
    }

    /// Records the outcomes of a run if the rules decide on all frames and no sink observes
    /// verdicts.
    #[inline]
    fn record_run(&mut self, start: usize, frames: &[Frame<'_>], run: PlainRun<'_>) {
        let table = Arc::clone(&self.table);
        let Some(rules) = table.rule_set(run.rules) else { return };
        let frames = frames.get(run.frame..).unwrap_or_default();
        let room = self.copies.get_mut(self.copy_count..).unwrap_or_default();
        let copied = record_copies((start, frames), &run, (rules, &table), room);
        self.copy_count += copied;
        let unmatched = run.keys.len().saturating_sub(copied);
        self.counters.count_not_mirrored(
            NotMirrored::NoSessionMatched,
            u64::try_from(unmatched).unwrap_or_default(),
        );
        if let (Some(key), Some(answer), Some(_)) =
            (run.keys.last(), run.answers.last(), self.interface)
        {
            self.last_decision = Some((*key, outcome_of(rules.session_match(*answer))));
        }
    }

    /// Counts a frame that is not mirrored, or records its copy.
    #[inline(always)]
    fn record_outcome(
        &mut self,
        (index, frame): (usize, &Frame<'_>),
        owner: Option<FrameOwner>,
        (key, outcome): (Option<&FlowKey>, MirrorOutcome),
    ) {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        let direction = owner.map_or(Direction::Ingress, |owner| owner.direction);
        if self.wants_verdicts {
            let interface = owner.map(|owner| owner.interface);
            self.verdicts.push(Verdict { frame: index, direction, interface, outcome });
        }
        match (outcome, key) {
            (MirrorOutcome::Mirrored(matched), Some(key)) => {
                self.record_copy((index, frame), direction, (key, matched));
            }
            (MirrorOutcome::NotMirrored(reason), _) => self.counters.count_not_mirrored(reason, 1),
            // A frame without a key is never mirrored.
            (MirrorOutcome::Mirrored(_), None) => {}
        }
    }

    #[inline(always)]
    fn record_copy(
        &mut self,
        (index, frame): (u16, &Frame<'_>),
        direction: Direction,
        (key, matched): (&FlowKey, SessionMatch),
    ) {
        let Some(encap) = self.table.encap_of(matched.session) else { return };
        let flow = flow_hash_bits(key);
        if let Some(copy) = self.copies.get_mut(self.copy_count) {
            *copy = copy_ref((index, frame), direction, (flow, matched), encap);
            self.copy_count += 1;
        }
    }
}

/// The record of a copy of the frame at `index` of the burst. `flow` is the flow hash.
#[inline(always)]
fn copy_ref(
    (index, frame): (u16, &Frame<'_>),
    direction: Direction,
    (flow, matched): (u64, SessionMatch),
    encap: &SessionEncap,
) -> CopyRef {
    let captured_len = u32::try_from(frame.captured_len()).unwrap_or(u32::MAX);
    let inner_len = captured_len.min(encap.max_inner_len);
    let state = if inner_len >= frame.copied_from_len() {
        CopyState::Whole
    } else if inner_len >= captured_len.min(encap.packet_length) {
        CopyState::Truncated
    } else {
        CopyState::TruncatedToMtu
    };
    CopyRef {
        inner_len,
        session: matched.session,
        by: matched.by,
        frame: index,
        flow_hash: source_port_bits(flow),
        flow_tag: tag_bits(flow),
        direction,
        state,
    }
}

/// Writes the copies of a run to the start of `room`, and returns their number. `start` is the
/// index of the first frame of the batch in the burst; `frames` begin with the first of the run.
#[inline(never)]
fn record_copies(
    (start, frames): (usize, &[Frame<'_>]),
    run: &PlainRun<'_>,
    (rules, table): (&InterfaceRuleSet, &MirrorTable),
    room: &mut [CopyRef],
) -> usize {
    let encaps = table.encaps();
    let direction = run.rules.owner().direction;
    let first = u16::try_from(start + run.frame).unwrap_or(u16::MAX);
    let mut copied = 0;
    let evaluated = run.flows.iter().zip(run.answers).zip(frames);
    for (index, ((flow, answer), frame)) in (first..).zip(evaluated) {
        let Some(matched) = rules.session_match(*answer) else { continue };
        let encap = encaps.get(matched.session.get());
        let (Some(encap), Some(copy)) = (encap, room.get_mut(copied)) else { continue };
        *copy = copy_ref((index, frame), direction, (*flow, matched), encap);
        copied += 1;
    }
    copied
}
