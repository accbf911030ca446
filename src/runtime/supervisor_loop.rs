//! The supervisor's thread: it receives messages and checks all workers once a second.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

#[cfg(feature = "endpoint")]
use super::endpoint::ServedEndpoint;
use super::error::Error;
use super::event::Event;
use super::link_watch::LinkListener;
use super::live_tables::LiveTables;
use super::message::Message;
use super::monitor::{Monitor, read_run_status};
use super::namespace::InterfaceNamespace;
use super::supervisor::{Channels, Supervisor};
use super::task_pool::TaskPool;
use super::totals::Summary;
use crate::io::clock::Stopwatch;
use crate::io::links::{Link, links};

/// The time between two background compilations of all rules. Each compilation sends new tables to
/// the workers, so the changes of one interval are compiled together.
const COMPILE_INTERVAL: Duration = Duration::from_millis(250);

/// The status of all workers is read after this number of intervals, which is once a second.
const INTERVALS_PER_ROUND: u32 = 4;

/// The state of the thread besides the supervisor.
pub(super) struct SupervisorLoop {
    namespace: InterfaceNamespace,
    tables: LiveTables,
    channels: Channels,
    monitor: Monitor,
    #[cfg(feature = "endpoint")]
    endpoint: Option<ServedEndpoint>,
    background: TaskPool,
    is_compiling: bool,
    is_reading: bool,
    has_ended_worker: bool,
    _links: LinkListener,
}

impl SupervisorLoop {
    /// Starts to listen for changes of the links.
    pub(super) fn new(
        namespace: InterfaceNamespace,
        tables: LiveTables,
        channels: Channels,
    ) -> Result<Self, Error> {
        let Channels { messages, events } = channels.clone();
        let listener = LinkListener::start(&namespace, messages, events.clone());
        let listener = listener.map_err(|error| Error::failed("watching the links", &error))?;
        Ok(Self {
            namespace,
            tables,
            channels,
            monitor: Monitor::new(events),
            #[cfg(feature = "endpoint")]
            endpoint: None,
            background: TaskPool::new("background", 2),
            is_compiling: false,
            is_reading: false,
            has_ended_worker: false,
            _links: listener,
        })
    }

    /// The links of the namespace.
    pub(super) fn links(&self) -> Result<Vec<Link>, Error> {
        self.namespace.run(links).map_err(|error| Error::Failed(error.to_string()))
    }

    /// Sets the endpoint that receives the list of links.
    #[cfg(feature = "endpoint")]
    pub(super) fn with_endpoint(mut self, endpoint: ServedEndpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Handles messages until [`Message::Stop`], then ends the endpoint and all workers.
    pub(super) fn run(
        mut self,
        mut supervisor: Supervisor,
        messages: &Receiver<Message>,
    ) -> Summary {
        // `Supervisor::start` discards the changes that were reported meanwhile.
        self.follow_links(&mut supervisor);
        self.monitor.start(supervisor.egress(), || supervisor.devices());
        let mut interval = Stopwatch::start();
        let mut intervals = 0;
        loop {
            match messages.recv_timeout(COMPILE_INTERVAL.saturating_sub(interval.elapsed())) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.receive(message, &mut supervisor),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if interval.elapsed() >= COMPILE_INTERVAL {
                interval = Stopwatch::start();
                self.start_compilation();
                intervals += 1;
                if intervals % INTERVALS_PER_ROUND == 0 {
                    self.check_workers(&mut supervisor);
                }
            }
        }
        #[cfg(feature = "endpoint")]
        drop(self.endpoint.take());
        supervisor.shut_down(messages)
    }

    fn receive(&mut self, message: Message, supervisor: &mut Supervisor) {
        match message {
            Message::LinksChanged => self.follow_links(supervisor),
            Message::TablesCompiled(tables) => {
                self.is_compiling = false;
                self.tables.adopt(tables);
            }
            Message::StatusRead(status) => {
                self.is_reading = false;
                self.monitor.observe(status, || supervisor.devices());
            }
            other => supervisor.apply(other),
        }
    }

    fn follow_links(&self, supervisor: &mut Supervisor) {
        match self.links() {
            Ok(links) => {
                #[cfg(feature = "endpoint")]
                if let Some(endpoint) = &self.endpoint {
                    endpoint.update_devices(&links);
                }
                supervisor.update_links(&links);
            }
            Err(error) => self.channels.events.send(Event::WatchFailed(format!(
                "{error}; the next change of an interface causes another attempt"
            ))),
        }
    }

    /// Starts the background compilation of rules that were added since the last one, unless a
    /// compilation is running.
    fn start_compilation(&mut self) {
        if self.is_compiling {
            return;
        }
        if let Some(compile) = self.tables.compile_pending() {
            self.is_compiling = true;
            let messages = self.channels.messages.clone();
            self.background.run(move || drop(messages.send(Message::TablesCompiled(compile()))));
        }
    }

    fn check_workers(&mut self, supervisor: &mut Supervisor) {
        supervisor.check();
        if supervisor.has_ended_worker() {
            // No heartbeat is sent any more, so that a watchdog detects the failure.
            if !std::mem::replace(&mut self.has_ended_worker, true) {
                self.channels.events.send(Event::WorkerLost);
            }
            return;
        }
        if !self.is_reading {
            self.is_reading = true;
            let (registry, egress) = (supervisor.registry().clone(), supervisor.egress().clone());
            let (tables, messages) = (self.tables.clone(), self.channels.messages.clone());
            self.background.run(move || {
                let status = read_run_status(&registry, &egress, &tables);
                drop(messages.send(Message::StatusRead(status)));
            });
        }
    }
}
