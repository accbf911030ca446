//! The sink of a play: stores copies, and explains each frame if the client wants it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch::Sender;

use super::Shared;
use super::copy_store::{CopyBytes, CopyOrigin, CopyStore};
use crate::dataplane::{Burst, Copies, DropCause, Drops, MirrorTable, SessionMatch, Sink, Verdict};
use crate::io::StopFlag;
use crate::model::TargetId;
use crate::report::{ExplainFormat, ExplainLine};

/// Explanations beyond this number of bytes are left out.
const MAX_EXPLANATIONS_LEN: usize = 256 << 20;

/// Stores the copies of a play.
pub(super) struct CopySink {
    store: Arc<Mutex<CopyStore>>,
    changed: Arc<Sender<()>>,
    /// Set when the play is stopped. A stopped play stores no copies.
    stop: StopFlag,
    /// The slots of targets and the origins of the current table, and the generation of the store for which the
    /// origins are valid.
    known: HashMap<SessionMatch, (usize, u32)>,
    known_for: Option<(u64, u64)>,
    /// JSON objects, each followed by a comma.
    explanations: Option<String>,
    /// The number of explained frames, if not all are.
    explained_frames: Option<u64>,
    /// The table of the next burst.
    table: Arc<MirrorTable>,
    frames: u64,
}

impl CopySink {
    pub(super) fn new(
        shared: &Shared,
        table: Arc<MirrorTable>,
        explains: bool,
        stop: &StopFlag,
    ) -> Self {
        Self {
            store: Arc::clone(&shared.copies),
            changed: Arc::clone(&shared.copies_changed),
            stop: stop.clone(),
            known: HashMap::new(),
            known_for: None,
            explanations: explains.then(String::new),
            explained_frames: None,
            table,
            frames: 0,
        }
    }

    /// Changes the table between two bursts.
    pub(super) fn change_table(&mut self, table: Arc<MirrorTable>) {
        self.table = table;
    }

    /// The explanations of all frames as a JSON array, and warnings.
    pub(super) fn into_explanations(self) -> (Option<String>, Vec<String>) {
        let warning = self.explained_frames.map(|frames| {
            format!("only the first {frames} frames are explained: the text is limited to 256 MiB")
        });
        let explanations = self.explanations.map(|mut text| {
            text.pop();
            format!("[{text}]")
        });
        (explanations, warning.into_iter().collect())
    }
}

/// The target and the origin of a session's copies.
fn describe(table: &MirrorTable, matched: SessionMatch) -> Option<(TargetId, CopyOrigin)> {
    let session = table.session(matched.session)?;
    let rule = matched.by.rule().and_then(|rule| session.filter.all_rules().get(rule.get()));
    let origin = CopyOrigin {
        session_id: session.id.clone(),
        virtual_network_id: session.virtual_network_id.value(),
        rule_number: rule.map(|rule| rule.number().value()),
        rule_id: rule.and_then(|rule| rule.id.as_ref()).map(ToString::to_string),
    };
    Some((table.target(session.target)?.id.clone(), origin))
}

impl Sink for CopySink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        let Self { store, known, known_for, .. } = self;
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        // A reset sets the flag before it clears the store.
        if self.stop.is_set() {
            (0..copies.len()).for_each(|index| drops.push(index, DropCause::Interrupted));
            return Ok(());
        }
        let valid_for = Some((copies.table().number(), store.generation()));
        if *known_for != valid_for {
            known.clear();
            *known_for = valid_for;
        }
        for (index, copy) in copies.iter().enumerate() {
            let matched = SessionMatch { session: copy.session(), by: copy.accepted_by() };
            if !known.contains_key(&matched)
                && let Some((target, origin)) = describe(copies.table(), matched)
            {
                known.insert(matched, (store.add_target(&target), store.add_origin(origin)));
            }
            let (outer, inner) = (copy.outer(), copy.inner());
            let bytes = CopyBytes {
                timestamp_ns: copy.frame().timestamp_ns,
                outer: &outer,
                inner: [inner.head, inner.tail],
            };
            let is_stored = known
                .get(&matched)
                .is_some_and(|(slot, origin)| store.push(*slot, *origin, &bytes));
            if !is_stored {
                drops.push(index, DropCause::NoBuffers);
            }
        }
        drop(store);
        self.changed.send_replace(());
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        self.explanations.is_some()
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        let Some(text) = &mut self.explanations else { return Ok(()) };
        if text.len() > MAX_EXPLANATIONS_LEN {
            self.explained_frames.get_or_insert(self.frames);
            return Ok(());
        }
        for verdict in verdicts {
            if let Some(frame) = burst.get(usize::from(verdict.frame)) {
                let number = self.frames + u64::from(verdict.frame) + 1;
                let line = ExplainLine::new(&self.table, number, frame, verdict);
                text.push_str(line.format_line(ExplainFormat::Json).trim_end());
                text.push(',');
            }
        }
        self.frames += u64::try_from(burst.len()).unwrap_or_default();
        Ok(())
    }
}
