//! Captures and mirrors every interface that has a session, with worker threads for each interface.
//!
//! The supervisor applies messages and does not block after the start: background threads open
//! devices and join workers, and a receipt acknowledges each change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::command::Command;
use super::device_opener::DeviceOpener;
use super::error::Error;
use super::event::EventSink;
use super::interface_workers::{CaptureState, InterfaceWorkers};
use super::live_tables::LiveTables;
use super::message::{EndedWorkers, Message, OpenedDevice, RUN_IS_ENDING};
use super::options::Options;
use super::receipt::Receipt;
use super::routes;
use super::task_pool::{DEVICE_THREADS, TaskPool};
use super::tier::ActiveTier;
use super::tier_chooser::TierChooser;
use super::totals::{RunTotals, Summary};
use super::worker_registry::WorkerRegistry;
use super::worker_starter::WorkerStarter;
use crate::io::StopFlag;
use crate::io::clock::Stopwatch;
use crate::io::links::Link;
use crate::io::udp::Egress;
use crate::model::NetworkInterfaceId;

/// The sender of messages to the supervisor, and the receiver of its events.
#[derive(Clone)]
pub(super) struct Channels {
    pub(super) messages: Sender<Message>,
    pub(super) events: EventSink,
}

/// The workers of every interface.
pub(super) struct Supervisor {
    shared: Shared,
    interfaces: BTreeMap<NetworkInterfaceId, InterfaceWorkers>,
    /// The devices that exist, by name.
    links: HashMap<String, Link>,
    registry: WorkerRegistry,
    /// Set by a signal: no further interface is captured.
    stop: StopFlag,
    starter: WorkerStarter,
    tasks: TaskPool,
    channels: Channels,
    /// The number of [`InterfaceWorkers`] that were created.
    instances: u64,
    /// How many of them are ending in the background.
    ending: usize,
    /// The sums of those that have ended.
    totals: RunTotals,
    tiers: TierChooser,
    /// Why the run cannot start: an interface that the required tier cannot mirror.
    start_error: Option<Error>,
    is_starting: bool,
    /// The time since the traffic was observed last.
    observed: Stopwatch,
}

mod tiers;

/// Values that all threads share.
struct Shared {
    tables: LiveTables,
    egress: Arc<Egress>,
    opener: DeviceOpener,
    /// Whether the mirrored devices are in the network namespace that copies are sent from.
    is_same_namespace: bool,
}

impl Supervisor {
    /// A supervisor without an interface. [`Supervisor::apply`] and [`Supervisor::update_links`]
    /// change it.
    pub(super) fn new(
        options: &Options,
        tables: LiveTables,
        channels: Channels,
        stop: StopFlag,
    ) -> Result<Self, Error> {
        let events = &channels.events;
        let egress = Arc::new(Egress::new(options.udp.clone()));
        let watch_error = |error| Error::failed("watching the routes", &error);
        routes::spawn_refresher(&egress, events.clone()).map_err(watch_error)?;
        let shared = Shared {
            tables: tables.clone(),
            egress: Arc::clone(&egress),
            opener: DeviceOpener::new(options, events.clone()),
            is_same_namespace: options.namespace.is_own(),
        };
        let tiers = TierChooser::open(options, &egress)?;
        let registry = WorkerRegistry::new(tables.clone(), Arc::clone(&egress));
        let starter =
            WorkerStarter::new(options, tables, (egress, registry.clone()), events.clone())?;
        let totals = RunTotals::new(events.clone());
        Ok(Self {
            shared,
            interfaces: BTreeMap::new(),
            links: HashMap::new(),
            registry,
            stop,
            starter,
            tasks: TaskPool::new("devices", DEVICE_THREADS),
            channels,
            instances: 0,
            ending: 0,
            totals,
            tiers,
            start_error: None,
            is_starting: false,
            observed: Stopwatch::start(),
        })
    }

    /// Captures the interfaces that have a session when the run starts. Returns when each of their
    /// devices was opened or failed to open. Their rings share the memory budget equally.
    pub(super) fn start(
        &mut self,
        links: &[Link],
        messages: &Receiver<Message>,
    ) -> Result<(), Error> {
        self.links = by_name(links);
        let wanted = self.shared.tables.in_order();
        self.shared.egress.prepare(wanted.iter().map(|(_, interface)| &*interface.table));
        self.is_starting = true;
        let (existing, with_rings) = self.expected(&wanted);
        self.starter.plan_start(existing, with_rings)?;
        while let Ok(message) = messages.try_recv() {
            self.apply(message);
        }
        while !self.stop.is_set() && self.is_opening() {
            let Ok(message) = messages.recv() else { break };
            self.apply(message);
        }
        self.starter.finish_start();
        self.is_starting = false;
        self.start_error.take().map_or(Ok(()), Err)
    }

