//! The account behind a lock, and the thread that executes the changes of clients.
//!
//! Changes that arrive together are executed and persisted as one batch, because the durable write
//! takes the most time. Each gets its response when the data plane has applied it, or at once if it
//! affects no session. The thread does not wait for the data plane, so a slow change does not delay
//! others.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

use ::http::request::Parts;
use tokio::sync::oneshot;

use super::actions::{self, Call};
use super::authenticate::{RejectedRequest, Request};
use super::credentials::Access;
use super::{error_response, sts};
use crate::control::Registry;
use crate::control::account::{Account, ApiError, Caller, Record};
use crate::model::{NetworkInterfaceId, SessionId};

/// Applies changes of a registry to the data plane.
pub trait Publish: Send {
    /// Starts to apply the current registry to the interfaces that the changes affect. It does not
    /// wait: the data plane calls [`PublishedChange::done`] when the change is applied.
    fn publish(&mut self, registry: &Registry, changes: Vec<PublishedChange>);
}

/// A change that the data plane must apply.
pub struct PublishedChange {
    /// The network interfaces whose sessions it affects, at least one.
    pub touched: BTreeSet<NetworkInterfaceId>,
    /// Whether the change needs these interfaces to be captured, because it created a session.
    pub needs_capture: bool,
    /// Called once: when the data plane has applied the change, or with the error if it cannot.
    pub done: Box<dyn FnOnce(io::Result<()>) + Send>,
}

/// Stores changes durably.
pub trait Persist: Send {
    /// Stores all of these records, or none on an error.
    ///
    /// # Errors
    /// The records cannot be stored.
    fn commit(&mut self, records: &[Record]) -> io::Result<()>;

    /// Reads the account as it was last stored.
    ///
    /// # Errors
    /// The account cannot be read.
    fn restore(&mut self) -> io::Result<Account>;
}

/// The maximum number of changes in a batch.
const MAX_BATCH_LEN: usize = 256;

/// An HTTP status and a document.
pub(super) type Answer = (u16, String);

/// A change, and the channel for its response.
struct Job {
    request: Request,
    request_id: String,
    now_s: u64,
    reply: oneshot::Sender<Answer>,
    /// The channel for undoing a created session that cannot be captured.
    undo: Sender<Work>,
}

/// A created session that cannot be captured. It is removed before its client gets the error.
struct Undo {
    session: SessionId,
    error: String,
    request_id: String,
    reply: oneshot::Sender<Answer>,
}

/// The work of the writer thread.
enum Work {
    Change(Job),
    Undo(Undo),
}

/// An executed change whose response is not yet sent.
struct AppliedChange {
    answer: Result<String, ApiError>,
    touched: BTreeSet<NetworkInterfaceId>,
    /// The session that it created.
    created: Option<SessionId>,
    job: Job,
}

/// The EC2 endpoint without its sockets.
pub struct Endpoint {
    account: Arc<RwLock<Account>>,
    access: Access,
    jobs: Sender<Work>,
    /// Returns the seconds since 1970.
    now_s: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Returns random bits for the ids of requests.
    draw: Box<dyn Fn() -> u128 + Send + Sync>,
}

