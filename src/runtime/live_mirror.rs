//! Live mirroring as a value: start it, change its resources, read its counters, stop it.

use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

#[cfg(feature = "endpoint")]
use super::endpoint::{self, PreparedEndpoint};
use super::error::Error;
use super::event::EventSink;
use super::live_tables::LiveTables;
use super::message::Message;
use super::metrics;
use super::options::Options;
use super::snapshot::Snapshot;
use super::supervisor::{Channels, Supervisor};
use super::supervisor_loop::SupervisorLoop;
use super::totals::Summary;
use super::worker_registry::WorkerRegistry;
use crate::control::Registry;
use crate::http::Server;
use crate::io::StopFlag;

/// Where the resources come from.
pub enum Resources {
    /// From this registry, until [`LiveMirror::replace`]. Every session needs a network identifier
    /// (see [`with_network_ids`](crate::control::with_network_ids)), and every network interface
    /// with a session the name of its device.
    Registry(Box<Registry>),
    /// From an account that clients change over the EC2 API.
    #[cfg(feature = "endpoint")]
    Endpoint(Box<PreparedEndpoint>),
}

/// Interfaces that are being mirrored. Dropped, it stops.
pub struct LiveMirror {
    tables: LiveTables,
    registry: WorkerRegistry,
    messages: Sender<Message>,
    thread: Option<JoinHandle<Summary>>,
    /// Serves the metrics.
    _metrics: Option<Server>,
}

impl LiveMirror {
    /// Captures every interface that has a session, and returns when all their devices are open or
    /// cannot be opened (an event says so, and it is tried again). Then serves the endpoint, if
    /// there is one. When `stop` is set, no further device is opened.
    ///
    /// # Errors
    /// An option cannot work on this host, or the system refuses a thread, a socket or a port.
    pub fn start(
        options: &Options,
        resources: Resources,
        events: EventSink,
        stop: StopFlag,
    ) -> Result<Self, Error> {
        let (sender, messages) = unbounded();
        let tables = LiveTables::new(options.compile, sender.clone());
        let channels = Channels { messages: sender.clone(), events: events.clone() };
        let supervisor = Supervisor::new(options, tables.clone(), channels, stop)?;
        let registry = supervisor.registry().clone();
        let metrics = match &options.metrics {
            Some(options) => Some(metrics::start(options, registry.clone(), events.clone())?),
            None => None,
        };
        match &resources {
            Resources::Registry(registry) => tables.replace(registry),
            #[cfg(feature = "endpoint")]
            Resources::Endpoint(prepared) => prepared.publish(&tables),
        }
        let mut mirror =
            Self { tables, registry, messages: sender, thread: None, _metrics: metrics };
        mirror.start_supervisor(options, resources, (supervisor, messages), events)?;
        Ok(mirror)
    }

    /// Goes on with another registry; see [`Resources::Registry`]. Returns before it is in force.
    pub fn replace(&self, registry: &Registry) {
        self.tables.replace(registry);
        self.registry.count_reload();
    }

    /// Counts in the metrics that another registry could not be read, so the old one stays.
    pub fn count_failed_replace(&self) {
        self.registry.count_failed_reload();
    }

    /// What is mirrored and was counted so far. Waits up to 250 ms for workers that are busy.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.registry.snapshot()
    }

    /// Stops serving, ends all workers after they have mirrored what is in their rings, and returns
    /// what they did.
    #[must_use]
    pub fn stop(mut self) -> Summary {
        self.end().unwrap_or_default()
    }

    /// Opens the devices on this thread, which may wait for them, and goes on on another one.
    fn start_supervisor(
        &mut self,
        options: &Options,
        resources: Resources,
        (mut supervisor, messages): (Supervisor, Receiver<Message>),
        events: EventSink,
    ) -> Result<(), Error> {
        let channels = Channels { messages: self.messages.clone(), events: events.clone() };
        let supervisor_loop =
            SupervisorLoop::new(options.namespace.clone(), self.tables.clone(), channels)?;
        supervisor.start(&supervisor_loop.links()?, &messages)?;
        let supervisor_loop = match resources {
            Resources::Registry(_) => supervisor_loop,
            #[cfg(feature = "endpoint")]
            Resources::Endpoint(prepared) => {
                let endpoint = endpoint::serve(*prepared, self.tables.clone(), events)?;
                supervisor_loop.with_endpoint(endpoint)
            }
        };
        let run = move || supervisor_loop.run(supervisor, &messages);
        let spawned = thread::Builder::new().name("supervisor".to_owned()).spawn(run);
        self.thread = Some(spawned.map_err(|error| Error::failed("starting a thread", &error))?);
        Ok(())
    }

    fn end(&mut self) -> Option<Summary> {
        let thread = self.thread.take()?;
        // The thread receives it unless it has ended.
        let _ = self.messages.send(Message::Stop);
        thread.join().ok()
    }
}

impl Drop for LiveMirror {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
