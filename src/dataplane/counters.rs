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
    /// How many of the shorter ones are so because the way to the target carries no more, not
    /// because of PacketLength.
    pub truncated_to_mtu: u64,
}

impl SessionCounters {
    fn add(&mut self, other: &Self) {
        self.mirrored += other.mirrored;
        self.mirrored_bytes += other.mirrored_bytes;
        self.truncated += other.truncated;
        self.truncated_to_mtu += other.truncated_to_mtu;
    }
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
    /// What sessions did that are no longer in the table.
    retired: SessionCounters,
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
        self.retired.mirrored + self.sessions.iter().map(|session| session.mirrored).sum::<u64>()
    }

    /// Inner bytes that left, of all sessions.
    #[must_use]
    pub fn mirrored_bytes(&self) -> u64 {
        let now = self.sessions.iter().map(|session| session.mirrored_bytes).sum::<u64>();
        self.retired.mirrored_bytes + now
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

    /// Copies and bytes of sessions that a later table no longer has.
    #[must_use]
    pub const fn retired(&self) -> SessionCounters {
        self.retired
    }

    /// Adds what another worker with the same table counted.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.frames += other.frames;
        for (own, others) in self.sessions.iter_mut().zip(&other.sessions) {
            own.add(others);
        }
        let boxes = self.not_mirrored.iter_mut().chain(&mut self.dropped);
        for (own, others) in boxes.zip(other.not_mirrored.iter().chain(&other.dropped)) {
            *own += others;
        }
        self.retired.add(&other.retired);
    }

    /// Carries the counts of sessions over to a new table: the session at each place was at the
    /// place in the old one that `came_from` says, or nowhere.
    pub(super) fn carry(&mut self, came_from: &[Option<usize>]) {
        let mut old = std::mem::take(&mut self.sessions);
        self.sessions = came_from
            .iter()
            .map(|place| place.and_then(|place| old.get_mut(place)).map(std::mem::take))
            .map(Option::unwrap_or_default)
            .collect();
        // What was taken is zero now.
        old.iter().for_each(|gone| self.retired.add(gone));
    }

    /// So many frames were lost before they could be looked at.
    pub(super) fn lose(&mut self, cause: DropCause, frames: u64) {
        self.received += frames;
        if let Some(count) = self.dropped.get_mut(cause.index()) {
            *count += frames;
        }
    }

    /// So many frames stayed behind before they could be looked at.
    pub(super) fn leave(&mut self, reason: NotMirrored, frames: u64) {
        self.received += frames;
        if let Some(count) = self.not_mirrored.get_mut(reason.index()) {
            *count += frames;
        }
    }

    /// A copy left shorter than it was counted; how long its frame is.
    pub(super) fn cut_copy(&mut self, copy: &CopyRef, captured_len: u32, inner_len: u32) {
        if let Some(session) = self.session_of(copy) {
            session.mirrored_bytes -= u64::from(copy.inner_len - inner_len.min(copy.inner_len));
            session.truncated += u64::from(copy.inner_len == captured_len);
            session.truncated_to_mtu += u64::from(!copy.is_cut_to_mtu);
        }
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
            session.truncated_to_mtu += u64::from(copy.is_cut_to_mtu);
        }
    }

    /// A copy that was counted as mirrored was lost.
    pub(super) fn drop_copy(&mut self, copy: &CopyRef, captured_len: u32, cause: DropCause) {
        if let Some(session) = self.session_of(copy) {
            session.mirrored -= 1;
            session.mirrored_bytes -= u64::from(copy.inner_len);
            session.truncated -= u64::from(copy.inner_len < captured_len);
            session.truncated_to_mtu -= u64::from(copy.is_cut_to_mtu);
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
