//! Starts the worker threads of an interface, within the budgets of ring memory and file
//! descriptors.

use std::io;
use std::sync::Arc;
use std::thread;

use super::command::{Command, WorkerPort};
use super::descriptors::DescriptorBudget;
use super::error::Error;
use super::event::{Event, EventSink};
use super::interface_workers::{InterfaceWorkers, RunningWorker};
use super::live_tables::LiveTables;
use super::options::{CaptureMethod, Options};
use super::ring_budget::{OpenPhase, RingBudget};
use super::worker_registry::{NewWorker, WorkerRegistry};
use super::worker_thread::WorkerThread;
use crate::dataplane::MirrorTable;
use crate::io::impair::{Impairments, OptionallyImpaired, seed_of};
use crate::io::live;
use crate::io::memory_limit::MemoryLimit;
use crate::io::udp::{Egress, UdpSink};

/// Starts workers and keeps the budgets.
pub(super) struct WorkerStarter {
    tables: LiveTables,
    egress: Arc<Egress>,
    registry: WorkerRegistry,
    /// The number of workers for each interface.
    workers: u16,
    cpus: Vec<u16>,
    /// The position in `cpus` of the processor of the next worker.
    started: usize,
    /// None if the capture method has no rings.
    rings: Option<RingBudget>,
    descriptors: DescriptorBudget,
    /// The faults of the copies, and the seed of the run.
    impairments: (Option<Impairments>, u64),
    events: EventSink,
}

impl WorkerStarter {
    pub(super) fn new(
        options: &Options,
        tables: LiveTables,
        (egress, registry): (Arc<Egress>, WorkerRegistry),
        events: EventSink,
    ) -> Result<Self, Error> {
        let has_rings = options.capture == CaptureMethod::Ring;
        let limit = MemoryLimit::of_this_process;
        Ok(Self {
            tables,
            egress,
            registry,
            workers: options.workers,
            cpus: options.cpus.clone(),
            started: 0,
            rings: has_rings.then(|| RingBudget::new(options.ring_size, limit())),
            descriptors: DescriptorBudget::of_this_process()
                .map_err(|error| Error::Failed(error.to_string()))?,
            impairments: (options.impairments, options.compile.seed),
            events,
        })
    }

    /// Reports and reserves the memory and file descriptors for the workers of that number of
    /// interfaces, before they are started. The rings of `with_rings` interfaces share the memory
    /// budget equally.
    pub(super) fn plan_start(&mut self, interfaces: usize, with_rings: usize) -> Result<(), Error> {
        let workers = interfaces.saturating_mul(usize::from(self.workers));
        let max_workers = self.descriptors.max_workers();
        let needed = DescriptorBudget::needed(workers);
        if workers > max_workers {
            self.events.send(Event::DescriptorsShort { workers, needed, max_workers });
        } else if workers > 0 {
            self.events.send(Event::DescriptorsNeeded { workers, needed });
        }
        if let Some(rings) = &mut self.rings
            && (with_rings > 0 || interfaces == 0)
        {
            let workers = with_rings.saturating_mul(usize::from(self.workers));
            let ring_len = rings.plan(workers, OpenPhase::AtStart)?;
            rings.reserve(workers, ring_len);
            self.events.send(rings.event(workers, ring_len));
        }
        Ok(())
    }

    /// Ends the reservation: the interfaces that exist at the start have their workers.
    pub(super) fn finish_start(&mut self) {
        if let Some(rings) = &mut self.rings {
            rings.end_reservation();
        }
    }

    /// Starts the threads of an interface, if it has none. They wait for a source and receive every
    /// change of the interface's table from now on.
    pub(super) fn start(&mut self, interface: &mut InterfaceWorkers) -> Result<(), String> {
        if !interface.workers.is_empty() {
            return Ok(());
        }
        let table =
            self.tables.table(&interface.id).ok_or_else(|| "it has no session".to_owned())?;
        self.descriptors.allocate(usize::from(self.workers))?;
        for number in 0..self.workers {
            match self.start_one(interface, &table.table, number) {
                Ok(worker) => interface.workers.push(worker),
                Err(error) => {
                    return Err(self.cancel(interface, &format!("starting a thread: {error}")));
                }
            }
        }
        let ports = interface.workers.iter().map(|worker| worker.port.clone()).collect();
        if self.tables.add_workers(&interface.id, &interface.device, &table.table, ports) {
            return Ok(());
        }
        Err(self.cancel(interface, "it has no session"))
    }

    /// Releases the memory and the descriptors of the ended workers of an interface.
    pub(super) fn release(&mut self, interface: &mut InterfaceWorkers) {
        self.release_rings(interface);
        self.descriptors.release(interface.workers.len());
    }

    /// Reserves memory for the rings of an interface, unless it is reserved.
    pub(super) fn reserve_rings(&mut self, interface: &mut InterfaceWorkers) -> Result<(), String> {
        let count = usize::from(self.workers);
        let Some(rings) = self.rings.as_mut().filter(|_| interface.ring_len == 0) else {
            return Ok(());
        };
        let planned = rings.plan(count, OpenPhase::Later);
        let ring_len = planned.map_err(|failure| failure.to_string())?;
        interface.ring_len = ring_len;
        if rings.allocate(count, ring_len) {
            self.events.send(rings.event(count, ring_len));
        }
        Ok(())
    }

    /// Releases the memory of the closed rings of an interface.
    pub(super) fn release_rings(&mut self, interface: &mut InterfaceWorkers) {
        let ring_len = std::mem::take(&mut interface.ring_len);
        if let Some(rings) = self.rings.as_mut().filter(|_| ring_len > 0) {
            rings.release(interface.workers.len(), ring_len);
        }
    }

    /// Ends workers that were started and have no source yet. Returns the reason.
    fn cancel(&mut self, interface: &mut InterfaceWorkers, reason: &str) -> String {
        interface.send(|| Command::End);
        interface.workers.clear();
        self.registry.remove(interface.instance, &[]);
        self.descriptors.release(usize::from(self.workers));
        reason.to_owned()
    }

    fn start_one(
        &mut self,
        interface: &InterfaceWorkers,
        table: &Arc<MirrorTable>,
        number: u16,
    ) -> io::Result<RunningWorker> {
        let port = WorkerPort::new(live::Waker::new()?);
        let (instance, id, device) = (interface.instance, &interface.id, &*interface.device);
        let guard = self.tables.guard().clone();
        let (impairments, seed) = self.impairments;
        let sink = UdpSink::with_egress(Arc::clone(&self.egress));
        let sink = OptionallyImpaired::new(sink, impairments, seed_of(seed, id.as_str(), number));
        let worker = WorkerThread::new(Arc::clone(table), guard, sink, port.clone());
        let cpu = self.cpus.iter().cycle().nth(self.started).copied();
        let events = self.events.clone();
        let work = move || {
            pin_to_cpu(cpu, &events);
            worker.work()
        };
        let name = format!("{device}-{number}");
        let thread = thread::Builder::new().name(name).spawn(work)?;
        self.started = (self.started + 1) % self.cpus.len().max(1);
        self.registry.add(&NewWorker { instance, id, device, number }, &port);
        Ok(RunningWorker { port, thread })
    }
}

/// Pins the calling thread to a processor, if there is one.
fn pin_to_cpu(cpu: Option<u16>, events: &EventSink) {
    let Some(cpu) = cpu else { return };
    let mut set = rustix::thread::CpuSet::new();
    set.set(usize::from(cpu));
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        events.send(Event::PinFailed { cpu, error: error.to_string() });
    }
}