    /// The registry of the workers, from which their status is read.
    pub(super) const fn registry(&self) -> &WorkerRegistry {
        &self.registry
    }

    /// The routes and sockets that all workers send with.
    pub(super) const fn egress(&self) -> &Arc<Egress> {
        &self.shared.egress
    }

    /// Whether a worker thread has ended without a command.
    pub(super) fn has_ended_worker(&self) -> bool {
        let mut workers = self.interfaces.values().flat_map(|interface| &interface.workers);
        workers.any(|worker| worker.thread.is_finished())
    }

    /// The names of the devices whose interfaces have a session.
    pub(super) fn devices(&self) -> Vec<String> {
        self.interfaces.values().map(|interface| interface.device.clone()).collect()
    }

    /// Applies a message.
    pub(super) fn apply(&mut self, message: Message) {
        match message {
            Message::Changed(changed) => {
                for (id, receipts) in changed {
                    self.update(&id, receipts);
                }
            }
            Message::Opened(opened) => self.attach(opened),
            Message::Ended(ended) => self.end(ended),
            Message::Programs(id, instance, report) => self.observe_programs(&id, instance, report),
            // `SupervisorLoop` handles these, and reads the links after the start.
            Message::LinksChanged
            | Message::TablesCompiled(_)
            | Message::StatusRead(_)
            | Message::Stop => {}
        }
    }

    /// Applies a new list of the devices.
    pub(super) fn update_links(&mut self, links: &[Link]) {
        self.links = by_name(links);
        let ids: Vec<_> = self.interfaces.keys().cloned().collect();
        for id in ids {
            let Some(interface) = self.interfaces.get_mut(&id) else { continue };
            let to_open = interface.update_link(self.links.get(&interface.device)).cloned();
            if interface.attached().is_none() {
                self.registry.set_device_index(interface.instance, None);
            }
            if let Some(link) = to_open {
                self.open(&id, link, Vec::new());
            }
        }
    }

    /// Reports the warnings and errors of the workers, and opens failed devices again.
    pub(super) fn check(&mut self) {
        let mut to_reopen = Vec::new();
        for (id, interface) in &mut self.interfaces {
            let failed = interface.report();
            if failed || matches!(interface.capture, CaptureState::Failed) {
                to_reopen.push(id.clone());
            }
        }
        for id in to_reopen {
            self.open_if_there(&id, Vec::new());
        }
        self.move_fitting_interfaces();
        self.move_by_traffic();
    }

    /// Ends all worker threads and adds up their results.
    pub(super) fn shut_down(mut self, messages: &Receiver<Message>) -> Summary {
        self.shared.tables.end();
        for interface in self.interfaces.values() {
            interface.send(|| Command::End);
        }
        while self.ending > 0 {
            match messages.recv() {
                Ok(Message::Ended(ended)) => self.end(ended),
                Ok(other) => other.refuse(),
                Err(_) => break,
            }
        }
        messages.try_iter().for_each(Message::refuse);
        let mut interfaces = std::mem::take(&mut self.interfaces);
        for (id, table) in self.shared.tables.in_order() {
            if let Some(interface) = interfaces.remove(&id) {
                self.totals.add_interface(table, interface.join());
            }
        }
        for interface in interfaces.into_values() {
            self.totals.add_ended(interface.join());
        }
        let totals =
            std::mem::replace(&mut self.totals, RunTotals::new(self.channels.events.clone()));
        let own_traffic = self.registry.final_own_traffic(&totals.sent_by_device());
        totals.summary(&self.shared.egress, own_traffic)
    }

    /// Starts or ends the workers of an interface that now has its first session, no session, or
    /// another device. The receipts wait until the interface is captured.
    fn update(&mut self, id: &NetworkInterfaceId, receipts: Vec<Receipt>) {
        let device = self.shared.tables.table(id).and_then(|table| table.device);
        let has_workers = self.shared.tables.has_workers(id);
        // Workers that receive no tables any more had a change that removed the interface. Another
        // change may have added it again before this change was processed.
        let is_outdated = |interface: &InterfaceWorkers| {
            Some(&interface.device) != device.as_ref()
                || !interface.workers.is_empty() && !has_workers
        };
        if self.interfaces.get(id).is_some_and(is_outdated) {
            self.remove(id);
        }
        // An interface without a device cannot be captured.
        let Some(device) = device else { return };
        if !self.interfaces.contains_key(id) {
            self.instances += 1;
            let events = self.channels.events.clone();
            let interface = InterfaceWorkers::new(self.instances, id.clone(), device, events);
            self.interfaces.insert(id.clone(), interface);
        }
        self.open_if_there(id, receipts);
    }

