//! The programs and maps of one table.

use std::collections::BTreeSet;
use std::io;

use super::error::KernelTierError;
use super::path_maps::PathMaps;
use super::tier::KernelTier;
use crate::dataplane::kernel::{KernelCounts, KernelPath, KernelTable, MirrorState, PathEntry};
use crate::dataplane::{Counters, DropCause, MirrorTable};
use crate::io::sys::bpf::{Map, MapKind, Program};
use crate::io::udp::FrameRoute;
use crate::model::Direction;

/// Both directions, in the order of all arrays.
pub(super) const DIRECTIONS: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// The programs and maps of one table.
#[derive(Debug)]
pub(super) struct Generation {
    table: KernelTable,
    directions: [DirectionMaps; 2],
    paths: PathMaps,
}

/// The program of a direction, its counters, and what was read of them.
#[derive(Debug)]
struct DirectionMaps {
    tap: Program,
    counters: Map,
    read: Vec<u64>,
}

impl Generation {
    /// Translates and loads a table.
    pub(super) fn load(
        tier: &KernelTier,
        table: &MirrorTable,
        state: MirrorState,
    ) -> Result<Self, KernelTierError> {
        let table = KernelTable::new(table)?;
        let entries: Result<Vec<PathEntry>, KernelTierError> =
            table.paths().iter().map(|path| entry(tier, path)).collect();
        let paths = PathMaps::create(entries?, state)?;
        let buckets = Map::create(MapKind::Array, table.buckets().len().max(8), 1)?;
        if !table.buckets().is_empty() {
            buckets.update(0, table.buckets())?;
        }
        let [ingress, egress] =
            DIRECTIONS.map(|direction| load_direction(tier, &table, direction, (&paths, &buckets)));
        Ok(Self { directions: [ingress?, egress?], table, paths })
    }

    /// The program of a direction.
    pub(super) const fn tap(&self, direction: Direction) -> &Program {
        let [ingress, egress] = &self.directions;
        match direction {
            Direction::Ingress => &ingress.tap,
            Direction::Egress => &egress.tap,
        }
    }

    /// Adds what was counted since the last call, and returns whether there was anything.
    pub(super) fn add_counts(&mut self, counters: &mut Counters) -> io::Result<bool> {
        let layout = self.table.layout();
        let accepted = self.table.outcomes().accepted();
        let mut has_counted = false;
        for (direction, maps) in DIRECTIONS.into_iter().zip(&mut self.directions) {
            let now = sums(&maps.counters.read(0)?, layout.len());
            let before = std::mem::replace(&mut maps.read, now);
            let grown: Vec<u64> =
                maps.read.iter().zip(&before).map(|(now, old)| now.wrapping_sub(*old)).collect();
            has_counted |= grown.iter().any(|one| *one > 0);
            counters.add_kernel_counts(direction, &layout.read(&grown), accepted);
        }
        Ok(has_counted)
    }

    /// The super-frames that were read, as their segments.
    pub(super) fn super_frame_segments(&self) -> u64 {
        let layout = self.table.layout();
        let segments = |maps: &DirectionMaps| {
            let [_, segments] = layout.read(&maps.read).super_frames;
            segments
        };
        self.directions.iter().map(segments).sum()
    }

    /// Changes what the programs do with the frames that sessions accept.
    pub(super) fn set_state(&mut self, state: MirrorState) -> io::Result<()> {
        self.paths.set_state(state)
    }

    /// The sum of all counters of both directions that were read, by path.
    pub(super) fn path_counts(&self) -> Vec<(&KernelPath, Option<&PathEntry>, [u64; 2])> {
        let layout = self.table.layout();
        let [ingress, egress] = &self.directions;
        let both: [KernelCounts; 2] = [layout.read(&ingress.read), layout.read(&egress.read)];
        let count = |path: usize, field: usize| -> u64 {
            let one = |counts: &KernelCounts| counts.paths.get(path)?.get(field).copied();
            both.iter().filter_map(one).sum()
        };
        let paths = self.table.paths().iter().enumerate();
        let counted = paths.map(|(index, path)| {
            (path, self.paths.entry(index), [count(index, 0), count(index, 1)])
        });
        counted.collect()
    }

