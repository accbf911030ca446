//! The writer thread: executes changes in batches, persists them, publishes them, and undoes those
//! that cannot be persisted or that the data plane refuses.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::super::actions::{self, Call};
use super::super::authenticate::Request;
use super::backend::{Persist, Publish, PublishedChange};
use super::pending::{PendingChanges, RefusedChange, Responder, Waiter};
use crate::control::account::{Account, ApiError, Caller, CreatedResource, UndoLog};
use crate::model::NetworkInterfaceId;

/// The maximum number of changes in a batch.
const MAX_BATCH_LEN: usize = 256;

/// The time after which records are written again that could not be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// A failed commit may have written its records nevertheless, so they are written again with the
/// next one, unless there are more than this.
const MAX_UNPERSISTED: usize = 16_384;

/// The work of the writer thread.
pub(super) enum Work {
    Change(Box<Job>),
    /// Refused changes must be undone.
    Undo,
}

/// A change of the account that is not an action of EC2.
pub(super) type AccountChange = Box<dyn FnOnce(&mut Account) -> Result<(), ApiError> + Send>;

/// What a change does.
pub(super) enum Change {
    /// It executes the action of a request.
    Action(Box<Request>),
    /// It calls a function of the program.
    Account(AccountChange),
}

/// A change, and the channel for its response.
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) now_s: u64,
    pub(super) responder: Responder,
    /// Wakes the writer thread if the data plane refuses the change.
    pub(super) wake: Sender<Work>,
}

/// The writer thread.
pub(super) struct Writer<Pub, Per> {
    account: Arc<RwLock<Account>>,
    publish: Pub,
    persist: Per,
    queue: Receiver<Work>,
    pending: PendingChanges,
    /// Whether an undone change is still in the stored account, because the commit failed.
    must_retry: bool,
}

/// An executed change whose response is not yet sent.
struct AppliedChange {
    answer: Result<String, ApiError>,
    /// Whether a function of the program made the change, which is not undone.
    is_final: bool,
    touched: BTreeSet<NetworkInterfaceId>,
    created: Option<CreatedResource>,
    undo: UndoLog,
    responder: Responder,
    wake: Sender<Work>,
}

impl<Pub: Publish, Per: Persist> Writer<Pub, Per> {
    pub(super) fn new(
        account: Arc<RwLock<Account>>,
        publish: Pub,
        persist: Per,
        queue: Receiver<Work>,
    ) -> Self {
        let pending = PendingChanges::default();
        Self { account, publish, persist, queue, pending, must_retry: false }
    }

    /// Executes changes until all senders are dropped.
    pub(super) fn run(mut self) {
        while let Some(jobs) = self.next_batch() {
            self.apply_batch(jobs);
        }
        if self.must_retry {
            self.apply_batch(Vec::new());
        }
    }

    /// Waits for work and returns all queued changes, up to [`MAX_BATCH_LEN`]: none if a change
    /// must be undone or written again. Returns `None` after all senders are dropped.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut batch = Vec::new();
        let first = match self.must_retry {
            false => self.queue.recv().ok()?,
            true => match self.queue.recv_timeout(RETRY_INTERVAL) {
                Ok(work) => work,
                Err(RecvTimeoutError::Timeout) => return Some(batch),
                Err(RecvTimeoutError::Disconnected) => return None,
            },
        };
        let further = std::iter::from_fn(|| self.queue.try_recv().ok());
        for work in std::iter::once(first).chain(further).take(MAX_BATCH_LEN) {
            batch.extend(match work {
                Work::Change(job) => Some(*job),
                Work::Undo => None,
            });
        }
        Some(batch)
    }

    /// Undoes refused changes, then executes a batch, persists it, publishes it, and sends the
    /// responses. The lock is held until the batch is persisted, so no client sees a change that is
    /// not.
    fn apply_batch(&mut self, jobs: Vec<Job>) {
        let account = Arc::clone(&self.account);
        let mut locked = account.write().unwrap_or_else(PoisonError::into_inner);
        // Changes that were refused during the last batch are undone before any later change, so
        // that no later change depends on them.
        let undone = undo_refused(&mut locked, self.pending.take_refused());
        let mut applied: Vec<AppliedChange> =
            jobs.into_iter().map(|job| AppliedChange::execute(&mut locked, job)).collect();
        self.must_retry |= !undone.is_empty();
        let is_any_final = applied.iter().any(|change| change.is_final);
        let has_changed = is_any_final || applied.iter().any(|change| !change.undo.is_empty());
        let committed = match has_changed || self.must_retry {
            true => commit(&mut locked, &mut self.persist),
            false => Ok(()),
        };
        match committed {
            Ok(()) => self.must_retry = false,
            Err(error) => {
                self.must_retry |= is_any_final;
                applied.iter_mut().rev().for_each(|change| change.fail(&mut locked, &error));
            }
        }
        drop(locked);
        let mut changes = Vec::new();
        for change in applied {
            changes.extend(change.into_published(&self.pending));
        }
        for (refused, touched) in undone {
            let pending = self.pending.clone();
            if touched.is_empty() {
                refused.answer(&pending);
                continue;
            }
            let done = Box::new(move |_| refused.answer(&pending));
            changes.push(PublishedChange { touched, needs_capture: false, done });
        }
        if !changes.is_empty() {
            let account = account.read().unwrap_or_else(PoisonError::into_inner);
            self.publish.publish(account.registry(), changes);
        }
    }
}

