//! The workers of one interface: its threads and the state of its capture.

use std::thread::JoinHandle;
use std::time::Duration;

use super::command::{Command, WorkerPort};
use super::event::{Event, EventSink};
use super::kernel_programs::{AttachCommand, TierRefusal};
use super::receipt::Receipt;
use super::tier::{ActiveTier, InterfaceTier};
use super::tier_policy::{TierPolicy, TrafficCounts};
use super::worker_thread::WorkerResult;
use crate::io::links::Link;
use crate::io::live::LiveSource;
use crate::model::NetworkInterfaceId;

/// The state of the capture of a device.
pub(super) enum CaptureState {
    /// The device does not exist.
    Absent,
    /// A thread opens the device with this index. The receipts belong to changes that wait for it.
    Opening(u32, Vec<Receipt>),
    /// The device with this index is captured.
    Attached(u32),
    /// The device exists and cannot be captured.
    Failed,
}

/// A worker thread of the interface.
pub(super) struct RunningWorker {
    pub(super) port: WorkerPort,
    pub(super) thread: JoinHandle<WorkerResult>,
}

impl RunningWorker {
    /// Waits for the end of the worker, and sends its unreported warnings and errors.
    pub(super) fn join(self, device: &str, events: &EventSink) -> WorkerResult {
        let result = self.thread.join().unwrap_or_default();
        report(&self.port, device, events);
        result
    }
}

/// Sends the unreported warnings and errors of a worker as events.
fn report(port: &WorkerPort, device: &str, events: &EventSink) {
    let mut status = port.status();
    let errors = std::mem::take(&mut status.errors);
    let warnings = std::mem::take(&mut status.warnings);
    let source_warnings = std::mem::take(&mut status.source_warnings);
    drop(status);
    let device = || device.to_owned();
    for message in errors {
        events.send(Event::WorkerError { device: device(), message });
    }
    for message in warnings {
        events.send(Event::WorkerWarning { device: None, message });
    }
    for message in source_warnings {
        events.send(Event::WorkerWarning { device: Some(device()), message });
    }
}

/// The workers of one interface. The threads are started when its device is first opened.
pub(super) struct InterfaceWorkers {
    /// A number that is different for each value of this type in a run.
    pub(super) instance: u64,
    pub(super) id: NetworkInterfaceId,
    pub(super) device: String,
    pub(super) workers: Vec<RunningWorker>,
    /// The planned size of the ring of each worker, in bytes.
    pub(super) ring_len: usize,
    pub(super) capture: CaptureState,
    pub(super) tier: ActiveTier,
    /// Why it is not in the kernel tier, and the number of the table for which this was decided.
    pub(super) refusal: Option<(TierRefusal, u64)>,
    /// What is known of its traffic, for the choice of the tier.
    pub(super) traffic: TierPolicy,
    /// Whether it was ever captured, so that a worker may still mirror it.
    pub(super) was_attached: bool,
    events: EventSink,
    is_up: bool,
    /// Why the capture ended.
    failure: Option<String>,
    /// The last reported cause why it could not be captured.
    reported_failure: Option<String>,
}

impl InterfaceWorkers {
    /// Workers without threads, for a device that does not exist.
    pub(super) fn new(
        instance: u64,
        id: NetworkInterfaceId,
        device: String,
        events: EventSink,
    ) -> Self {
        Self {
            instance,
            id,
            device,
            workers: Vec::new(),
            ring_len: 0,
            capture: CaptureState::Absent,
            tier: ActiveTier::Ring,
            refusal: None,
            traffic: TierPolicy::default(),
            was_attached: false,
            events,
            is_up: true,
            failure: None,
            reported_failure: None,
        }
    }

    /// Adds the published counts of the workers to what is known of the traffic. Returns the tier to
    /// which the interface should move.
    pub(super) fn observe_traffic(&mut self, interval: Duration) -> Option<ActiveTier> {
        self.attached()?;
        let mut counts = TrafficCounts::default();
        for worker in &self.workers {
            let status = worker.port.status();
            counts.add(TrafficCounts {
                frames: status.counters.received,
                super_frame_segments: status.super_frame_segments,
            });
        }
        self.traffic.observe(self.tier, interval, counts)
    }

    /// The index of the device that is captured.
    pub(super) const fn attached(&self) -> Option<u32> {
        match self.capture {
            CaptureState::Attached(index) => Some(index),
            _ => None,
        }
    }

