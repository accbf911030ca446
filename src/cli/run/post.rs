//! Letters to a worker thread, and the board on which it shows its counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dataplane::{Counters, MirrorTable};
use crate::io::live::{FilterState, LiveSource, Waker};
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
    /// Frames that came to the ring, and those that found no room there.
    pub(super) ring_frames: u64,
    pub(super) ring_lost: u64,
    /// Bytes of memory that the ring takes.
    pub(super) ring_len: u64,
    pub(super) has_source: bool,
    /// Why the worker left its source, until somebody takes note.
    pub(super) failure: Option<String>,
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
    letters: Arc<Mutex<Vec<Letter>>>,
    has_letters: Arc<AtomicBool>,
    board: Arc<Mutex<Shown>>,
    wants_board: Arc<AtomicBool>,
    /// How many letters were sent, and how many the worker has done as they say.
    sent: Arc<AtomicU64>,
    obeyed: Arc<AtomicU64>,
    waker: Waker,
}

impl Post {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            letters: Arc::default(),
            has_letters: Arc::default(),
            board: Arc::default(),
            wants_board: Arc::default(),
            sent: Arc::default(),
            obeyed: Arc::default(),
            waker,
        }
    }

    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sends a letter; the worker opens it between two bursts.
    pub(super) fn send(&self, letter: Letter) {
        self.sent.fetch_add(1, Ordering::Release);
        locked(&self.letters).push(letter);
        self.has_letters.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Letters that came since; one load where there are none.
    #[inline]
    pub(super) fn open(&self) -> Vec<Letter> {
        if !self.has_letters.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.has_letters.store(false, Ordering::Release);
        std::mem::take(&mut *locked(&self.letters))
    }

    /// The worker has done what a letter says.
    pub(super) fn is_obeyed(&self) {
        self.obeyed.fetch_add(1, Ordering::Release);
    }

    /// Whether the worker has done what all letters say.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.obeyed.load(Ordering::Acquire) >= self.sent.load(Ordering::Acquire)
    }

    /// Asks for the board to be written anew.
    pub(super) fn ask(&self) {
        self.wants_board.store(true, Ordering::Release);
    }

    /// Whether the board should be written anew.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.wants_board.load(Ordering::Relaxed)
    }

    /// Writes the board.
    pub(super) fn show(&self, write: impl FnOnce(&mut Shown)) {
        self.wants_board.store(false, Ordering::Release);
        write(&mut locked(&self.board));
    }

    /// What stands on the board.
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        locked(&self.board)
    }
}

/// A thread that panicked while it wrote leaves a board that is old, which is no harm.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
