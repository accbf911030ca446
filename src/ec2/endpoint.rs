//! The account behind a lock, and the thread that executes the changes of clients.
//!
//! Changes that arrive together are executed and persisted as one batch, because the durable write
//! takes the most time. Each gets its response when the data plane has applied it, or at once if it
//! affects no session. The thread does not wait for the data plane, so a slow change does not delay
//! others. A change that cannot be persisted, or that the data plane refuses, is undone.

mod account_handle;
mod answer;
mod backend;
mod pending;
mod upstream_sync;
mod wait;
mod writer;

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};

use ::http::request::Parts;
use tokio::sync::oneshot;

use self::account_handle::AccountHandle;
pub(super) use self::answer::Answer;
use self::answer::{error_answer, not_executed, to_answer};
pub use self::backend::{Persist, Publish, PublishedChange};
use self::pending::{ChangeResult, Responder};
pub(super) use self::upstream_sync::UpstreamSync;
use self::upstream_sync::UpstreamThread;
use self::wait::wait_for;
use self::writer::{AccountChange, Change, Job, Work, Writer, call};
use super::actions;
use super::authenticate::{Principal, RejectedRequest, Request};
use super::credentials::Access;
use super::sts;
use super::upstream::{Upstream, UpstreamError};
use crate::control::account::{Account, ApiError};
use crate::model::NetworkInterfaceId;

