//! Another emulator of AWS in front of which the endpoint runs, such as moto's server: its HTTP
//! client, and the questions that the endpoint asks it.
//!
//! What belongs here: requests to the other emulator and the reading of its answers. What does not:
//! which requests of clients are forwarded (`relay`), and what its answers mean for the account
//! (`endpoint`).

mod client;
mod document;
mod error;
mod find;
mod instances;
mod interfaces;
mod load_balancers;
mod query;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use self::client::Client;
pub(super) use self::document::{Item, Page, Set, append_to_message};
pub(super) use self::error::UpstreamError;
pub(super) use self::load_balancers::is_load_balancer_service;
pub(super) use self::query::Scope;

/// The maximum time to wait for an answer without which a request can be answered too.
pub(super) const SHORT_WAIT: Duration = Duration::from_secs(2);

/// Another emulator of AWS, to which an endpoint forwards the requests that it does not answer.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    account: watch::Sender<AccountState>,
    /// The scope of the last request of a client, for questions that no request causes.
    last_scope: Mutex<Option<Scope>>,
}

/// What is known of the account id of the other emulator.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AccountState {
    /// It was not asked yet.
    Unasked,
    /// It did not answer.
    Unknown,
    /// Twelve digits.
    Known(Arc<str>),
}

impl Upstream {
    /// The emulator at a URL such as `http://127.0.0.1:5000`. Nothing is sent yet.
    ///
    /// # Errors
    /// A sentence, if the URL is not that of an HTTP server without a path.
    pub fn new(url: &str) -> Result<Self, String> {
        let (account, _) = watch::channel(AccountState::Unasked);
        Ok(Self { client: Client::new(url)?, account, last_scope: Mutex::new(None) })
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// The account id of the emulator, once it has answered GetCallerIdentity.
    #[must_use]
    pub fn account_id(&self) -> Option<Arc<str>> {
        match &*self.account.borrow() {
            AccountState::Known(id) => Some(Arc::clone(id)),
            AccountState::Unasked | AccountState::Unknown => None,
        }
    }

    /// Records the account id, or that the emulator did not answer.
    pub(super) fn set_account_id(&self, id: Option<&str>) {
        let state = match id {
            Some(id) => AccountState::Known(Arc::from(id)),
            None => AccountState::Unknown,
        };
        self.account.send_replace(state);
    }

    /// Waits until the emulator was first asked for its account id, for 2 s at most. It does not
    /// wait for later attempts, so that own actions are answered while the emulator is down.
    pub(super) async fn was_asked(&self) {
        let mut account = self.account.subscribe();
        let answered = account.wait_for(|state| *state != AccountState::Unasked);
        // Without an answer, the account id is unknown for now. `self` has the sender.
        let _ = timeout(SHORT_WAIT, answered).await;
    }

    /// Forwards a request and returns the response, both without the headers that concern only one
    /// connection.
    pub(super) async fn forward(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, UpstreamError> {
        self.client.send(request).await
    }

    /// Records the scope of a request of a client.
    pub(super) fn note_scope(&self, scope: &Scope) {
        let mut last = self.last_scope.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(scope) {
            *last = Some(scope.clone());
        }
    }

    /// The scope of the last request of a client.
    pub(super) fn last_scope(&self) -> Option<Scope> {
        self.last_scope.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
