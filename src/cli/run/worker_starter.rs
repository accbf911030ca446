//! Starts the worker threads of an interface, within the budgets of memory and descriptors.

use std::io;
use std::sync::Arc;
use std::thread;

use super::command::{Command, WorkerPort};
use super::descriptors::DescriptorBudget;
use super::flags::{self, RunFlags};
use super::interface_workers::{InterfaceWorkers, RunningWorker};
use super::live_tables::LiveTables;
use super::on_this_host::pin;
use super::ring_budget::{OpenedWhen, RingBudget};
use super::worker_registry::{NewWorker, WorkerRegistry};
use super::worker_thread::WorkerThread;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::io::live;
use crate::io::memory_limit::MemoryLimit;
use crate::io::udp::Egress;

/// Starts workers, and knows how many there may be.
pub(super) struct WorkerStarter {
    tables: LiveTables,
    egress: Arc<Egress>,
    registry: WorkerRegistry,
    /// For each interface.
    workers: u16,
    cpus: Vec<u16>,
    /// How many workers were started: the next processor is that of this place in the list.
    started: usize,
    /// None where nothing is captured by rings.
    rings: Option<RingBudget>,
    descriptors: DescriptorBudget,
}

impl WorkerStarter {
    pub(super) fn new(
        flags: &RunFlags,
        tables: LiveTables,
        egress: Arc<Egress>,
        registry: WorkerRegistry,
    ) -> Result<Self, Failure> {
        let has_rings = flags.capture == flags::Capture::Ring;
        let limit = MemoryLimit::of_this_process;
        Ok(Self {
            tables,
            egress,
            registry,
            workers: flags.workers,
            cpus: flags.cpus.clone(),
            started: 0,
            rings: has_rings.then(|| RingBudget::new(flags.ring_size, limit())),
            descriptors: DescriptorBudget::of_this_process().map_err(Failure::failed)?,
        })
    }

    /// States what the workers of that number of interfaces need, before they are started. Their
    /// rings share the memory.
    pub(super) fn begin_start(&mut self, interfaces: usize) -> Result<(), Failure> {
        let workers = interfaces.saturating_mul(usize::from(self.workers));
        let (most, needed) = (self.descriptors.most_workers(), DescriptorBudget::needed(workers));
        if workers > most {
            terminal::warn(&format!(
                "{workers} workers need {needed} file descriptors, and there are enough for \
                 {most}: raise the limit (`ulimit -n`)"
            ));
        } else if workers > 0 {
            terminal::note(&format!("file descriptors: up to {needed} for {workers} workers"));
        }
        if let Some(rings) = &mut self.rings {
            let ring_len = rings.plan(workers, OpenedWhen::AtStart)?;
            rings.reserve(workers, ring_len);
            terminal::note(&rings.statement(workers, ring_len));
        }
        Ok(())
    }

    /// The interfaces that are there at the start have their workers.
    pub(super) fn end_start(&mut self) {
        if let Some(rings) = &mut self.rings {
            rings.end_reservation();
        }
    }

    /// Starts the threads of an interface that has none. They wait for a source.
    pub(super) fn start(&mut self, one: &mut InterfaceWorkers) -> Result<(), String> {
        if !one.workers.is_empty() {
            return Ok(());
        }
        let count = usize::from(self.workers);
        if let Some(rings) = &self.rings {
            let planned = rings.plan(count, OpenedWhen::Later);
            one.ring_len = planned.map_err(|failure| failure.to_string())?;
        }
        self.descriptors.take(count)?;
        if let Some(rings) = &mut self.rings
            && rings.take(count, one.ring_len)
        {
            terminal::note(&rings.statement(count, one.ring_len));
        }
        for number in 0..self.workers {
            match self.start_one(one, number) {
                Ok(worker) => one.workers.push(worker),
                Err(error) => {
                    // Those that were started end, and have done nothing.
                    one.send(|| Command::End);
                    one.workers.clear();
                    self.registry.remove(one.instance, &[]);
                    self.give_back(count, one.ring_len);
                    return Err(format!("starting a thread: {error}"));
                }
            }
        }
        Ok(())
    }

    /// Workers have ended: others may have their memory and their descriptors.
    pub(super) fn give_back(&mut self, workers: usize, ring_len: usize) {
        if let Some(rings) = &mut self.rings {
            rings.give_back(workers, ring_len);
        }
        self.descriptors.give_back(workers);
    }

    fn start_one(&mut self, one: &InterfaceWorkers, number: u16) -> io::Result<RunningWorker> {
        let port = WorkerPort::new(live::waker()?);
        let (instance, id, device) = (one.instance, &one.id, &*one.device);
        let (guard, egress) = (self.tables.guard().clone(), Arc::clone(&self.egress));
        let worker = WorkerThread::new(Arc::clone(&one.table.table), guard, egress, port.clone());
        let cpu = self.cpus.iter().cycle().nth(self.started).copied();
        let work = move || {
            pin(cpu);
            worker.work()
        };
        let name = format!("{device}-{number}");
        let thread = thread::Builder::new().name(name).spawn(work)?;
        self.started = (self.started + 1) % self.cpus.len().max(1);
        self.registry.add(&NewWorker { instance, id, device, number }, &port);
        Ok(RunningWorker { port, thread })
    }
}