    /// Ends the threads of an interface in the background. They already have a table without
    /// sessions, so they count the frames in their rings as not mirrored.
    fn remove(&mut self, id: &NetworkInterfaceId) {
        let Some(mut interface) = self.interfaces.remove(id) else { return };
        interface.send(|| Command::End);
        self.starter.release(&mut interface);
        self.ending += 1;
        let messages = self.channels.messages.clone();
        self.tasks.run(move || {
            let instance = interface.instance;
            // Sending fails only if the run has ended; then the result is not needed.
            let _ =
                messages.send(Message::Ended(EndedWorkers { instance, results: interface.join() }));
        });
    }

    fn end(&mut self, ended: EndedWorkers) {
        self.ending = self.ending.saturating_sub(1);
        self.registry.remove(ended.instance, &ended.results);
        self.totals.add_ended(ended.results);
    }

    /// Opens the device of an interface unless it is open, is being opened, or does not exist. The
    /// receipts wait until it is captured.
    fn open_if_there(&mut self, id: &NetworkInterfaceId, receipts: Vec<Receipt>) {
        let Some(interface) = self.interfaces.get_mut(id) else { return };
        match &mut interface.capture {
            CaptureState::Attached(_) => {}
            CaptureState::Opening(_, waiting) => waiting.extend(receipts),
            CaptureState::Absent | CaptureState::Failed => {
                if let Some(link) = self.links.get(&interface.device).cloned() {
                    self.open(id, link, receipts);
                }
            }
        }
    }

    fn open(&mut self, id: &NetworkInterfaceId, link: Link, receipts: Vec<Receipt>) {
        if self.stop.is_set() {
            return receipts.into_iter().for_each(|receipt| receipt.fail(RUN_IS_ENDING));
        }
        let Some(mut interface) = self.interfaces.remove(id) else { return };
        interface.capture = CaptureState::Opening(link.index, receipts);
        match self.starter.start(&mut interface) {
            Ok(()) => self.open_in_tier(&mut interface, link),
            Err(error) => interface.fail(&error),
        }
        self.interfaces.insert(id.clone(), interface);
    }

    /// Opens the rings of a device on another thread.
    fn open_in_background(&mut self, interface: &InterfaceWorkers, link: Link) {
        let (id, instance) = (interface.id.clone(), interface.instance);
        // Only programs of the interface count what rings reject that are not in use yet.
        let has_programs = interface.was_attached && interface.tier == ActiveTier::Kernel;
        let ring = (interface.ring_len, has_programs);
        let wakers: Vec<_> =
            interface.workers.iter().map(|worker| worker.port.waker().clone()).collect();
        let (opener, messages) = (self.shared.opener.clone(), self.channels.messages.clone());
        self.tasks.run(move || {
            let result = opener.open(&link, ring, &wakers).map_err(|error| error.to_string());
            let _ = messages.send(Message::Opened(OpenedDevice { id, instance, link, result }));
        });
    }

    /// Attaches the workers to an opened device, unless the device or the sessions were removed
    /// meanwhile.
    fn attach(&mut self, opened: OpenedDevice) {
        let OpenedDevice { id, instance, link, result } = opened;
        let is_awaited = |interface: &&mut InterfaceWorkers| {
            let is_opening =
                matches!(interface.capture, CaptureState::Opening(index, _) if index == link.index);
            interface.instance == instance && is_opening
        };
        let Some(interface) = self.interfaces.get_mut(&id).filter(is_awaited) else {
            // Closing a ring blocks as long as opening it.
            return self.tasks.run(move || drop(result));
        };
        match result {
            Ok(sources) => {
                interface.attach(&link, sources);
                self.registry.set_tier(interface);
            }
            Err(error) => interface.fail(&error),
        }
        let index = interface.attached().filter(|_| self.shared.is_same_namespace);
        self.registry.set_device_index(instance, index);
    }

    fn is_opening(&self) -> bool {
        self.interfaces
            .values()
            .any(|interface| matches!(interface.capture, CaptureState::Opening(..)))
    }
}

/// Ends the workers of a supervisor that is dropped without [`Supervisor::shut_down`], because a
/// later step of the start failed.
impl Drop for Supervisor {
    fn drop(&mut self) {
        for interface in self.interfaces.values() {
            interface.send(|| Command::End);
        }
    }
}

fn by_name(links: &[Link]) -> HashMap<String, Link> {
    links.iter().map(|link| (link.name.clone(), link.clone())).collect()
}