/// The EC2 endpoint without its sockets.
pub struct Endpoint {
    /// The other emulator, and the thread that reads it. Both have senders of jobs, so they are
    /// dropped before the writer thread is awaited.
    upstream: Option<(UpstreamSync, UpstreamThread)>,
    account: Arc<RwLock<Account>>,
    access: Access,
    jobs: Sender<Work>,
    /// Dropped after the sender of its jobs, which ends the thread.
    writer: WriterHandle,
    /// Returns the seconds since 1970.
    now_s: Arc<dyn Fn() -> u64 + Send + Sync>,
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
        publish: impl Publish + 'static,
        persist: impl Persist + 'static,
        now_s: impl Fn() -> u64 + Send + Sync + 'static,
        draw: impl Fn() -> u128 + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&account), publish, persist, queue);
        let thread = thread::Builder::new().name("ec2-writer".to_owned());
        let thread = thread.spawn(move || writer.run())?;
        let writer = WriterHandle { thread: Some(thread), is_awaited: false };
        let (now_s, draw) = (Arc::new(now_s), Box::new(draw));
        Ok(Self { account, access: Access::default(), jobs, writer, now_s, draw, upstream: None })
    }

    /// Makes the end of the endpoint wait until all changes are executed and persisted and the store
    /// is closed. It is for a data plane that applies changes before [`Publish::publish`] returns:
    /// another one could make it wait.
    #[must_use]
    pub const fn with_awaited_end(mut self) -> Self {
        self.writer.is_awaited = true;
        self
    }

    /// Sets whose requests are accepted. By default any signature is accepted, and all requests
    /// act for the default account.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Runs the endpoint in front of another emulator of AWS, and starts a thread that reads it. The
    /// listener then forwards to it the requests that are not for traffic mirroring;
    /// [`Endpoint::respond`] forwards none.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn with_upstream(self, upstream: Upstream) -> io::Result<Self> {
        self.account.write().unwrap_or_else(PoisonError::into_inner).expect_emulator();
        let account = AccountHandle::new(Arc::clone(&self.account), self.jobs.clone());
        let sync = UpstreamSync::new(account, Arc::new(upstream), Arc::clone(&self.now_s));
        let thread = UpstreamThread::start(sync.clone())?;
        Ok(Self { upstream: Some((sync, thread)), ..self })
    }

    /// The emulator behind the endpoint, if there is one.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        self.upstream_sync().map(UpstreamSync::upstream)
    }

    /// Learns a network interface of the emulator behind the endpoint, so that the account has it.
    /// `name` is its id, a private address, the id of an instance, or the tag `Name` of an instance.
    /// Returns its id; `None` if there is no emulator, or if it does not have the interface.
    ///
    /// # Errors
    /// A sentence, if the emulator does not answer or answers with an error.
    pub async fn learn_interface(&self, name: &str) -> Result<Option<NetworkInterfaceId>, String> {
        let Some(sync) = self.upstream_sync() else { return Ok(None) };
        let failed = |error: UpstreamError| error.to_string();
        let found = sync.upstream().find_interface(name).await.map_err(failed)?;
        let Some(id) = found else { return Ok(None) };
        if !sync.learn_interface(&sync.upstream().scope(), &id).await.map_err(failed)? {
            return Ok(None);
        }
        let account = read(&self.account);
        Ok(account.registry().network_interface(&id).map(|known| known.id().clone()))
    }

    pub(super) fn upstream_sync(&self) -> Option<&UpstreamSync> {
        self.upstream.as_ref().map(|(sync, _)| sync)
    }

    /// Authenticates a request to any service.
    pub(super) fn authenticate(
        &self,
        parts: &Parts,
        body: &[u8],
    ) -> Result<Principal, RejectedRequest> {
        Principal::authenticate(parts, body, &self.access, (self.now_s)())
    }

    /// The answer of this endpoint to a Describe action, whatever the other emulator has.
    pub(super) fn describe(&self, request: &Request) -> Result<String, ApiError> {
        let account = read(&self.account);
        let request_id = uuid((self.draw)());
        actions::describe(&account, &call(request, &request_id, (self.now_s)()))
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
            Reply::Pending(replied, request_id) => to_answer(wait_for(replied), &request_id),
        }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Result<Request, RejectedRequest>) -> Answer {
        match self.submit(request) {
            Reply::Ready(answer) => answer,
            Reply::Pending(replied, request_id) => {
                to_answer(replied.await.unwrap_or_else(|_| Err(not_executed())), &request_id)
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
            let account = read(&self.account);
            return Reply::Ready(answer_sts(&account, &request, &request_id));
        }
        if !actions::is_change(&request.action) {
            let account = read(&self.account);
            let now_s = (self.now_s)();
            let described = actions::describe(&account, &call(&request, &request_id, now_s));
            return Reply::Ready(to_answer(described, &request_id));
        }
        let replied = self.queue(Change::Action(Box::new(request)), request_id.clone());
        Reply::Pending(replied, request_id)
    }

    /// Passes a change to the writer thread. Returns the channel for its result, which is closed if
    /// the thread has ended.
    fn queue(&self, change: Change, request_id: String) -> oneshot::Receiver<ChangeResult> {
        let (reply, replied) = oneshot::channel();
        let responder = Responder::new(request_id, reply);
        let job = Job { change, now_s: (self.now_s)(), responder, wake: self.jobs.clone() };
        // An error drops the job, which closes the channel.
        let _ = self.jobs.send(Work::Change(Box::new(job)));
        replied
    }

    /// Changes the account by a function of the program, in turn with the changes of clients. The
    /// change is persisted and published like these. It blocks this thread until the change is
    /// applied, so tasks of an asynchronous runtime must not call it.
    ///
    /// # Errors
    /// The error of the function; or the change could not be persisted, which is tried again, or
    /// not be applied.
    pub fn change_account(
        &self,
        change: impl FnOnce(&mut Account) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<(), ApiError> {
        let change: AccountChange = Box::new(change);
        let replied = self.queue(Change::Account(change), uuid((self.draw)()));
        wait_for(replied).map(drop)
    }
}

/// The writer thread. Dropping it waits for the end of the thread, if this was requested.
struct WriterHandle {
    thread: Option<JoinHandle<()>>,
    is_awaited: bool,
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take().filter(|_| self.is_awaited) {
            // An error means that the thread panicked, so it has ended.
            let _ = thread.join();
        }
    }
}

/// The immediate result of a request.
enum Reply {
    /// The response.
    Ready(Answer),
    /// The channel on which the writer thread sends the response, and the id of the request.
    Pending(oneshot::Receiver<ChangeResult>, String),
}

fn answer_sts(account: &Account, request: &Request, request_id: &str) -> Answer {
    if request.action != "GetCallerIdentity" {
        let message = format!("The action {} is not valid for this web service.", request.action);
        return error_answer(&ApiError::new("InvalidAction", message), request_id, true);
    }
    match request.form.check_no_unknown_parameters() {
        Ok(()) => {
            let (owner, key) = (account.shown_owner(&request.owner), &request.access_key_id);
            (200, sts::caller_identity(owner, key, request_id))
        }
        Err(error) => error_answer(&error, request_id, true),
    }
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

#[cfg(test)]
mod tests;
