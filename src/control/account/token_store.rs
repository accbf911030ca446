//! Client tokens: a repeated request with the same token creates no second resource.
//!
//! The token of a resource is kept as long as the resource exists. The token of a deleted resource
//! is kept for a day, and at most [`MAX_DELETED_TOKENS`] of these are kept. They are in a queue
//! ordered by the time of deletion, so the next one to expire is found without a search.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::api_error::ApiError;
use super::caller::Caller;

/// How long a token is kept after its resource is deleted, in seconds.
const RETENTION_S: u64 = 24 * 60 * 60;

/// At most this many tokens of deleted resources are kept. A client repeats a request within
/// minutes; at 10 deletions/s, these are the tokens of the last 27 minutes.
pub(super) const MAX_DELETED_TOKENS: usize = 16_384;

/// "Up to 64 ASCII characters" (EC2 user guide, "Ensuring idempotency").
const MAX_TOKEN_LEN: usize = 64;

/// The request and the resource of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    /// A hash of the parameters of the request, without ClientToken and DryRun. State files of
    /// earlier versions contain the parameters themselves.
    request: String,
    /// The id of the resource that the request created.
    pub(super) id: String,
    /// When the resource was deleted, in seconds since 1970.
    pub(super) gone_s: Option<u64>,
    /// The place in the queue among tokens whose resources were deleted in the same second.
    #[serde(skip)]
    sequence: u64,
}

/// An account id and a token of this account.
pub(super) type TokenKey = (Arc<str>, String);

/// All tokens, by account and token.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenStore {
    tokens: HashMap<TokenKey, TokenRecord>,
    /// The token of the request that created a resource, by resource id.
    by_resource: HashMap<String, TokenKey>,
    /// Tokens of deleted resources, the earliest deletion first.
    deleted: BTreeMap<(u64, u64), TokenKey>,
    /// The next place in the queue.
    next_sequence: u64,
}

/// The token of a request, and the parameters that must match when the request is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    /// The token.
    pub token: String,
    /// The action and its parameters in sorted order, without ClientToken and DryRun.
    pub request: String,
}

impl ClientToken {
    /// A token, with the text of its request.
    ///
    /// # Errors
    /// [`ApiError`] for a token that is empty, too long or not ASCII.
    pub fn new(token: &str, request: String) -> Result<Self, ApiError> {
        if token.is_empty() || token.len() > MAX_TOKEN_LEN || !token.is_ascii() {
            return Err(ApiError::invalid_value("ClientToken", token, "1 to 64 ASCII characters"));
        }
        Ok(Self { token: token.to_owned(), request })
    }
}

impl TokenRecord {
    /// Whether the token was used for this request.
    fn is_of_request(&self, request: &str) -> bool {
        self.request == digest(request) || self.request == request
    }

    /// Whether the token may be used for another request.
    const fn is_expired(&self, now_s: u64) -> bool {
        match self.gone_s {
            Some(gone_s) => now_s >= gone_s.saturating_add(RETENTION_S),
            None => false,
        }
    }
}

impl TokenStore {
    /// The account and the text of every token.
    pub(super) fn keys(&self) -> impl Iterator<Item = TokenKey> {
        self.tokens.keys().cloned()
    }

    /// The record of the same request, if it was executed before and is still kept.
    pub(super) fn known(
        &self,
        caller: &Caller<'_>,
        client_token: Option<&ClientToken>,
    ) -> Result<Option<&TokenRecord>, ApiError> {
        let Some(client_token) = client_token else { return Ok(None) };
        let key = (Arc::from(caller.owner), client_token.token.clone());
        match self.tokens.get(&key).filter(|token| !token.is_expired(caller.now_s)) {
            None => Ok(None),
            Some(token) if token.is_of_request(&client_token.request) => Ok(Some(token)),
            Some(_) => {
                let message = format!(
                    "The client token '{}' was used for a request with other parameters.",
                    client_token.token
                );
                Err(ApiError::new("IdempotentParameterMismatch", message))
            }
        }
    }

    /// Stores the resource that a request created.
    pub(super) fn record_token(&mut self, owner: &Arc<str>, client_token: ClientToken, id: &str) {
        let ClientToken { token, request } = client_token;
        let key = (Arc::clone(owner), token);
        let request = digest(&request);
        // The same token may have been used for a resource that was deleted more than a day ago.
        let token = TokenRecord { request, id: id.to_owned(), gone_s: None, sequence: 0 };
        self.replace(key, Some(token));
    }

    /// Removes tokens of deleted resources: those that have expired, and the earliest ones beyond
    /// `limit`. Returns the removed tokens.
    pub(super) fn expire(&mut self, now_s: u64, limit: usize) -> Vec<TokenKey> {
        let mut expired = Vec::new();
        while let Some((&(gone_s, _), _)) = self.deleted.first_key_value() {
            let is_expired = now_s >= gone_s.saturating_add(RETENTION_S);
            if !is_expired && self.deleted.len() <= limit {
                break;
            }
            if let Some((_, key)) = self.deleted.pop_first() {
                self.tokens.remove(&key);
                expired.push(key);
            }
        }
        expired
    }

    /// The token of the request that created a resource.
    pub(super) fn key_of_resource(&self, id: &str) -> Option<&TokenKey> {
        self.by_resource.get(id)
    }

    /// Marks the token of a deleted resource.
    pub(super) fn mark_deleted(&mut self, id: &str, now_s: u64) {
        if let Some(key) = self.by_resource.remove(id) {
            self.enqueue_deleted(&key, now_s);
        }
    }

    /// Replaces the record of a token, or removes it.
    pub(super) fn replace(&mut self, key: TokenKey, record: Option<TokenRecord>) {
        if let Some(known) = self.tokens.remove(&key) {
            match known.gone_s {
                Some(gone_s) => drop(self.deleted.remove(&(gone_s, known.sequence))),
                None => drop(self.by_resource.remove(&known.id)),
            }
        }
        if let Some(record) = record {
            self.insert(key, record);
        }
    }

    fn enqueue_deleted(&mut self, key: &TokenKey, gone_s: u64) {
        let Some(token) = self.tokens.get_mut(key) else { return };
        (token.gone_s, token.sequence) = (Some(gone_s), self.next_sequence);
        self.deleted.insert((gone_s, self.next_sequence), key.clone());
        self.next_sequence += 1;
    }

    /// The record of a token, to persist it.
    pub(super) fn record(&self, owner: &Arc<str>, token: &str) -> Option<&TokenRecord> {
        self.tokens.get(&(Arc::clone(owner), token.to_owned()))
    }

    /// Adds a token of an earlier run.
    pub(super) fn restore(&mut self, owner: &str, token: &str, known: TokenRecord) {
        self.insert((Arc::from(owner), token.to_owned()), known);
    }

    fn insert(&mut self, key: TokenKey, record: TokenRecord) {
        let (id, gone_s) = (record.id.clone(), record.gone_s);
        self.tokens.insert(key.clone(), record);
        match gone_s {
            Some(gone_s) => self.enqueue_deleted(&key, gone_s),
            None => drop(self.by_resource.insert(id, key)),
        }
    }
}

/// The hash of the parameters of a request, which has a fixed length.
fn digest(request: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(request))
}

#[cfg(test)]
mod tests;
