//! The mirror table of one interface as programs and contents of maps.

use std::sync::Arc;

use super::counter_layout::{CounterLayout, MAX_COUNTERS};
use super::decision::Decision;
use super::direction_tables::{Buckets, DirectionTables, records};
use super::does_not_fit::DoesNotFit;
use super::fit::check_table;
use super::outcome::OutcomeList;
use super::paths::KernelPath;
use super::tables::WordTables;
use super::tap::{self, TapOptions};
use crate::bpf::{AssemblyError, Code};
use crate::dataplane::index::SessionIndex;
use crate::dataplane::loop_guard::LoopGuard;
use crate::dataplane::table::MirrorTable;
use crate::model::Direction;

/// The programs and maps of the first interface of a mirror table.
#[derive(Debug)]
pub struct KernelTable {
    guard: Arc<LoopGuard>,
    outcomes: OutcomeList,
    layout: CounterLayout,
    directions: [DirectionTables; 2],
    paths: Vec<KernelPath>,
    buckets: Vec<u8>,
}

impl KernelTable {
    /// Translates the sessions of the first interface.
    ///
    /// # Errors
    /// A session that the programs cannot express.
    pub fn new(table: &MirrorTable) -> Result<Self, DoesNotFit> {
        check_table(table)?;
        let mut outcomes = OutcomeList::default();
        let mut words = |direction| {
            let mut of_family = |is_ipv4| WordTables::new(table, direction, is_ipv4, &mut outcomes);
            Ok::<_, DoesNotFit>([of_family(true)?, of_family(false)?])
        };
        let (ingress, egress) = (words(Direction::Ingress)?, words(Direction::Egress)?);
        let (paths, starts) = paths(table);
        let (sessions, accepted) = (table.sessions().len(), outcomes.accepted().len());
        let layout = CounterLayout::new(sessions, accepted, paths.len());
        if layout.len() > MAX_COUNTERS {
            return Err(DoesNotFit::Counters { counters: layout.len(), limit: MAX_COUNTERS });
        }
        let mut buckets = Buckets::default();
        let records = records(table, &outcomes, (&layout, &starts), &mut buckets);
        let directions = [ingress, egress]
            .map(|words| DirectionTables::new(table, words, &records, (layout, &buckets)));
        let guard = Arc::clone(table.loop_guard());
        Ok(Self { guard, outcomes, layout, directions, paths, buckets: buckets.into_bytes() })
    }

    /// The outcomes that the programs return.
    #[must_use]
    pub const fn outcomes(&self) -> &OutcomeList {
        &self.outcomes
    }

    /// The positions of the counters.
    #[must_use]
    pub const fn layout(&self) -> CounterLayout {
        self.layout
    }

    /// The contents of the map of tables.
    #[must_use]
    pub fn tables(&self, direction: Direction) -> &[u8] {
        self.of(direction).bytes()
    }

    /// The initial contents of the map of token buckets; at least one bucket.
    #[must_use]
    pub fn buckets(&self) -> &[u8] {
        &self.buckets
    }

    /// The paths, by index.
    #[must_use]
    pub fn paths(&self) -> &[KernelPath] {
        &self.paths
    }

    /// The tap of a direction.
    ///
    /// # Errors
    /// The program is too long.
    pub fn tap(&self, direction: Direction, options: &TapOptions) -> Result<Code, AssemblyError> {
        let tables = self.of(direction);
        tap::tap(&self.decision(direction), tables.records(), options)
    }

    /// A program that returns the number of the outcome of a frame.
    ///
    /// # Errors
    /// The program is too long.
    pub fn oracle(&self, direction: Direction) -> Result<Code, AssemblyError> {
        self.decision(direction).oracle()
    }

    fn decision(&self, direction: Direction) -> Decision<'_> {
        Decision { words: self.of(direction).words(), guard: &self.guard }
    }

    const fn of(&self, direction: Direction) -> &DirectionTables {
        let [ingress, egress] = &self.directions;
        match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        }
    }
}

/// The paths, and the index of the first path of each session.
fn paths(table: &MirrorTable) -> (Vec<KernelPath>, Vec<usize>) {
    let (mut paths, mut starts) = (Vec::new(), Vec::new());
    for (index, session) in SessionIndex::enumerate(table.sessions()) {
        starts.push(paths.len());
        let Some(encap) = table.encap_of(index) else { continue };
        let target = table.target(session.target);
        let mut addresses = target.into_iter().flat_map(|target| target.addresses());
        for template in encap.templates() {
            paths.push(KernelPath {
                session: index,
                target: session.target,
                source: session.source_address,
                destination: addresses.next(),
                template: template.clone(),
                max_inner_len: encap.max_inner_len,
                packet_length: encap.packet_length,
            });
        }
    }
    (paths, starts)
}
