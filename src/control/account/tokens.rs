//! ClientTokens: the same request twice does its work once.
//!
//! The token of a resource is kept as long as the resource. That of a deleted one is kept for a day,
//! and at most [`MAX_DELETED_TOKENS`] of these: tokens of deleted resources stand in a queue by
//! the time of the deletion, so the one that expires next, or has to go first, is found without a
//! search.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::api_error::{ApiError, not_found};
use super::records::RecordKey;
use super::{Account, Caller};

/// How long a token is remembered after its resource is gone.
const RETENTION_S: u64 = 24 * 60 * 60;

/// How many tokens of deleted resources are remembered. A client that repeats a request does so
/// within minutes; at 10 deletions/s these are those of the last 27 minutes.
const MAX_DELETED_TOKENS: usize = 16_384;

/// "Up to 64 ASCII characters" (EC2 user guide, "Ensuring idempotency").
const MAX_TOKEN_LEN: usize = 64;

/// What a token stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    /// A hash of the parameters of the request without token and DryRun. In files of earlier
    /// versions: the parameters themselves.
    request: String,
    /// The id of the resource that was made.
    id: String,
    /// When its resource was deleted, in seconds since 1970.
    gone_s: Option<u64>,
    /// Its place in the queue of those whose resources were deleted in the same second.
    #[serde(skip)]
    sequence: u64,
}

/// An account and its token.
type TokenKey = (Arc<str>, String);

/// All tokens, by account and token.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenStore {
    tokens: HashMap<TokenKey, TokenRecord>,
    /// The token that made a resource.
    by_resource: HashMap<String, TokenKey>,
    /// Tokens of deleted resources, the earliest deletion first.
    deleted: BTreeMap<(u64, u64), TokenKey>,
    /// The next place in the queue.
    next_sequence: u64,
}

/// A request that may be one of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    /// What the client calls it.
    pub token: String,
    /// The action and its parameters, but for the token and DryRun, in an order.
    pub request: String,
}

impl ClientToken {
    /// # Errors
    /// [`ApiError`] for a token that is too long or not ASCII.
    pub fn new(token: &str, request: String) -> Result<Self, ApiError> {
        if token.is_empty() || token.len() > MAX_TOKEN_LEN || !token.is_ascii() {
            return Err(ApiError::invalid_value("ClientToken", token, "1 to 64 ASCII characters"));
        }
        Ok(Self { token: token.to_owned(), request })
    }
}

impl TokenRecord {
    /// Whether it is of that request.
    fn is_of_request(&self, request: &str) -> bool {
        self.request == digest(request) || self.request == request
    }

    /// Whether it may be used for something else again.
    const fn is_expired(&self, now_s: u64) -> bool {
        match self.gone_s {
            Some(gone_s) => now_s >= gone_s.saturating_add(RETENTION_S),
            None => false,
        }
    }
}

