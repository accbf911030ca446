//! Changes that wait for the data plane, the repeated requests that wait for the same change, and
//! the changes that the data plane refused.
//!
//! The data plane reports on its own threads that a change is applied, so these share a lock with
//! the writer thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::control::account::{ApiError, UndoLog};

/// The result of a change: the document of the response, or an error.
pub(super) type ChangeResult = Result<String, ApiError>;

/// Sends the result of one change to the thread or task that answers its request.
pub(super) struct Responder {
    request_id: String,
    reply: oneshot::Sender<ChangeResult>,
}

/// A request whose response is ready, but is sent only when a change is applied.
pub(super) struct Waiter {
    pub(super) document: String,
    pub(super) responder: Responder,
}

/// A change that the data plane refused. It is undone before its client gets the error.
pub(super) struct RefusedChange {
    pub(super) undo: UndoLog,
    pub(super) error: String,
    /// The id of the resource that it created.
    pub(super) created: Option<String>,
    pub(super) responder: Responder,
}

/// The changes that the data plane has not applied yet. Clones share them.
#[derive(Clone, Default)]
pub(super) struct PendingChanges(Arc<Mutex<Changes>>);

#[derive(Default)]
struct Changes {
    /// The ids of the resources whose creation is not applied yet, with the repeated requests that
    /// wait for it.
    creations: HashMap<String, Vec<Waiter>>,
    /// Refused changes that must be undone, in the order in which they were refused.
    refused: Vec<RefusedChange>,
}

impl Responder {
    pub(super) const fn new(request_id: String, reply: oneshot::Sender<ChangeResult>) -> Self {
        Self { request_id, reply }
    }

    pub(super) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(super) fn send(self, result: ChangeResult) {
        // Sending fails if the client has disconnected or got a time-out. The change stays, and a
        // repeated request with the same ClientToken gets its result.
        let _ = self.reply.send(result);
    }
}

impl Waiter {
    pub(super) fn send(self) {
        self.responder.send(Ok(self.document));
    }
}

impl PendingChanges {
    /// Adds the creation of a resource that the data plane must apply.
    pub(super) fn begin(&self, created: &str) {
        self.locked().creations.insert(created.to_owned(), Vec::new());
    }

    /// Answers a repeated request when the resource is in force: at once if its creation is not
    /// pending.
    pub(super) fn join(&self, created: &str, waiter: Waiter) {
        match self.locked().creations.get_mut(created) {
            Some(waiting) => waiting.push(waiter),
            None => waiter.send(),
        }
    }

    /// Ends the creation of a resource. Returns the repeated requests that waited for it.
    pub(super) fn finish(&self, created: Option<&String>) -> Vec<Waiter> {
        created.and_then(|id| self.locked().creations.remove(id)).unwrap_or_default()
    }

    /// Adds a refused change. Its creation stays pending until it is undone.
    pub(super) fn refuse(&self, change: RefusedChange) {
        self.locked().refused.push(change);
    }

    /// Removes and returns the refused changes.
    pub(super) fn take_refused(&self) -> Vec<RefusedChange> {
        std::mem::take(&mut self.locked().refused)
    }

    fn locked(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefusedChange {
    /// Sends the error to the client and to those that repeated its request.
    pub(super) fn answer(self, pending: &PendingChanges) {
        let error = ApiError::internal(self.error);
        let repeats = pending.finish(self.created.as_ref());
        let responders = repeats.into_iter().map(|waiter| waiter.responder);
        responders.chain([self.responder]).for_each(|one| one.send(Err(error.clone())));
    }
}