impl Endpoint {
    /// Starts the writer thread. `now_s` returns the seconds since 1970, `draw` random numbers.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(
        account: Arc<RwLock<Account>>,
        mut publish: impl Publish + 'static,
        mut persist: impl Persist + 'static,
        now_s: impl Fn() -> u64 + Send + Sync + 'static,
        draw: impl Fn() -> u128 + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let written = Arc::clone(&account);
        let write = move || {
            while let Some(batch) = next_batch(&queue) {
                apply_batch(&written, &mut publish, &mut persist, batch);
            }
        };
        thread::Builder::new().name("ec2-writer".to_owned()).spawn(write)?;
        let (now_s, draw) = (Box::new(now_s), Box::new(draw));
        Ok(Self { account, access: Access::default(), jobs, now_s, draw })
    }

    /// Sets whose requests are accepted. By default any signature is accepted, and all requests
    /// act for the default account.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The response to a request that the listener rejected.
    pub(super) fn answer_rejected(&self, rejected: &RejectedRequest) -> Answer {
        rejected.answer(&uuid((self.draw)()))
    }

    /// Parses and authenticates a request; a wrong one becomes an error response.
    pub(super) fn read(&self, parts: &Parts, body: &[u8]) -> Result<Request, RejectedRequest> {
        Request::read(parts, body, &self.access, (self.now_s)())
    }

    /// Answers a request without a socket: an HTTP status and a document. It blocks this thread
    /// until a change is applied, so tasks of an asynchronous runtime must not call it.
    #[must_use]
    pub fn respond(&self, head: &Parts, body: &[u8]) -> (u16, String) {
        match self.submit(self.read(head, body)) {
            Reply::Ready(answer) => answer,
            Reply::Pending(replied, request_id) => {
                replied.blocking_recv().unwrap_or_else(|_| change_failed(&request_id))
            }
        }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Result<Request, RejectedRequest>) -> Answer {
        match self.submit(request) {
            Reply::Ready(answer) => answer,
            Reply::Pending(replied, request_id) => {
                replied.await.unwrap_or_else(|_| change_failed(&request_id))
            }
        }
    }

    fn submit(&self, request: Result<Request, RejectedRequest>) -> Reply {
        let request_id = uuid((self.draw)());
        let request = match request {
            Ok(request) => request,
            Err(rejected) => {
                return Reply::Ready(rejected.answer(&request_id));
            }
        };
        if request.is_sts {
            return Reply::Ready(answer_sts(&request, &request_id));
        }
        let now_s = (self.now_s)();
        if !actions::is_change(&request.action) {
            let account = read(&self.account);
            let described = actions::describe(&account, &call(&request, &request_id, now_s));
            return Reply::Ready(to_answer(described, &request_id));
        }
        let (reply, replied) = oneshot::channel();
        let undo = self.jobs.clone();
        let job = Job { request, request_id: request_id.clone(), now_s, reply, undo };
        if self.jobs.send(Work::Change(job)).is_err() {
            return Reply::Ready(change_failed(&request_id));
        }
        Reply::Pending(replied, request_id)
    }
}

/// The immediate result of a request.
enum Reply {
    /// The response.
    Ready(Answer),
    /// The channel on which the writer thread sends the response, and the id of the request.
    Pending(oneshot::Receiver<Answer>, String),
}

fn change_failed(request_id: &str) -> Answer {
    error_answer(&ApiError::internal("the change was not made"), request_id, false)
}

/// Waits for work and returns all that is queued, up to [`MAX_BATCH_LEN`]; `None` after all senders
/// are dropped.
fn next_batch(queue: &Receiver<Work>) -> Option<Vec<Work>> {
    let mut batch = vec![queue.recv().ok()?];
    while batch.len() < MAX_BATCH_LEN
        && let Ok(work) = queue.try_recv()
    {
        batch.push(work);
    }
    Some(batch)
}

/// Executes a batch, persists it, publishes it, and sends the responses. The lock is held until the
/// batch is persisted, so no client sees a change that is not.
fn apply_batch(
    account: &RwLock<Account>,
    publish: &mut dyn Publish,
    persist: &mut dyn Persist,
    batch: Vec<Work>,
) {
    let mut applied = Vec::with_capacity(batch.len());
    let mut undone = Vec::new();
    let mut has_changed = false;
    let mut locked = write(account);
    for work in batch {
        match work {
            Work::Change(job) => {
                let call = call(&job.request, &job.request_id, job.now_s);
                let answer = actions::execute(&mut locked, &call);
                has_changed |= answer.is_ok();
                let touched = locked.registry_mut().take_touched();
                let created = locked.take_created_session();
                applied.push(AppliedChange { answer, touched, created, job });
            }
            Work::Undo(undo) => {
                locked.undo_create_session(&undo.session);
                has_changed = true;
                undone.push((undo, locked.registry_mut().take_touched()));
            }
        }
    }
    let committed = if has_changed { commit(&mut locked, persist) } else { Ok(()) };
    drop(locked);
    let mut changes = Vec::new();
    for change in applied {
        changes.extend(change.into_published(committed.as_ref().err()));
    }
    changes.extend(undone.into_iter().map(|(undo, touched)| PublishedChange {
        touched,
        needs_capture: false,
        done: Box::new(move |_| undo.answer()),
    }));
    if !changes.is_empty() {
        publish.publish(read(account).registry(), changes);
    }
}

