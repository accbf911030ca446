//! The sums of the reports of all plays.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::MirrorReport;

/// The counters of all plays since the start or the last reset.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Totals {
    plays: u64,
    received: u64,
    mirrored: u64,
    mirrored_bytes: u64,
    not_mirrored: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<&'static str, u64>,
    /// Mirrored copies by session.
    #[serde(skip)]
    by_session: BTreeMap<String, SessionTotals>,
}

/// The counters of a session.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct SessionTotals {
    mirrored: u64,
    mirrored_bytes: u64,
    truncated: u64,
}

impl Totals {
    /// The number of plays.
    pub(super) const fn plays(&self) -> u64 {
        self.plays
    }

    /// The counters of a session; zeros if it mirrored nothing.
    pub(super) fn of_session(&self, id: &str) -> SessionTotals {
        self.by_session.get(id).copied().unwrap_or_default()
    }

    /// Adds the counters of a play.
    pub(super) fn add(&mut self, report: &MirrorReport) {
        self.plays += 1;
        self.received += report.received;
        self.mirrored += report.mirrored;
        self.mirrored_bytes += report.mirrored_bytes;
        for (reason, count) in &report.not_mirrored {
            *self.not_mirrored.entry(reason).or_default() += count;
        }
        for (cause, count) in &report.dropped {
            *self.dropped.entry(cause).or_default() += count;
        }
        for session in &report.sessions {
            let id = session.traffic_mirror_session_id.clone();
            let known = self.by_session.entry(id).or_default();
            known.mirrored += session.mirrored;
            known.mirrored_bytes += session.mirrored_bytes;
            known.truncated += session.truncated;
        }
    }
}
