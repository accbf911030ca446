//! The programs of one device.

use std::sync::Arc;
use std::time::Duration;

use super::error::KernelTierError;
use super::generation::{DIRECTIONS, Generation};
use super::tier::KernelTier;
use crate::dataplane::kernel::MirrorState;
use crate::dataplane::{Counters, MirrorTable};
use crate::io::clock::Stopwatch;
use crate::io::sys::bpf::{Hook, Link};
use crate::io::udp::TargetReport;
use crate::model::Direction;

/// How long the counters of replaced programs are read: a program ends within microseconds, unless
/// its processor is interrupted.
const RETIRED_FOR: Duration = Duration::from_secs(2);

/// How often paths that programs have stopped are looked for.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The programs of one device. They are detached when this value is dropped.
#[derive(Debug)]
pub struct KernelMirror {
    tier: Arc<KernelTier>,
    table: Arc<MirrorTable>,
    /// The table of the counters: another one if the programs do not fit it and drop all copies.
    counted_table: Arc<MirrorTable>,
    state: MirrorState,
    /// Whether the counts are to be read once more although the programs are silent.
    has_last_counts: bool,
    /// The segments of super-frames that replaced programs counted.
    retired_segments: u64,
    /// The copies of programs that are no longer in `retired`.
    past_targets: Vec<TargetReport>,
    current: Generation,
    /// Replaced programs whose last counts are still to be read.
    retired: Vec<Retired>,
    links: Vec<Link>,
    /// The generation of the routes that the paths have; none if they must be updated again.
    routes: Option<u64>,
    /// When paths that programs have stopped were last looked for.
    searched: Stopwatch,
}

#[derive(Debug)]
struct Retired {
    table: Arc<MirrorTable>,
    generation: Generation,
    since: Stopwatch,
}

impl KernelMirror {
    /// Attaches programs for the only interface of `table` to a device. They are silent until
    /// [`KernelMirror::set_state`].
    ///
    /// # Errors
    /// The table does not fit, or the kernel refuses a program.
    pub fn attach(
        tier: &Arc<KernelTier>,
        device_index: u32,
        table: Arc<MirrorTable>,
    ) -> Result<Self, KernelTierError> {
        let current = Generation::load(tier, &table, MirrorState::Silent)?;
        let mut links = Vec::new();
        for direction in DIRECTIONS {
            links.push(current.tap(direction).attach(device_index, hook(direction))?);
        }
        let tier = Arc::clone(tier);
        Ok(Self {
            tier,
            counted_table: Arc::clone(&table),
            table,
            state: MirrorState::Silent,
            has_last_counts: false,
            retired_segments: 0,
            past_targets: Vec::new(),
            current,
            retired: Vec::new(),
            links,
            routes: None,
            searched: Stopwatch::start(),
        })
    }

    /// Replaces the programs. Each frame is processed by the old or by the new ones.
    ///
    /// # Errors
    /// The table does not fit, or the kernel refuses a program. The old programs stay in force.
    pub fn set_table(&mut self, table: Arc<MirrorTable>) -> Result<(), KernelTierError> {
        let next = Generation::load(&self.tier, &table, self.state)?;
        for (direction, link) in DIRECTIONS.into_iter().zip(&self.links) {
            if let Err(error) = link.update(next.tap(direction)) {
                return Err(self.keep_current(table, next, error));
            }
        }
        self.retired_segments += self.current.super_frame_segments();
        self.counted_table = Arc::clone(&table);
        let generation = std::mem::replace(&mut self.current, next);
        let table = std::mem::replace(&mut self.table, table);
        self.routes = None;
        self.retired.push(Retired { table, generation, since: Stopwatch::start() });
        Ok(())
    }

    /// Puts the current programs back in force after the kernel refused one of the next ones.
    fn keep_current(
        &mut self,
        table: Arc<MirrorTable>,
        generation: Generation,
        error: std::io::Error,
    ) -> KernelTierError {
        for (direction, link) in DIRECTIONS.into_iter().zip(&self.links) {
            // A program that is in force already is not refused.
            let _ = link.update(self.current.tap(direction));
        }
        self.retired.push(Retired { table, generation, since: Stopwatch::start() });
        error.into()
    }