    /// The number of frames that were counted as received and in no category, or the other way
    /// round.
    pub(super) fn unaccounted(&self) -> u64 {
        let layout = self.table.layout();
        let difference = |maps: &DirectionMaps| {
            let counts = layout.read(&maps.read);
            counts.received.abs_diff(counts.counted())
        };
        self.directions.iter().map(difference).sum()
    }

    /// Updates the entries of the paths. Returns whether all are up to date and usable, so that
    /// nothing must be done before a route changes. The copies of a path that the programs cannot
    /// send to are dropped; the error says why.
    pub(super) fn refresh(&mut self, tier: &KernelTier) -> Result<bool, KernelTierError> {
        let (mut is_settled, mut failure) = (true, None);
        for (index, path) in self.table.paths().iter().enumerate() {
            let entry = match entry(tier, path) {
                Err(error @ KernelTierError::Path(_)) => {
                    failure.get_or_insert(error);
                    path.unusable(DropCause::TargetUnreachable)
                }
                entry => entry?,
            };
            is_settled &= self.paths.update(index, &entry)? && entry.state.is_none();
        }
        failure.map_or(Ok(is_settled), Err)
    }

    /// Restarts paths that a program has stopped, because a clone left without outer headers.
    pub(super) fn restart_stopped(&mut self, tier: &KernelTier) -> Result<(), KernelTierError> {
        let stopped = self.paths.stopped()?;
        let entries = stopped.iter().filter_map(|path| self.paths.entry(*path));
        let devices: BTreeSet<u32> = entries.map(|entry| entry.device_index).collect();
        for device in devices {
            tier.encapsulate_first_at(device)?;
        }
        for path in stopped {
            self.paths.write_again(path)?;
        }
        Ok(())
    }
}

fn load_direction(
    tier: &KernelTier,
    table: &KernelTable,
    direction: Direction,
    (paths, buckets): (&PathMaps, &Map),
) -> Result<DirectionMaps, KernelTierError> {
    let bytes = table.tables(direction);
    let tables = Map::create(MapKind::Array, bytes.len().max(8), 1)?;
    if !bytes.is_empty() {
        tables.update(0, bytes)?;
    }
    let layout = table.layout();
    let counters = Map::create(MapKind::PerCpuArray, layout.len() * 8, 1)?;
    let maps = [tier.context(), &tables, &counters, paths.entries(), paths.indices(), buckets];
    let tap = tier.load(&table.tap(direction, &tier.tap_options())?, &maps)?;
    Ok(DirectionMaps { tap, counters, read: vec![0; layout.len()] })
}

/// The entry of a path for its current route.
fn entry(tier: &KernelTier, path: &KernelPath) -> Result<PathEntry, KernelTierError> {
    use DropCause::{NoTargetAddress, TargetUnreachable};
    let Some(destination) = path.destination else { return Ok(path.unusable(NoTargetAddress)) };
    match tier.egress().frame_route(destination, path.source) {
        FrameRoute::Ready { route, stale } => {
            tier.encapsulate_at(route.device_index)?;
            stale.into_iter().for_each(|neighbour| tier.resolve(neighbour));
            Ok(path.usable(&route))
        }
        FrameRoute::Unresolved(neighbour) => {
            tier.resolve(neighbour);
            Ok(path.unusable(TargetUnreachable))
        }
        FrameRoute::Unreachable(cause) => Ok(path.unusable(cause)),
        FrameRoute::NeedsIpStack(reason) => Err(KernelTierError::Path(format!(
            "the kernel tier cannot send to {destination}: {reason}"
        ))),
    }
}

/// The sums over all processors.
fn sums(values: &[u8], len: usize) -> Vec<u64> {
    let mut sums = vec![0_u64; len];
    let (words, _) = values.as_chunks::<8>();
    for processor in words.chunks(len.max(1)) {
        for (sum, word) in sums.iter_mut().zip(processor) {
            *sum = sum.wrapping_add(u64::from_ne_bytes(*word));
        }
    }
    sums
}
