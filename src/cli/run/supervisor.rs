//! Sees to it that every interface with a session is captured and mirrored, by threads of its own.
//!
//! The main thread receives events, changes what has changed, and waits for nothing: devices are
//! opened and threads joined in the background, and a change is acknowledged by its receipt.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::attach::Opener;
use super::command::Command;
use super::event::{ENDING, Ended, Event, Opened, TableChange, Waiting};
use super::flags::RunFlags;
use super::interface_workers::{Capture, InterfaceWorkers};
use super::live_tables::LiveTables;
use super::receipt::Receipt;
use super::routes;
use super::task_pool::TaskPool;
use super::totals::{AllResults, Totals};
use super::worker_registry::WorkerRegistry;
use super::worker_starter::WorkerStarter;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::control::{InterfaceTable, TableUpdate};
use crate::io::StopFlag;
use crate::io::links::Link;
use crate::io::udp::Egress;
use crate::model::NetworkInterfaceId;

/// The workers of every interface.
pub(super) struct Supervisor {
    options: Options,
    interfaces: BTreeMap<NetworkInterfaceId, InterfaceWorkers>,
    /// The devices that are there, by name.
    links: HashMap<String, Link>,
    registry: WorkerRegistry,
    /// Set by a signal: no further interface is captured.
    stop: StopFlag,
    starter: WorkerStarter,
    tasks: TaskPool,
    events: UnboundedSender<Event>,
    /// How many interfaces have had workers.
    instances: u64,
    /// How many of them end now.
    ending: usize,
    /// What those did that have ended.
    totals: Totals,
}

/// What all threads have in common.
struct Options {
    tables: LiveTables,
    egress: Arc<Egress>,
    opener: Opener,
    /// Whether copies leave by devices of the same network namespace.
    is_at_home: bool,
}

impl Supervisor {
    /// Without an interface; tables and devices come as events and by [`Supervisor::follow`].
    pub(super) fn new(
        flags: &RunFlags,
        tables: LiveTables,
        events: UnboundedSender<Event>,
        stop: StopFlag,
    ) -> Result<Self, Failure> {
        let egress = Arc::new(Egress::new(flags.udp_options()));
        let no_routes = |error| Failure::failed(format_args!("watching the routes: {error}"));
        routes::keep(&egress).map_err(no_routes)?;
        let options = Options {
            tables: tables.clone(),
            egress: Arc::clone(&egress),
            opener: Opener::new(flags),
            is_at_home: flags.netns.is_none(),
        };
        let registry = WorkerRegistry::new(tables.clone(), Arc::clone(&egress));
        let starter = WorkerStarter::new(flags, tables, egress, registry.clone())?;
        Ok(Self {
            options,
            interfaces: BTreeMap::new(),
            links: HashMap::new(),
            registry,
            stop,
            starter,
            tasks: TaskPool::new(),
            events,
            instances: 0,
            ending: 0,
            totals: Totals::default(),
        })
    }

    /// Captures the interfaces that have a session when the run starts, and returns when all of
    /// their devices are open or cannot be opened. Their rings share the memory.
    pub(super) fn start(
        &mut self,
        links: &[Link],
        events: &mut UnboundedReceiver<Event>,
    ) -> Result<(), Failure> {
        self.links = by_name(links);
        let wanted = self.options.tables.in_order();
        self.options.egress.prepare(wanted.iter().map(|(_, one)| &*one.table));
        let devices = wanted.iter().filter_map(|(_, table)| table.device.as_ref());
        let there = devices.filter(|device| self.links.contains_key(*device)).count();
        self.starter.begin_start(there)?;
        while let Ok(event) = events.try_recv() {
            self.apply(event);
        }
        while !self.stop.is_set() && self.is_opening() {
            let Some(event) = events.blocking_recv() else { break };
            self.apply(event);
        }
        self.starter.end_start();
        Ok(())
    }

    /// The workers that run, for those who read what they do.
    pub(super) const fn registry(&self) -> &WorkerRegistry {
        &self.registry
    }

