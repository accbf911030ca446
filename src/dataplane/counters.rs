//! Counters: every frame ends in one counted box.

use super::copy::CopyRef;
use super::door::DropCause;
use super::verdict::NotMirrored;

/// What one session did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// Copies that left.
    pub mirrored: u64,
    /// Inner bytes of these copies, after truncation, without encapsulation.
    pub mirrored_bytes: u64,
    /// How many of these copies are shorter than their frame.
    pub truncated: u64,
}

/// What a worker did. `received = mirrored + not mirrored + dropped`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pairs of a frame and an interface that it belongs to; a frame that belongs to none is one.
    pub received: u64,
    /// Frames that a source lent.
    pub frames: u64,
    /// By index of the session in the mirror table.
    pub sessions: Vec<SessionCounters>,
    pub(super) not_mirrored: [u64; NotMirrored::ALL.len()],
    pub(super) dropped: [u64; DropCause::ALL.len()],
}

impl Counters {
    /// All zero, for a table of so many sessions.
    #[must_use]
    pub fn new(sessions: usize) -> Self {
        Self { sessions: vec![SessionCounters::default(); sessions], ..Self::default() }
    }

    /// Copies that left, of all sessions.
    #[must_use]
    pub fn mirrored(&self) -> u64 {
        self.sessions.iter().map(|session| session.mirrored).sum()
    }

    /// Inner bytes that left, of all sessions.
    #[must_use]
    pub fn mirrored_bytes(&self) -> u64 {
        self.sessions.iter().map(|session| session.mirrored_bytes).sum()
    }

    /// How many stayed behind for one reason.
    #[must_use]
    pub fn not_mirrored(&self, reason: NotMirrored) -> u64 {
        self.not_mirrored.get(reason.index()).copied().unwrap_or_default()
    }

    /// How many copies were lost for one cause.
    #[must_use]
    pub fn dropped(&self, cause: DropCause) -> u64 {
        self.dropped.get(cause.index()).copied().unwrap_or_default()
    }

    /// Whether the boxes add up to what was received.
    #[must_use]
    pub fn add_up(&self) -> bool {
        let boxes = self.not_mirrored.iter().chain(&self.dropped).sum::<u64>();
        self.received == self.mirrored() + boxes
    }

    #[inline]
    pub(super) fn stay_behind(&mut self, reason: NotMirrored) {
        if let Some(count) = self.not_mirrored.get_mut(reason.index()) {
            *count += 1;
        }
    }

    /// A copy leaves its session.
    #[inline]
    pub(super) fn add_copy(&mut self, copy: &CopyRef, captured_len: u32) {
        if let Some(session) = self.session_of(copy) {
            session.mirrored += 1;
            session.mirrored_bytes += u64::from(copy.inner_len);
            session.truncated += u64::from(copy.inner_len < captured_len);
        }
    }

    /// A copy that was counted as mirrored was lost.
    pub(super) fn drop_copy(&mut self, copy: &CopyRef, captured_len: u32, cause: DropCause) {
        if let Some(session) = self.session_of(copy) {
            session.mirrored -= 1;
            session.mirrored_bytes -= u64::from(copy.inner_len);
            session.truncated -= u64::from(copy.inner_len < captured_len);
        }
        if let Some(count) = self.dropped.get_mut(cause.index()) {
            *count += 1;
        }
    }

    #[inline]
    fn session_of(&mut self, copy: &CopyRef) -> Option<&mut SessionCounters> {
        usize::try_from(copy.session).ok().and_then(|index| self.sessions.get_mut(index))
    }
}
