//! The account of an endpoint, for tasks that read it and change it in turn with clients.

use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::oneshot;

use super::answer::not_executed;
use super::pending::Responder;
use super::writer::{Change, Job, Work};
use crate::control::account::{Account, ApiError};

/// The account, and the queue of its writer thread.
#[derive(Clone)]
pub(in crate::ec2) struct AccountHandle {
    account: Arc<RwLock<Account>>,
    jobs: Sender<Work>,
}

impl AccountHandle {
    pub(super) const fn new(account: Arc<RwLock<Account>>, jobs: Sender<Work>) -> Self {
        Self { account, jobs }
    }

    /// Locks the account for reading. It must not be held while a task waits.
    pub(in crate::ec2) fn read(&self) -> RwLockReadGuard<'_, Account> {
        self.account.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a function on the writer thread, and waits until its changes are persisted and
    /// applied.
    pub(in crate::ec2) async fn change(
        &self,
        change: impl FnOnce(&mut Account) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<(), ApiError> {
        let (reply, replied) = oneshot::channel();
        let responder = Responder::new(String::new(), reply);
        let change = Change::Account(Box::new(change));
        let job = Job { change, now_s: 0, responder, wake: self.jobs.clone() };
        // An error drops the job, which closes the channel.
        let _ = self.jobs.send(Work::Change(Box::new(job)));
        replied.await.unwrap_or_else(|_| Err(not_executed())).map(drop)
    }
}
