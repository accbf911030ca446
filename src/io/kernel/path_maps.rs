//! The maps of the paths of a table, and their updates.
//!
//! A path has two entries. Programs use the one whose index is in the map of indices. An update
//! writes the other entry, then the index, which the kernel stores at once. A program may still read
//! the old entry for the time that one frame takes, so an entry is written again only after
//! [`REUSE_AFTER`].

use std::io;
use std::time::Duration;

use crate::dataplane::kernel::{MirrorState, PATH_LEN, PathEntry};
use crate::io::clock::Stopwatch;
use crate::io::sys::bpf::{Map, MapKind};

/// How long an entry is not written after it was replaced.
const REUSE_AFTER: Duration = Duration::from_millis(50);

/// The maps, and what was written to them.
#[derive(Debug)]
pub(super) struct PathMaps {
    entries: Map,
    indices: Map,
    written: Vec<Written>,
    state: MirrorState,
}

#[derive(Debug)]
struct Written {
    entry: PathEntry,
    index: u32,
    since: Stopwatch,
}

impl PathMaps {
    /// Maps with these entries.
    pub(super) fn create(entries: Vec<PathEntry>, state: MirrorState) -> io::Result<Self> {
        let paths = u32::try_from(entries.len().max(1)).map_err(io::Error::other)?;
        let maps = (
            Map::create(MapKind::Array, PATH_LEN, paths.saturating_mul(2))?,
            Map::create(MapKind::Array, 4, paths)?,
        );
        let (map, indices) = maps;
        let mut written = Vec::new();
        for (path, entry) in (0..).zip(entries) {
            let index = 2 * path;
            map.update(index, &entry.to_bytes(state))?;
            indices.update(path, &index.to_ne_bytes())?;
            written.push(Written { entry, index, since: Stopwatch::start() });
        }
        Ok(Self { entries: map, indices, written, state })
    }

    pub(super) const fn entries(&self) -> &Map {
        &self.entries
    }

    pub(super) const fn indices(&self) -> &Map {
        &self.indices
    }

    /// Replaces the entry of a path if it differs. Returns false if it was replaced a moment ago, so
    /// that a later call must replace it.
    pub(super) fn update(&mut self, path: usize, entry: &PathEntry) -> io::Result<bool> {
        let Some(written) = self.written.get(path).filter(|written| written.entry != *entry) else {
            return Ok(true);
        };
        if written.since.elapsed() < REUSE_AFTER {
            return Ok(false);
        }
        self.write(path, entry.clone()).map(|()| true)
    }

    /// Writes the entry of a path again, because a program changed its state.
    pub(super) fn write_again(&mut self, path: usize) -> io::Result<()> {
        let Some(entry) = self.entry(path).cloned() else { return Ok(()) };
        self.write(path, entry)
    }

    /// The paths whose state a program has changed.
    pub(super) fn stopped(&self) -> io::Result<Vec<usize>> {
        let mut stopped = Vec::new();
        for (path, written) in self.written.iter().enumerate() {
            if self.entries.read(written.index)?.get(..4)
                != written.entry.to_bytes(self.state).get(..4)
            {
                stopped.push(path);
            }
        }
        Ok(stopped)
    }

    fn write(&mut self, path: usize, entry: PathEntry) -> io::Result<()> {
        let Some(written) = self.written.get_mut(path) else { return Ok(()) };
        let index = written.index ^ 1;
        self.entries.update(index, &entry.to_bytes(self.state))?;
        let path = u32::try_from(path).map_err(io::Error::other)?;
        self.indices.update(path, &index.to_ne_bytes())?;
        *written = Written { entry, index, since: Stopwatch::start() };
        Ok(())
    }

    /// Changes what programs do with the frames of all paths. Only the first word of each entry
    /// changes, which a program reads at once.
    pub(super) fn set_state(&mut self, state: MirrorState) -> io::Result<()> {
        self.state = state;
        for written in &self.written {
            self.entries.update(written.index, &written.entry.to_bytes(state))?;
        }
        Ok(())
    }

    /// The entry that programs use for a path.
    pub(super) fn entry(&self, path: usize) -> Option<&PathEntry> {
        self.written.get(path).map(|written| &written.entry)
    }
}
