//! The workers of one interface: its table, its threads, and whether its device is captured.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::command::{Command, WorkerPort};
use super::receipt::Receipt;
use super::worker_thread::WorkerResult;
use crate::cli::terminal;
use crate::control::InterfaceTable;
use crate::dataplane::{MirrorTable, TableParts};
use crate::io::links::Link;
use crate::io::live::LiveSource;
use crate::model::NetworkInterfaceId;

/// Whether frames come in.
pub(super) enum Capture {
    /// The device is not there.
    Absent,
    /// A thread opens the device of this index. The receipts are of changes that wait for it.
    Opening(u32, Vec<Receipt>),
    /// The device of this index is captured.
    Attached(u32),
    /// The device is there and cannot be captured.
    Failed,
}

/// A worker thread of the interface.
pub(super) struct RunningWorker {
    pub(super) port: WorkerPort,
    pub(super) thread: JoinHandle<WorkerResult>,
}

impl RunningWorker {
    /// Waits for the end of the worker, and reports what it still had to say.
    pub(super) fn join(self, device: &str) -> WorkerResult {
        let result = self.thread.join().unwrap_or_default();
        report(&self.port, device);
        result
    }

    /// Reports what is in the status and was not reported yet.
    pub(super) fn report(&self, device: &str) {
        report(&self.port, device);
    }
}

fn report(port: &WorkerPort, device: &str) {
    let mut status = port.status();
    let errors = std::mem::take(&mut status.errors);
    let warnings = std::mem::take(&mut status.warnings);
    let of_source = std::mem::take(&mut status.source_warnings);
    drop(status);
    errors.iter().for_each(|error| terminal::complain(&format!("{device}: {error}")));
    warnings.iter().for_each(|warning| terminal::warn(warning));
    of_source.iter().for_each(|warning| terminal::warn(&format!("{device}: {warning}")));
}

/// The workers of one interface. There are threads from when its device is first opened.
pub(super) struct InterfaceWorkers {
    /// Every interface that is captured anew has another number.
    pub(super) instance: u64,
    pub(super) id: NetworkInterfaceId,
    pub(super) device: String,
    pub(super) table: InterfaceTable,
    pub(super) workers: Vec<RunningWorker>,
    /// Bytes that are planned for the ring of each worker.
    pub(super) ring_len: usize,
    pub(super) capture: Capture,
    is_up: bool,
    /// Why a ring ended.
    failure: Option<String>,
    /// Why it could not be captured, as far as that was said.
    said_failure: Option<String>,
}

impl InterfaceWorkers {
    /// Without a thread.
    pub(super) const fn new(
        instance: u64,
        id: NetworkInterfaceId,
        device: String,
        table: InterfaceTable,
    ) -> Self {
        Self {
            instance,
            id,
            device,
            table,
            workers: Vec::new(),
            ring_len: 0,
            capture: Capture::Absent,
            is_up: true,
            failure: None,
            said_failure: None,
        }
    }

    /// The index of the device that is captured.
    pub(super) const fn attached(&self) -> Option<u32> {
        match self.capture {
            Capture::Attached(index) => Some(index),
            _ => None,
        }
    }

    /// Goes on with another table. The receipt is dropped when it is in force everywhere.
    pub(super) fn change_table(&mut self, table: InterfaceTable, receipt: &Receipt) {
        self.send(|| Command::Table(Arc::clone(&table.table), receipt.clone()));
        self.table = table;
    }

    /// What happened to the device; it is returned where it is there and has to be opened.
    pub(super) fn follow<'l>(&mut self, link: Option<&'l Link>) -> Option<&'l Link> {
        let device = &self.device;
        match (link, &self.capture) {
            (None, Capture::Attached(_) | Capture::Opening(..)) => {
                terminal::note(&format!("{device} is gone: waiting for it to come back"));
                self.capture = Capture::Absent;
                self.send(|| Command::NoSource);
            }
            (None, _) => self.capture = Capture::Absent,
            (Some(link), Capture::Attached(index)) if *index == link.index => {
                if self.is_up != link.is_up {
                    let state = if link.is_up { "up: going on" } else { "down: waiting" };
                    terminal::note(&format!("{device} is {state}"));
                }
                self.is_up = link.is_up;
            }
            (Some(link), Capture::Opening(index, _)) if *index == link.index => {}
            (Some(link), _) => return Some(link),
        }
        None
    }

    /// Reports what the workers have to say. True where a ring ended with an error, so that the device
    /// has to be opened again. While the device is down that is no use: it is waited for.
    pub(super) fn report(&mut self) -> bool {
        for worker in self.workers.iter().filter(|worker| worker.port.take_has_report()) {
            worker.report(&self.device);
            let failure = worker.port.status().failure.take();
            // The device is opened once for all workers.
            self.failure = failure.or(self.failure.take());
        }
        if !self.is_up {
            return false;
        }
        let Some(failure) = self.failure.take() else { return false };
        let device = &self.device;
        terminal::warn(&format!("capturing {device} ended: {failure}; beginning anew"));
        self.capture = Capture::Absent;
        true
    }

    /// The device was opened.
    pub(super) fn attach(&mut self, link: &Link, sources: Vec<Box<dyn LiveSource>>) {
        let state = if link.is_up { "" } else { ", which is down" };
        terminal::note(&format!("mirroring {} (index {}){state}", self.device, link.index));
        self.is_up = link.is_up;
        self.said_failure = None;
        let receipts = match std::mem::replace(&mut self.capture, Capture::Attached(link.index)) {
            Capture::Opening(_, receipts) => Receipt::all(receipts),
            _ => Receipt::unwanted(),
        };
        for (worker, source) in self.workers.iter().zip(sources) {
            worker.port.send(Command::Source(source, receipts.clone()));
        }
    }

    /// The device cannot be opened. It is said once for each reason.
    pub(super) fn fail(&mut self, error: &str) {
        let reason = format!("cannot capture {}: {error}", self.device);
        let before = std::mem::replace(&mut self.capture, Capture::Failed);
        if let Capture::Opening(_, receipts) = before {
            receipts.into_iter().for_each(|receipt| receipt.fail(&reason));
        }
        if self.said_failure.as_ref() != Some(&reason) {
            terminal::warn(&format!("{reason}; trying again"));
            self.said_failure = Some(reason);
        }
    }

    /// Has no session in force any more, then ends the threads: what is in the ring is counted as
    /// not mirrored.
    pub(super) fn end(&self, receipt: &Receipt) {
        let parts = TableParts {
            interfaces: self.table.table.interfaces().to_vec(),
            settings: self.table.table.settings().clone(),
            ..TableParts::default()
        };
        let empty = Arc::new(MirrorTable::following(parts, &self.table.table));
        self.send(|| Command::Table(Arc::clone(&empty), receipt.clone()));
        self.send(|| Command::End);
    }

    pub(super) fn send(&self, command: impl Fn() -> Command) {
        self.workers.iter().for_each(|worker| worker.port.send(command()));
    }
}