    /// Applies the current state of the device. Returns the device if it must be opened.
    pub(super) fn update_link<'l>(&mut self, link: Option<&'l Link>) -> Option<&'l Link> {
        let device = &self.device;
        match (link, &self.capture) {
            (None, CaptureState::Attached(_) | CaptureState::Opening(..)) => {
                self.events.send(Event::InterfaceRemoved { device: device.clone() });
                self.capture = CaptureState::Absent;
                self.send(|| Command::NoSource(Receipt::none()));
            }
            (None, _) => self.capture = CaptureState::Absent,
            (Some(link), CaptureState::Attached(index)) if *index == link.index => {
                if self.is_up != link.is_up {
                    let (device, is_up) = (device.clone(), link.is_up);
                    self.events.send(Event::InterfaceStateChanged { device, is_up });
                }
                self.is_up = link.is_up;
            }
            (Some(link), CaptureState::Opening(index, _)) if *index == link.index => {}
            (Some(link), _) => return Some(link),
        }
        None
    }

    /// Sends the warnings and errors of the workers. Returns true if a ring ended with an error, so
    /// that the device must be opened again. A device that is down is not opened before it is up.
    pub(super) fn report(&mut self) -> bool {
        for worker in self.workers.iter().filter(|worker| worker.port.take_has_report()) {
            report(&worker.port, &self.device, &self.events);
            let failure = worker.port.status().failure.take();
            // The device is opened once for all workers.
            self.failure = failure.or(self.failure.take());
        }
        if !self.is_up {
            return false;
        }
        let Some(error) = self.failure.take() else { return false };
        self.events.send(Event::CaptureEnded { device: self.device.clone(), error });
        self.capture = CaptureState::Absent;
        true
    }

    /// Gives the sources of the opened device to the workers. Programs that worker 0 has are suspended
    /// before the first source delivers a frame, and end when all sources do.
    pub(super) fn attach(&mut self, link: &Link, sources: Vec<Box<dyn LiveSource>>) {
        let had_programs = self.tier == ActiveTier::Kernel;
        let receipts = self.set_attached(link, ActiveTier::Ring);
        let ports = self.workers.iter().map(|worker| worker.port.clone());
        let mut pairs: Vec<_> = ports.zip(sources).collect();
        if !had_programs || pairs.is_empty() {
            return send_sources(pairs, &receipts);
        }
        let others = pairs.split_off(1);
        let first = self.workers.first().map(|worker| worker.port.clone());
        let suspended = Receipt::new(move |_| {
            let last = receipts.clone();
            let opened = Receipt::new(move |_| send_sources(pairs, &last));
            // Each source of the others is followed by a command whose receipt says that it is open.
            let ports: Vec<_> = others.iter().map(|(port, _)| port.clone()).collect();
            send_sources(others, &receipts);
            for port in ports {
                port.send(Command::SuspendPrograms(opened.clone()));
            }
        });
        if let Some(first) = first {
            first.send(Command::SuspendPrograms(suspended));
        }
    }

    /// The device is captured from now on, in this tier. Returns the receipt of the changes that
    /// waited for it.
    pub(super) fn set_attached(&mut self, link: &Link, tier: ActiveTier) -> Receipt {
        self.tier = tier;
        self.was_attached = true;
        let (device, index, is_up) = (self.device.clone(), link.index, link.is_up);
        let tier = InterfaceTier { tier, reason: self.tier_reason(), switches: 0 };
        self.events.send(Event::InterfaceAttached { device, index, is_up, tier });
        self.is_up = is_up;
        self.reported_failure = None;
        match std::mem::replace(&mut self.capture, CaptureState::Attached(link.index)) {
            CaptureState::Opening(_, receipts) => Receipt::all(receipts),
            _ => Receipt::none(),
        }
    }

    /// Why the interface is not in the kernel tier.
    pub(super) fn tier_reason(&self) -> Option<String> {
        self.refusal.as_ref().map(|(refusal, _)| refusal.reason.clone())
    }

    /// Sends worker 0 the command to attach programs, and to start them when the other workers have
    /// closed their rings.
    pub(super) fn send_programs(&self, attach: impl FnOnce(Receipt) -> AttachCommand) {
        let Some((first, others)) = self.workers.split_first() else { return };
        let port = first.port.clone();
        let others: Vec<_> = others.iter().map(|worker| worker.port.clone()).collect();
        let attached = Receipt::new(move |_| {
            let closed = Receipt::new(move |_| port.send(Command::StartPrograms));
            for other in others {
                other.send(Command::NoSource(closed.clone()));
            }
        });
        first.port.send(Command::Programs(attach(attached)));
    }

    /// The device could not be opened. Each cause is reported once.
    pub(super) fn fail(&mut self, error: &str) {
        let reason = format!("cannot capture {}: {error}", self.device);
        let before = std::mem::replace(&mut self.capture, CaptureState::Failed);
        if let CaptureState::Opening(_, receipts) = before {
            receipts.into_iter().for_each(|receipt| receipt.fail(&reason));
        }
        if self.reported_failure.as_ref() != Some(&reason) {
            let (device, error) = (self.device.clone(), error.to_owned());
            self.events.send(Event::CaptureFailed { device, error });
            self.reported_failure = Some(reason);
        }
    }

    /// Waits for the end of the threads. They must have received [`Command::End`].
    pub(super) fn join(self) -> Vec<WorkerResult> {
        let Self { workers, device, events, .. } = self;
        workers.into_iter().map(|worker| worker.join(&device, &events)).collect()
    }

    pub(super) fn send(&self, command: impl Fn() -> Command) {
        self.workers.iter().for_each(|worker| worker.port.send(command()));
    }
}

fn send_sources(pairs: Vec<(WorkerPort, Box<dyn LiveSource>)>, receipts: &Receipt) {
    for (port, source) in pairs {
        port.send(Command::Source(source, receipts.clone()));
    }
}

#[cfg(test)]
mod tests;
