//! The entry point of the library: starts live mirroring, changes its resources, reads its counters
//! and stops it.

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

/// Where the sessions, filters, targets and network interfaces come from.
pub enum Resources {
    /// From this registry, until [`LiveMirror::replace`] replaces it. Every session must have a
    /// virtual network ID (see [`with_network_ids`](crate::control::with_network_ids)), and every
    /// network interface with a session must have the name of its device.
    Registry(Box<Registry>),
    /// From an account that clients change over the EC2 API.
    #[cfg(feature = "endpoint")]
    Endpoint(Box<PreparedEndpoint>),
}

/// Running live mirroring. It stops when this value is dropped; [`LiveMirror::stop`] also returns
/// the counters.
pub struct LiveMirror {
    tables: LiveTables,
    registry: WorkerRegistry,
    messages: Sender<Message>,
    thread: Option<JoinHandle<Summary>>,
    /// Serves the metrics.
    _metrics: Option<Server>,
}

impl LiveMirror {
    /// Captures every interface that has a session, then serves the endpoint, if there is one.
    ///
    /// Returns when every device was opened or failed to open. A failure is reported as
    /// [`Event::CaptureFailed`](super::Event::CaptureFailed) and retried once a second. A device
    /// that does not exist is opened when it appears. After `stop` is set, no further device is
    /// opened; setting it does not stop workers that run.
    ///
    /// # Errors
    /// - [`Error::RingMemory`]: the rings need more memory than permitted.
    /// - [`Error::Metrics`], [`Error::Endpoint`]: the address cannot be bound.
    /// - [`Error::Failed`]: the system refuses a thread or a socket, the links cannot be read, or
    ///   there are not enough file descriptors for one worker.
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

    /// Replaces the registry; see [`Resources::Registry`] for what it must contain. The call
    /// compiles the changed tables and returns before the workers apply them. No frame is lost on
    /// interfaces that keep their device and a session.
    pub fn replace(&self, registry: &Registry) {
        self.tables.replace(registry);
        self.registry.count_reload();
    }

    /// Counts, for the metrics, a configuration that was rejected, so that the registry is
    /// unchanged.
    pub fn count_failed_replace(&self) {
        self.registry.count_failed_reload();
    }

    /// The mirrored interfaces and the counters so far. Waits up to 250 ms for workers that are
    /// busy; the counters of a worker that does not answer in that time are those of its last
    /// status.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.registry.snapshot()
    }

    /// Stops the endpoint, ends all workers after they have mirrored the frames in their rings, and
    /// returns the counters. If the supervisor's thread panicked, the summary is empty and
    /// [`Summary::is_complete`] is false.
    #[must_use]
    pub fn stop(mut self) -> Summary {
        self.end().unwrap_or_default()
    }

    /// Opens the devices on this thread, waits for them, and starts the supervisor's thread.
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
        // Sending fails only if the thread has ended.
        let _ = self.messages.send(Message::Stop);
        thread.join().ok()
    }
}

impl Drop for LiveMirror {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