impl TokenStore {
    /// What came of the same request before, where that is still remembered.
    fn known(
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

    /// Remembers what came of a request.
    fn record_token(&mut self, owner: &Arc<str>, client_token: ClientToken, id: &str) -> TokenKey {
        let ClientToken { token, request } = client_token;
        let key = (Arc::clone(owner), token);
        let request = digest(&request);
        let token = TokenRecord { request, id: id.to_owned(), gone_s: None, sequence: 0 };
        self.by_resource.insert(id.to_owned(), key.clone());
        // The same token may have been used for a resource that was deleted more than a day ago.
        if let Some(TokenRecord { gone_s: Some(gone_s), sequence, .. }) =
            self.tokens.insert(key.clone(), token)
        {
            self.deleted.remove(&(gone_s, sequence));
        }
        key
    }

    /// Forgets tokens of deleted resources: those that have expired, and the earliest ones beyond
    /// `most`. Gives those that were forgotten.
    fn expire(&mut self, now_s: u64, most: usize) -> Vec<TokenKey> {
        let mut expired = Vec::new();
        while let Some((&(gone_s, _), _)) = self.deleted.first_key_value() {
            let is_expired = now_s >= gone_s.saturating_add(RETENTION_S);
            if !is_expired && self.deleted.len() <= most {
                break;
            }
            if let Some((_, key)) = self.deleted.pop_first() {
                self.tokens.remove(&key);
                expired.push(key);
            }
        }
        expired
    }

    /// A resource was deleted; the token that made it.
    fn mark_deleted(&mut self, id: &str, now_s: u64) -> Option<TokenKey> {
        let key = self.by_resource.remove(id)?;
        self.enqueue_deleted(&key, now_s);
        Some(key)
    }

    /// Forgets the request that made a resource; its token.
    pub(super) fn remove_of_resource(&mut self, id: &str) -> Option<TokenKey> {
        let key = self.by_resource.remove(id)?;
        self.tokens.remove(&key);
        Some(key)
    }

    fn enqueue_deleted(&mut self, key: &TokenKey, gone_s: u64) {
        let Some(token) = self.tokens.get_mut(key) else { return };
        (token.gone_s, token.sequence) = (Some(gone_s), self.next_sequence);
        self.deleted.insert((gone_s, self.next_sequence), key.clone());
        self.next_sequence += 1;
    }

    /// What a token stands for, to be written.
    pub(super) fn record(&self, owner: &Arc<str>, token: &str) -> Option<&TokenRecord> {
        self.tokens.get(&(Arc::clone(owner), token.to_owned()))
    }

    /// Takes in what was written.
    pub(super) fn restore(&mut self, owner: &str, token: &str, known: TokenRecord) {
        let key = (Arc::from(owner), token.to_owned());
        let (id, gone_s) = (known.id.clone(), known.gone_s);
        self.tokens.insert(key.clone(), known);
        match gone_s {
            Some(gone_s) => self.enqueue_deleted(&key, gone_s),
            None => drop(self.by_resource.insert(id, key)),
        }
    }
}

/// Parameters of a request are as long as the client likes; their hash is not.
fn digest(request: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(request))
}

impl Account {
    /// The id that came of the same request before; `kind` and `prefix` as of [`not_found`].
    ///
    /// # Errors
    /// [`ApiError`] for a token of another request, where what came of it is gone, and for a dry
    /// run, which this would be as well.
    pub(super) fn find_repeated(
        &self,
        caller: &Caller<'_>,
        client_token: Option<&ClientToken>,
        (kind, prefix): (&str, &str),
    ) -> Result<Option<&str>, ApiError> {
        let Some(token) = self.tokens.known(caller, client_token)? else { return Ok(None) };
        if token.gone_s.is_some() {
            return Err(not_found(kind, prefix, &token.id));
        }
        caller.check_not_dry_run()?;
        Ok(Some(&token.id))
    }

    /// Remembers what came of a request that has a token.
    pub(super) fn record_token(
        &mut self,
        now_s: u64,
        owner: &Arc<str>,
        client_token: Option<ClientToken>,
        id: &str,
    ) {
        if let Some(client_token) = client_token {
            let (owner, token) = self.tokens.record_token(owner, client_token, id);
            self.mark_changed(RecordKey::Token(owner, token));
        }
        self.expire_tokens(now_s);
    }

    fn expire_tokens(&mut self, now_s: u64) {
        for (owner, token) in self.tokens.expire(now_s, MAX_DELETED_TOKENS) {
            self.mark_changed(RecordKey::Token(owner, token));
        }
    }

    /// A resource was deleted; its token is remembered for a day.
    pub(super) fn keep_token_of_deleted(&mut self, id: &str, now_s: u64) {
        if let Some((owner, token)) = self.tokens.mark_deleted(id, now_s) {
            self.mark_changed(RecordKey::Token(owner, token));
        }
        self.expire_tokens(now_s);
    }
}

#[cfg(test)]
mod tests;