    /// What all workers send by.
    pub(super) const fn egress(&self) -> &Arc<Egress> {
        &self.options.egress
    }

    /// Whether a thread has ended that was not told to.
    pub(super) fn has_lost_a_worker(&self) -> bool {
        let mut workers = self.interfaces.values().flat_map(|one| &one.workers);
        workers.any(|worker| worker.thread.is_finished())
    }

    /// The names of the devices whose interfaces have a session.
    pub(super) fn devices(&self) -> Vec<String> {
        self.interfaces.values().map(|one| one.device.clone()).collect()
    }

    /// Does what an event makes necessary.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Tables(change) => self.change(change),
            Event::Opened(opened) => self.attach(opened),
            Event::Ended(ended) => self.end(ended),
            Event::InForce(notes) => notes.iter().for_each(|note| terminal::note(note)),
        }
    }

    /// Devices came, went or changed.
    pub(super) fn follow(&mut self, links: &[Link]) {
        self.links = by_name(links);
        let ids: Vec<_> = self.interfaces.keys().cloned().collect();
        for id in ids {
            let Some(one) = self.interfaces.get_mut(&id) else { continue };
            let to_open = one.follow(self.links.get(&one.device)).cloned();
            if one.attached().is_none() {
                self.registry.set_device_index(one.instance, None);
            }
            if let Some(link) = to_open {
                self.open(&id, link, Vec::new());
            }
        }
    }

    /// Reports what workers have to say, and opens devices again whose capture failed.
    pub(super) fn check(&mut self) {
        let mut again = Vec::new();
        for (id, one) in &mut self.interfaces {
            let failed = one.report();
            if failed || matches!(one.capture, Capture::Failed) {
                again.push(id.clone());
            }
        }
        for id in again {
            self.open_if_there(&id, Vec::new());
        }
    }

    /// Ends all threads and adds up what they did.
    pub(super) fn shut_down(mut self, events: &mut UnboundedReceiver<Event>) -> AllResults {
        let attached = self.interfaces.values().filter_map(InterfaceWorkers::attached);
        let own: Vec<u32> = attached.filter(|_| self.options.is_at_home).collect();
        for one in self.interfaces.values() {
            one.send(|| Command::End);
        }
        while self.ending > 0 {
            match events.blocking_recv() {
                Some(Event::Ended(ended)) => self.end(ended),
                Some(Event::Tables(change)) => change.fail(ENDING),
                Some(Event::Opened(_) | Event::InForce(_)) => {}
                None => break,
            }
        }
        while let Ok(event) = events.try_recv() {
            if let Event::Tables(change) = event {
                change.fail(ENDING);
            }
        }
        for (_, one) in std::mem::take(&mut self.interfaces) {
            let table = one.table;
            let results = one.workers.into_iter().map(|worker| worker.join(&one.device));
            self.totals.add_interface(table, results.collect());
        }
        self.totals.all_results(&self.options.egress, &own)
    }

    fn change(&mut self, change: TableChange) {
        for update in change.updates {
            let id = &update.network_interface_id;
            let waiting: Vec<&Waiting> =
                change.waiting.iter().filter(|one| one.touched.contains(id)).collect();
            self.update(update, &waiting);
        }
    }

    fn update(&mut self, update: TableUpdate, waiting: &[&Waiting]) {
        let TableUpdate { network_interface_id: id, table } = update;
        let receipt = Receipt::all(waiting.iter().map(|one| one.receipt.clone()).collect());
        let device = table.as_ref().and_then(|table| table.device.clone());
        if self.interfaces.get(&id).is_some_and(|one| Some(&one.device) != device.as_ref()) {
            self.remove(&id, &receipt);
        }
        // An interface that has no device is no source of frames.
        let (Some(table), Some(device)) = (table, device) else { return };
        self.put(&id, device, table, &receipt);
        let needs_capture = waiting.iter().filter(|one| one.needs_capture);
        let receipts: Vec<Receipt> = needs_capture.map(|one| one.receipt.clone()).collect();
        self.open_if_there(&id, receipts);
    }

    fn put(
        &mut self,
        id: &NetworkInterfaceId,
        device: String,
        table: InterfaceTable,
        receipt: &Receipt,
    ) {
        if let Some(one) = self.interfaces.get_mut(id) {
            return one.change_table(table, receipt);
        }
        self.instances += 1;
        let one = InterfaceWorkers::new(self.instances, id.clone(), device, table);
        self.interfaces.insert(id.clone(), one);
    }

    /// Ends the threads of an interface, in the background.
    fn remove(&mut self, id: &NetworkInterfaceId, receipt: &Receipt) {
        let Some(one) = self.interfaces.remove(id) else { return };
        one.end(receipt);
        self.starter.give_back(one.workers.len(), one.ring_len);
        self.ending += 1;
        let events = self.events.clone();
        self.tasks.run(move || {
            let results = one.workers.into_iter().map(|worker| worker.join(&one.device));
            let ended = Ended { instance: one.instance, results: results.collect() };
            // Nobody receives it where the run has ended, and then nobody needs it.
            let _ = events.send(Event::Ended(ended));
        });
    }

    fn end(&mut self, ended: Ended) {
        self.ending = self.ending.saturating_sub(1);
        self.registry.remove(ended.instance, &ended.results);
        self.totals.add_ended(ended.results);
    }

    /// Opens the device of an interface unless it is open, being opened, or not there. The
    /// receipts wait for it.
    fn open_if_there(&mut self, id: &NetworkInterfaceId, receipts: Vec<Receipt>) {
        let Some(one) = self.interfaces.get_mut(id) else { return };
        match &mut one.capture {
            Capture::Attached(_) => {}
            Capture::Opening(_, waiting) => waiting.extend(receipts),
            Capture::Absent | Capture::Failed => {
                if let Some(link) = self.links.get(&one.device).cloned() {
                    self.open(id, link, receipts);
                }
            }
        }
    }

    fn open(&mut self, id: &NetworkInterfaceId, link: Link, receipts: Vec<Receipt>) {
        if self.stop.is_set() {
            return receipts.into_iter().for_each(|receipt| receipt.fail(ENDING));
        }
        let Some(mut one) = self.interfaces.remove(id) else { return };
        one.capture = Capture::Opening(link.index, receipts);
        match self.starter.start(&mut one) {
            Ok(()) => self.open_in_background(&one, link),
            Err(error) => one.fail(&error),
        }
        self.interfaces.insert(id.clone(), one);
    }

    fn open_in_background(&mut self, one: &InterfaceWorkers, link: Link) {
        let (id, instance, ring_len) = (one.id.clone(), one.instance, one.ring_len);
        let wakers: Vec<_> = one.workers.iter().map(|one| one.port.waker().clone()).collect();
        let (opener, events) = (self.options.opener.clone(), self.events.clone());
        self.tasks.run(move || {
            let result = opener.open(&link, ring_len, &wakers).map_err(|error| error.to_string());
            let _ = events.send(Event::Opened(Opened { id, instance, link, result }));
        });
    }

    /// The device was opened. Meanwhile it may have gone, or its sessions.
    fn attach(&mut self, opened: Opened) {
        let Opened { id, instance, link, result } = opened;
        let is_awaited = |one: &&mut InterfaceWorkers| {
            let is_opening =
                matches!(one.capture, Capture::Opening(index, _) if index == link.index);
            one.instance == instance && is_opening
        };
        let Some(one) = self.interfaces.get_mut(&id).filter(is_awaited) else {
            // Closing a ring takes as long as opening it.
            return self.tasks.run(move || drop(result));
        };
        match result {
            Ok(sources) => one.attach(&link, sources),
            Err(error) => one.fail(&error),
        }
        let index = one.attached().filter(|_| self.options.is_at_home);
        self.registry.set_device_index(instance, index);
    }

    fn is_opening(&self) -> bool {
        self.interfaces.values().any(|one| matches!(one.capture, Capture::Opening(..)))
    }
}

fn by_name(links: &[Link]) -> HashMap<String, Link> {
    links.iter().map(|link| (link.name.clone(), link.clone())).collect()
}
