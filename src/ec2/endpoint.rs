//! The account behind a lock, and the one thread that changes it.
//!
//! Changes that come together are made and kept together. Each is answered when the data plane goes
//! by it: at once where it touches no session. The thread waits for none of them, so a change that
//! takes its time delays no other.

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

/// Puts changes of a registry in force.
pub trait Publish: Send {
    /// Has the data plane go by what the registry says now of the interfaces that the changes
    /// touch. It does not wait for that; whoever makes it so calls [`PublishedChange::done`].
    fn publish(&mut self, registry: &Registry, changes: Vec<PublishedChange>);
}

/// A change that the data plane is to go by.
pub struct PublishedChange {
    /// The network interfaces whose sessions it touches, at least one.
    pub touched: BTreeSet<NetworkInterfaceId>,
    /// Whether it is in force only where these interfaces are captured: it made a session.
    pub needs_capture: bool,
    /// Called once: when the data plane goes by the change, or with the reason why it does not.
    pub done: Box<dyn FnOnce(io::Result<()>) + Send>,
}

/// Where changes are kept.
pub trait Persist: Send {
    /// Keeps all of these; with an error, none.
    ///
    /// # Errors
    /// Why they are not kept.
    fn commit(&mut self, records: &[Record]) -> io::Result<()>;

    /// The account as it was kept at last.
    ///
    /// # Errors
    /// It cannot be read.
    fn restore(&mut self) -> io::Result<Account>;
}

/// So many changes are made together at the most.
const MAX_BATCH_LEN: usize = 256;

/// A status and a document.
pub(super) type Answer = (u16, String);

/// A change and whoever waits for its answer.
struct Job {
    request: Request,
    request_id: String,
    now_s: u64,
    reply: oneshot::Sender<Answer>,
    /// Where a session goes that was made and cannot be in force.
    undo: Sender<Work>,
}

/// A session that was made and is not in force: it is removed before its maker hears of that.
struct Undo {
    session: SessionId,
    error: String,
    request_id: String,
    reply: oneshot::Sender<Answer>,
}

/// What the thread that makes changes does.
enum Work {
    Change(Job),
    Undo(Undo),
}

/// A change that was made, but for its answer.
struct AppliedChange {
    answer: Result<String, ApiError>,
    touched: BTreeSet<NetworkInterfaceId>,
    /// The session that it made.
    created: Option<SessionId>,
    job: Job,
}

/// The EC2 endpoint without its sockets.
pub struct Endpoint {
    account: Arc<RwLock<Account>>,
    access: Access,
    jobs: Sender<Work>,
    now_s: Box<dyn Fn() -> u64 + Send + Sync>,
    draw: Box<dyn Fn() -> u128 + Send + Sync>,
}

impl Endpoint {
    /// Begins the thread that makes changes. `now_s` gives the seconds since 1970, `draw` random
    /// numbers.
    ///
    /// # Errors
    /// The system refuses the thread.
    pub fn new(
        account: Arc<RwLock<Account>>,
        mut publish: impl Publish + 'static,
        mut persist: impl Persist + 'static,
        now_s: impl Fn() -> u64 + Send + Sync + 'static,
        draw: impl Fn() -> u128 + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let own = Arc::clone(&account);
        let write = move || {
            while let Some(batch) = next(&waiting) {
                apply_batch(&own, &mut publish, &mut persist, batch);
            }
        };
        thread::Builder::new().name("ec2-writer".to_owned()).spawn(write)?;
        let (now_s, draw) = (Box::new(now_s), Box::new(draw));
        Ok(Self { account, access: Access::default(), jobs, now_s, draw })
    }

    /// Sets whose requests are accepted. Without it any signature is, and all act for the default
    /// account.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The answer to a request that was refused before it came here.
    pub(super) fn answer_rejected(&self, rejected: &RejectedRequest) -> Answer {
        rejected.answer(&uuid((self.draw)()))
    }

    /// Takes a request apart, and asks who sent it.
    pub(super) fn read(&self, parts: &Parts, body: &[u8]) -> Result<Request, RejectedRequest> {
        Request::read(parts, body, &self.access, (self.now_s)())
    }

    /// Answers a request as it came, without any socket: a status and a document. It waits on this
    /// thread until a change is made and in force, so tasks of an asynchronous runtime do not call
    /// it.
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

/// What becomes of a request at once.
enum Reply {
    /// It is answered.
    Ready(Answer),
    /// The thread that makes changes will answer it; the id of the request.
    Pending(oneshot::Receiver<Answer>, String),
}

fn change_failed(request_id: &str) -> Answer {
    error_answer(&ApiError::internal("the change was not made"), request_id, false)
}

/// What has come since, at least one; nothing when nobody can come any more.
fn next(waiting: &Receiver<Work>) -> Option<Vec<Work>> {
    let mut batch = vec![waiting.recv().ok()?];
    while batch.len() < MAX_BATCH_LEN
        && let Ok(work) = waiting.try_recv()
    {
        batch.push(work);
    }
    Some(batch)
}

/// Makes changes, has them kept and published, and answers. Nobody sees a change that is not kept.
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
    for one in applied {
        changes.extend(one.into_published(committed.as_ref().err()));
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
    /// Answers now where the data plane has nothing to do; otherwise what it is to go by.
    fn into_published(self, commit_error: Option<&io::Error>) -> Option<PublishedChange> {
        let Self { answer, touched, created, job } = self;
        let Job { request_id, reply, undo, .. } = job;
        let answer = match commit_error {
            None => answer,
            Some(error) => answer.and(Err(ApiError::internal(error))),
        };
        if answer.is_err() || touched.is_empty() {
            // Whoever does not wait any more does not want it.
            let _ = reply.send(to_answer(answer, &request_id));
            return None;
        }
        let needs_capture = created.is_some();
        let done = move |in_force: io::Result<()>| {
            // Nobody waits for the answer any more: the client was told that the request failed.
            let in_force = match in_force {
                Ok(()) if reply.is_closed() => Err(io::Error::from(io::ErrorKind::TimedOut)),
                in_force => in_force,
            };
            match (in_force, created) {
                (Err(error), Some(session)) => {
                    let error = error.to_string();
                    // Where the thread has ended, so has the account.
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

/// What cannot be kept is taken back.
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

/// The form of RFC 9562, version 4.
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Vec<&str> = parts.into_iter().filter_map(|part| hex.get(part)).collect();
    parts.join("-")
}

/// A thread that panicked while it wrote is a fault of ours; what it left is still told.
fn read(account: &RwLock<Account>) -> RwLockReadGuard<'_, Account> {
    account.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(account: &RwLock<Account>) -> RwLockWriteGuard<'_, Account> {
    account.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