/// Undoes refused changes, the newest first. Returns them with the interfaces that they affected.
fn undo_refused(
    account: &mut Account,
    refused: Vec<RefusedChange>,
) -> Vec<(RefusedChange, BTreeSet<NetworkInterfaceId>)> {
    let undone = refused.into_iter().rev().map(|mut change| {
        account.undo(std::mem::take(&mut change.undo));
        (change, account.registry_mut().take_touched())
    });
    undone.collect()
}

/// Persists the changed records, if there are any.
fn commit(account: &mut Account, persist: &mut impl Persist) -> io::Result<()> {
    if account.unpersisted_len() == 0 {
        return Ok(());
    }
    let records = account.unpersisted_records().map_err(io::Error::other)?;
    persist.commit(&records)?;
    account.mark_persisted();
    Ok(())
}

impl AppliedChange {
    /// Executes a change. A change that fails half-way is undone.
    fn execute(account: &mut Account, job: Job) -> Self {
        let Job { change, now_s, responder, wake } = job;
        let is_final = matches!(change, Change::Account(_));
        let answer = match change {
            Change::Action(request) => {
                actions::execute(account, &call(&request, responder.request_id(), now_s))
            }
            Change::Account(change) => change(account).map(|()| String::new()),
        };
        let mut undo = account.take_undo_log();
        if answer.is_err() {
            account.undo(std::mem::take(&mut undo));
        }
        let touched = account.registry_mut().take_touched();
        Self { answer, is_final, touched, created: account.take_created(), undo, responder, wake }
    }

    /// Undoes the change, because its batch cannot be persisted.
    fn fail(&mut self, account: &mut Account, error: &io::Error) {
        if self.answer.is_err() {
            return;
        }
        self.answer = Err(ApiError::internal(error));
        let undo = std::mem::take(&mut self.undo);
        match account.unpersisted_len() > MAX_UNPERSISTED {
            true => account.undo_unpersisted(undo),
            false => account.undo(undo),
        }
        // The data plane has not received the change.
        account.registry_mut().take_touched();
    }

    /// Sends the response at once if the data plane has nothing to apply; otherwise returns the
    /// change to publish. A repeated request waits for the change of the first one.
    fn into_published(self, pending: &PendingChanges) -> Option<PublishedChange> {
        let Self { answer, touched, created, undo, responder, wake, .. } = self;
        let document = match answer {
            Ok(document) => document,
            Err(error) => {
                responder.send(Err(error));
                return None;
            }
        };
        let waiter = Waiter { document, responder };
        if let Some(repeated) = created.as_ref().filter(|one| one.is_repeated) {
            pending.join(&repeated.id, waiter);
            return None;
        }
        if touched.is_empty() {
            waiter.send();
            return None;
        }
        let needs_capture = created.as_ref().is_some_and(|one| one.is_session);
        let created = created.map(|one| one.id);
        if let Some(id) = &created {
            pending.begin(id);
        }
        let pending = pending.clone();
        let done = move |in_force: io::Result<()>| match in_force {
            Ok(()) => {
                waiter.send();
                pending.finish(created.as_ref()).into_iter().for_each(Waiter::send);
            }
            Err(error) => {
                let (error, responder) = (error.to_string(), waiter.responder);
                pending.refuse(RefusedChange { undo, error, created, responder });
                // Sending fails if the writer thread has ended.
                let _ = wake.send(Work::Undo);
            }
        };
        Some(PublishedChange { touched, needs_capture, done: Box::new(done) })
    }
}

/// The call of an action that a request contains.
pub(super) fn call<'a>(request: &'a Request, request_id: &'a str, now_s: u64) -> Call<'a> {
    Call {
        action: &request.action,
        form: &request.form,
        caller: Caller { owner: &request.owner, is_dry_run: request.is_dry_run, now_s },
        region: &request.region,
        request_id,
    }
}