    /// Changes what the programs do with the frames that sessions accept. What silent programs
    /// counted is discarded, because the other tier counts it.
    ///
    /// # Errors
    /// The kernel refuses the change.
    pub fn set_state(&mut self, state: MirrorState) -> std::io::Result<()> {
        if self.state == MirrorState::Silent {
            self.current.add_counts(&mut Counters::new(&self.table))?;
        }
        self.current.set_state(state)?;
        self.has_last_counts = state == MirrorState::Silent && self.state != state;
        self.state = state;
        Ok(())
    }

    /// Counts all copies as dropped from now on, in the counters of a table that the programs
    /// cannot mirror.
    ///
    /// # Errors
    /// The kernel refuses the change.
    pub fn suspend(&mut self, table: Arc<MirrorTable>) -> std::io::Result<()> {
        self.counted_table = table;
        self.set_state(MirrorState::Dropping)
    }

    /// The segments of super-frames that the programs received.
    #[must_use]
    pub fn super_frame_segments(&self) -> u64 {
        self.retired_segments + self.current.super_frame_segments()
    }

    /// Detaches the programs. [`KernelMirror::add_counts`] then adds their last counts.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Adds what was counted since the last call to counters of the current table.
    ///
    /// # Errors
    /// The kernel does not return the counters.
    pub fn add_counts(&mut self, counters: &mut Counters) -> std::io::Result<()> {
        for retired in &mut self.retired {
            let mut old = Counters::new(&retired.table);
            if retired.generation.add_counts(&mut old)? {
                counters.add(&old.reordered_for(&retired.table, &self.counted_table));
            }
        }
        let (ended, retired): (Vec<_>, Vec<_>) = std::mem::take(&mut self.retired)
            .into_iter()
            .partition(|retired| retired.since.elapsed() >= RETIRED_FOR);
        self.retired = retired;
        for ended in &ended {
            for report in reports(&ended.generation) {
                report.add_to(&mut self.past_targets);
            }
        }
        let mut new = Counters::new(&self.table);
        self.current.add_counts(&mut new)?;
        if self.state != MirrorState::Silent || std::mem::take(&mut self.has_last_counts) {
            counters.add(&new.reordered_for(&self.table, &self.counted_table));
        }
        Ok(())
    }

    /// Updates the paths to the targets if routes have changed, and restarts those that a program
    /// has stopped. To be called several times a second; without changes it costs no system call,
    /// but one for each path once a second.
    ///
    /// # Errors
    /// A route leads where the programs cannot send to.
    pub fn refresh(&mut self) -> Result<(), KernelTierError> {
        // Paths of suspended programs are not used.
        if self.state != MirrorState::Sending {
            self.routes = None;
            return Ok(());
        }
        let routes = self.tier.egress().generation();
        if self.routes != Some(routes) {
            self.routes = self.current.refresh(&self.tier)?.then_some(routes);
        }
        if self.searched.elapsed() >= SEARCH_INTERVAL {
            self.searched = Stopwatch::start();
            self.current.restart_stopped(&self.tier)?;
        }
        Ok(())
    }

    /// The number of frames that were not counted exactly once. It may be above zero while frames
    /// are being processed.
    #[must_use]
    pub fn unaccounted(&self) -> u64 {
        self.current.unaccounted()
    }

    /// The copies by target address and egress device, of all programs so far.
    #[must_use]
    pub fn target_reports(&self) -> Vec<TargetReport> {
        let mut sums = self.past_targets.clone();
        let retired = self.retired.iter().map(|retired| &retired.generation);
        for report in retired.chain([&self.current]).flat_map(reports) {
            report.add_to(&mut sums);
        }
        sums
    }
}

/// The copies of the programs of one table, by path.
fn reports(generation: &Generation) -> Vec<TargetReport> {
    let counts = generation.path_counts().into_iter();
    let reports = counts.filter_map(|(path, entry, [sent, sent_bytes])| {
        Some(TargetReport {
            target: path.target,
            destination: path.destination?,
            sent,
            sent_bytes,
            no_route: 0,
            refused: 0,
            unreachable: 0,
            device_index: entry.map(|entry| entry.device_index),
            is_tunnelled: false,
        })
    });
    reports.collect()
}

const fn hook(direction: Direction) -> Hook {
    match direction {
        Direction::Ingress => Hook::Ingress,
        Direction::Egress => Hook::Egress,
    }
}
