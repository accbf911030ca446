//! The counters of the programs of one direction: a list of u64 in a per-CPU map.
//!
//! ```text
//! received | not mirrored, by reason | dropped, by cause
//! | mirrored, its bytes, skipped, its bytes                                   (the direction)
//! | super-frames, their segments
//! | mirrored, its bytes, truncated, truncated to the MTU, dropped             (each session)
//! | mirrored                                                                  (each accepted outcome)
//! | mirrored, its bytes                                                       (each path)
//! ```

use crate::dataplane::endpoints::DropCause;
use crate::dataplane::verdict::NotMirrored;

/// The most counters that a value of a per-CPU map can hold: 32 KiB (`PCPU_MIN_UNIT_SIZE`).
pub(super) const MAX_COUNTERS: usize = 4_096;

const RECEIVED: usize = 0;
const NOT_MIRRORED: usize = 1;
const DROPPED: usize = NOT_MIRRORED + NotMirrored::ALL.len();
const DIRECTION: usize = DROPPED + DropCause::ALL.len();
const SUPER_FRAMES: usize = DIRECTION + 4;
const SESSIONS: usize = SUPER_FRAMES + 2;
/// The number of counters of a session.
const SESSION_LEN: usize = 5;
/// The number of counters of a path.
const PATH_LEN: usize = 2;

/// The positions of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterLayout {
    sessions: usize,
    outcomes: usize,
    paths: usize,
}

impl CounterLayout {
    /// The layout for a number of sessions, of accepted outcomes and of paths.
    #[must_use]
    pub const fn new(sessions: usize, outcomes: usize, paths: usize) -> Self {
        Self { sessions, outcomes, paths }
    }

    /// The number of counters.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.path_start() + self.paths * PATH_LEN
    }

    /// The index of the first counter of the paths.
    const fn path_start(&self) -> usize {
        SESSIONS + self.sessions * SESSION_LEN + self.outcomes
    }

    /// The offset in bytes of the counters of the first path.
    pub(super) fn first_path(&self) -> u32 {
        offset(self.path_start())
    }

    /// Always false: there are counters for frames.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The offset in bytes of the counters of a session.
    pub(super) fn session(session: usize) -> u32 {
        offset(SESSIONS + session * SESSION_LEN)
    }

    /// The offset in bytes of the counter of an accepted outcome.
    pub(super) fn outcome(&self, outcome: usize) -> u32 {
        offset(SESSIONS + self.sessions * SESSION_LEN + outcome)
    }

    /// The counters as values. Missing ones are zero.
    #[must_use]
    pub fn read(&self, counters: &[u64]) -> KernelCounts {
        let at = |index: usize| counters.get(index).copied().unwrap_or_default();
        let session = |session| {
            let start = SESSIONS + session * SESSION_LEN;
            [at(start), at(start + 1), at(start + 2), at(start + 3), at(start + 4)]
        };
        let outcomes = SESSIONS + self.sessions * SESSION_LEN;
        KernelCounts {
            received: at(RECEIVED),
            not_mirrored: std::array::from_fn(|index| at(NOT_MIRRORED + index)),
            dropped: std::array::from_fn(|index| at(DROPPED + index)),
            direction: [at(DIRECTION), at(DIRECTION + 1), at(DIRECTION + 2), at(DIRECTION + 3)],
            super_frames: [at(SUPER_FRAMES), at(SUPER_FRAMES + 1)],
            sessions: (0..self.sessions).map(session).collect(),
            outcomes: (0..self.outcomes).map(|outcome| at(outcomes + outcome)).collect(),
            paths: (0..self.paths)
                .map(|path| self.path_start() + path * PATH_LEN)
                .map(|start| [at(start), at(start + 1)])
                .collect(),
        }
    }
}

/// The counters of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Frames that the tap saw; a super-frame counts as its segments.
    pub received: u64,
    /// By [`NotMirrored::index`].
    pub not_mirrored: [u64; NotMirrored::ALL.len()],
    /// By [`DropCause::index`].
    pub dropped: [u64; DropCause::ALL.len()],
    /// Copies that were sent, their bytes, copies that were dropped, their bytes.
    pub direction: [u64; 4],
    /// Super-frames among the received frames, and their segments.
    pub super_frames: [u64; 2],
    /// By session: sent, their bytes, truncated, truncated to the MTU, dropped.
    pub sessions: Vec<[u64; 5]>,
    /// By accepted outcome: copies that were sent.
    pub outcomes: Vec<u64>,
    /// By path: copies that were sent, their bytes.
    pub paths: Vec<[u64; 2]>,
}

impl KernelCounts {
    /// Frames that were counted in a category.
    #[must_use]
    pub fn counted(&self) -> u64 {
        let [mirrored, ..] = self.direction;
        mirrored + self.not_mirrored.iter().chain(&self.dropped).sum::<u64>()
    }
}

/// The offset in bytes of a counter.
fn offset(counter: usize) -> u32 {
    u32::try_from(counter * 8).unwrap_or(u32::MAX)
}

/// Offsets in bytes of the counters that do not depend on the sessions.
pub(super) mod offsets {
    pub(in super::super) const RECEIVED: i16 = 0;
    pub(in super::super) const NOT_MIRRORED: i16 = 8;
    pub(in super::super) const DROPPED: i16 = 8 * 10;
    pub(in super::super) const LAST_DROPPED: i16 = 8 * 23;
    pub(in super::super) const DIRECTION: i16 = 8 * 24;
    pub(in super::super) const SUPER_FRAMES: i16 = 8 * 28;
    pub(in super::super) const SUPER_FRAME_SEGMENTS: i16 = 8 * 29;

    /// The offset of the counter of a cause.
    pub(in super::super) fn dropped(cause: crate::dataplane::endpoints::DropCause) -> i16 {
        DROPPED + 8 * i16::try_from(cause.index()).unwrap_or_default()
    }

    // The positions above, as offsets of instructions.
    const _: () = assert!(super::DROPPED == 10 && super::DIRECTION == 24);
    const _: () = assert!(super::SUPER_FRAMES == 28);
}
