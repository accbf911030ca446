//! Letters to a worker thread, and the board on which it shows its counters.

use super::mailbox::{Board, Mailbox};
use super::sync::{Arc, MutexGuard};
use crate::dataplane::{Counters, MirrorTable};
use crate::io::live::{FilterState, LiveSource, SourceCounts, Waker};
use crate::io::udp::TargetReport;

/// What a worker is told.
pub(super) enum Letter {
    /// Go on with this table, in which the interface has this index.
    Table(Arc<MirrorTable>, u32),
    /// Frames come from here now.
    Source(Box<dyn LiveSource>),
    /// There are no frames any more.
    NoSource,
    /// Take what is there, and end.
    End,
}

/// What a worker shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    /// What the sources of the worker counted.
    pub(super) source: SourceCounts,
    /// How many frames are not accounted for.
    pub(super) unaccounted: u64,
    /// Bytes of memory that the ring takes.
    pub(super) ring_len: u64,
    pub(super) has_source: bool,
    /// Why the worker left its source, until somebody takes note.
    pub(super) failure: Option<String>,
    /// What went wrong with the interface and is a fault of this program.
    pub(super) errors: Vec<String>,
    /// What the user should hear.
    pub(super) warnings: Vec<String>,
    /// The same of the source.
    pub(super) source_warnings: Vec<String>,
    /// How the kernel's filter stands.
    pub(super) filter: FilterState,
    /// The number of the table in force, by which the counters are ordered.
    pub(super) table: u64,
}

/// Both ways between the main thread and a worker.
#[derive(Clone)]
pub(super) struct Post {
    letters: Mailbox<Letter>,
    board: Board<Shown>,
    waker: Waker,
}

impl Post {
    pub(super) fn new(waker: Waker) -> Self {
        Self { letters: Mailbox::new(), board: Board::new(), waker }
    }

    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sends a letter; the worker opens it between two bursts.
    pub(super) fn send(&self, letter: Letter) {
        self.letters.send(letter);
        self.waker.wake();
    }

    /// Letters that came since; one load where there are none.
    #[inline]
    pub(super) fn open(&self) -> Vec<Letter> {
        self.letters.open()
    }

    /// The worker has done what a letter says.
    pub(super) fn is_obeyed(&self) {
        self.letters.is_obeyed();
    }

    /// Whether the worker has done what all letters say.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.letters.is_up_to_date()
    }

    /// Asks for the board to be written anew.
    pub(super) fn ask(&self) {
        self.board.ask();
    }

    /// Whether the board should be written anew.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.board.is_asked()
    }

    /// Writes the board.
    pub(super) fn show(&self, write: impl FnOnce(&mut Shown)) {
        self.board.show(write);
    }

    /// What stands on the board.
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.board.shown()
    }
}
