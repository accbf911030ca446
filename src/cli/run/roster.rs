//! Who is at work: what the metrics are read from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::crew::sent_over;
use super::hand::Done;
use super::plan::Mirrored;
use super::post::Post;
use crate::cli::clock::Stopwatch;
use crate::cli::metrics::{RingFigures, Snapshot, WorkerSnapshot};
use crate::dataplane::{Counters, MirrorTable, NotMirrored};
use crate::io::udp::Egress;

/// How long a snapshot waits for workers to write their boards; one that sleeps is woken.
const BOARDS_WITHIN: Duration = Duration::from_millis(250);

/// A worker as the metrics know it.
struct Entry {
    mirrored: Mirrored,
    worker: u16,
    device_index: Option<u32>,
    post: Post,
    /// What it was when it was last asked.
    last: WorkerSnapshot,
}

struct Inner {
    table: Arc<MirrorTable>,
    entries: Vec<Entry>,
    gone: Vec<WorkerSnapshot>,
    reloads: u64,
    reload_failures: u64,
}

/// Shared by the main thread, which changes it, and by those who want to know.
#[derive(Clone)]
pub(super) struct Roster {
    inner: Arc<Mutex<Inner>>,
    egress: Arc<Egress>,
    since: Stopwatch,
}

impl Roster {
    pub(super) fn new(table: Arc<MirrorTable>, egress: Arc<Egress>) -> Self {
        let inner =
            Inner { table, entries: Vec::new(), gone: Vec::new(), reloads: 0, reload_failures: 0 };
        Self { inner: Arc::new(Mutex::new(inner)), egress, since: Stopwatch::start() }
    }

    /// A worker begins.
    pub(super) fn add(&self, mirrored: &Mirrored, worker: u16, post: &Post) {
        let mut inner = self.locked();
        let last = WorkerSnapshot {
            network_interface_id: mirrored.id.to_string(),
            device: mirrored.device.clone(),
            worker,
            is_attached: false,
            counters: Counters::new(&inner.table),
            ring: RingFigures::default(),
            targets: Vec::new(),
        };
        let (mirrored, post) = (mirrored.clone(), post.clone());
        inner.entries.push(Entry { mirrored, worker, device_index: None, post, last });
    }

    /// The workers of an interface have ended, with this to show for it.
    pub(super) fn remove(&self, mirrored: &Mirrored, done: &[Done]) {
        let mut inner = self.locked();
        let entries = std::mem::take(&mut inner.entries);
        let (gone, stay): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.mirrored == *mirrored);
        inner.entries = stay;
        for (entry, done) in gone.into_iter().zip(done) {
            let (counters, targets) = (done.counters.clone(), done.targets.clone());
            let ring = RingFigures { unaccounted: done.unaccounted, ..entry.last.ring };
            let last = WorkerSnapshot { is_attached: false, counters, ring, targets, ..entry.last };
            inner.gone.push(last);
        }
    }

    /// The interface is captured at the device of that index, or at none.
    pub(super) fn attach(&self, mirrored: &Mirrored, device_index: Option<u32>) {
        let mut inner = self.locked();
        let entries = inner.entries.iter_mut().filter(|entry| entry.mirrored == *mirrored);
        entries.for_each(|entry| entry.device_index = device_index);
    }

    /// Another table is in force.
    pub(super) fn change_table(&self, table: Arc<MirrorTable>) {
        self.locked().table = table;
    }

    /// The table in force.
    pub(super) fn table(&self) -> Arc<MirrorTable> {
        Arc::clone(&self.locked().table)
    }

    /// Another configuration was taken.
    pub(super) fn accept(&self) {
        self.locked().reloads += 1;
    }

    /// Another table was refused.
    pub(super) fn refuse(&self) {
        self.locked().reload_failures += 1;
    }

    /// The picture of this moment.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut inner = self.locked();
        let table = Arc::clone(&inner.table);
        for entry in &inner.entries {
            entry.post.ask();
        }
        let patience = Stopwatch::start();
        for entry in &mut inner.entries {
            while entry.post.is_asked() && patience.elapsed() < BOARDS_WITHIN {
                entry.post.waker().wake();
                thread::park_timeout(Duration::from_micros(200));
            }
            entry.look(table.number());
        }
        let now = inner.entries.iter().map(|entry| entry.last.clone());
        let mut workers: Vec<_> = now.chain(inner.gone.iter().cloned()).collect();
        let devices: Vec<u32> = inner.entries.iter().filter_map(|one| one.device_index).collect();
        self.egress.add_errors(workers.iter_mut().flat_map(|worker| &mut worker.targets));
        let own = workers.iter().map(|worker| sent_over(&worker.targets, &devices)).sum();
        if let Some(first) = workers.first_mut() {
            first.counters.leave(NotMirrored::OwnTraffic, own);
        }
        Snapshot {
            workers,
            uptime_s: self.since.elapsed().as_secs_f64(),
            reloads: inner.reloads,
            reload_failures: inner.reload_failures,
            table,
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Reads the board. One that is still of another table is left for the next time.
    fn look(&mut self, table: u64) {
        let shown = self.post.shown();
        self.last.is_attached = shown.has_source;
        if shown.table != table {
            return;
        }
        self.last.counters.clone_from(&shown.counters);
        self.last.targets.clone_from(&shown.targets);
        self.last.ring = RingFigures {
            frames: shown.source.frames,
            bytes_len: shown.ring_len,
            drops: shown.source.no_room,
            unaccounted: shown.unaccounted,
            is_filtered: shown.filter.is_filtering,
        };
        self.last.worker = self.worker;
    }
}