impl AppliedChange {
    /// Sends the response at once if the data plane has nothing to apply; otherwise returns the
    /// change to publish.
    fn into_published(self, commit_error: Option<&io::Error>) -> Option<PublishedChange> {
        let Self { answer, touched, created, job } = self;
        let Job { request_id, reply, undo, .. } = job;
        let answer = match commit_error {
            None => answer,
            Some(error) => answer.and(Err(ApiError::internal(error))),
        };
        if answer.is_err() || touched.is_empty() {
            // Sending fails if the client has disconnected.
            let _ = reply.send(to_answer(answer, &request_id));
            return None;
        }
        let needs_capture = created.is_some();
        let done = move |in_force: io::Result<()>| {
            // A closed receiver means that the client has disconnected or got a time-out. It does
            // not learn that the change was applied, so a created session is removed.
            let in_force = match in_force {
                Ok(()) if reply.is_closed() => Err(io::Error::from(io::ErrorKind::TimedOut)),
                in_force => in_force,
            };
            match (in_force, created) {
                (Err(error), Some(session)) => {
                    let error = error.to_string();
                    // Sending fails if the writer thread has ended.
                    let _ = undo.send(Work::Undo(Undo { session, error, request_id, reply }));
                }
                (in_force, _) => {
                    let answer = in_force.map_err(ApiError::internal).and(answer);
                    let _ = reply.send(to_answer(answer, &request_id));
                }
            }
        };
        Some(PublishedChange { touched, needs_capture, done: Box::new(done) })
    }
}

impl Undo {
    fn answer(self) {
        let error = ApiError::internal(self.error);
        let _ = self.reply.send(to_answer(Err(error), &self.request_id));
    }
}

/// Persists the changes. If that fails, replaces the account by the stored one.
fn commit(account: &mut Account, persist: &mut dyn Persist) -> io::Result<()> {
    let records = account.take_changes().map_err(io::Error::other)?;
    let Err(error) = persist.commit(&records) else { return Ok(()) };
    *account = persist.restore()?;
    Err(error)
}

fn call<'a>(request: &'a Request, request_id: &'a str, now_s: u64) -> Call<'a> {
    Call {
        action: &request.action,
        form: &request.form,
        caller: Caller { owner: &request.owner, is_dry_run: request.is_dry_run, now_s },
        region: &request.region,
        request_id,
    }
}

fn answer_sts(request: &Request, request_id: &str) -> Answer {
    if request.action != "GetCallerIdentity" {
        let message = format!("The action {} is not valid for this web service.", request.action);
        return error_answer(&ApiError::new("InvalidAction", message), request_id, true);
    }
    match request.form.check_no_unknown_parameters() {
        Ok(()) => {
            let (owner, key) = (&request.owner, &request.access_key_id);
            (200, sts::caller_identity(owner, key, request_id))
        }
        Err(error) => error_answer(&error, request_id, true),
    }
}

fn to_answer(result: Result<String, ApiError>, request_id: &str) -> Answer {
    match result {
        Ok(document) => (200, document),
        Err(error) => error_answer(&error, request_id, false),
    }
}

fn error_answer(error: &ApiError, request_id: &str, is_sts: bool) -> Answer {
    let document = if is_sts { error_response::sts_document } else { error_response::document };
    (error_response::status(error.code), document(error, request_id))
}

/// A UUID version 4 (RFC 9562).
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Vec<&str> = parts.into_iter().filter_map(|part| hex.get(part)).collect();
    parts.join("-")
}

/// Locks the account for reading. If a writer panicked, its account is still served.
fn read(account: &RwLock<Account>) -> RwLockReadGuard<'_, Account> {
    account.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(account: &RwLock<Account>) -> RwLockWriteGuard<'_, Account> {
    account.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
