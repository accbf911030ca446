//! ClientTokens: the same request twice does its work once.
//!
//! The token of a resource is kept as long as the resource. That of a deleted one is kept for a day,
//! and at most [`MOST_GONE`] of these: tokens of deleted resources stand in a queue by the time of
//! the deletion, so the one that expires next, or has to go first, is found without a search.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::filters::no_such;
use super::records::Key;
use super::refused::Refused;
use super::{Account, Caller};

/// How long a token is remembered after its resource is gone.
const REMEMBERED_S: u64 = 24 * 60 * 60;

/// How many tokens of deleted resources are remembered. A client that repeats a request does so
/// within minutes; at 10 deletions/s these are those of the last 27 minutes.
const MOST_GONE: usize = 16_384;

/// "Up to 64 ASCII characters" (EC2 user guide, "Ensuring idempotency").
const LONGEST: usize = 64;

/// What a token stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// A hash of the parameters of the request without token and DryRun. In files of earlier
    /// versions: the parameters themselves.
    request: String,
    /// The id of the resource that was made.
    id: String,
    /// When its resource was deleted, in seconds since 1970.
    gone_s: Option<u64>,
    /// Its place in the queue of those whose resources were deleted in the same second.
    #[serde(skip)]
    place: u64,
}

/// An account and its token.
type TokenKey = (Arc<str>, String);

/// All tokens, by account and token.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    tokens: HashMap<TokenKey, Token>,
    /// The token that made a resource.
    of: HashMap<String, TokenKey>,
    /// Tokens of deleted resources, the earliest deletion first.
    gone: BTreeMap<(u64, u64), TokenKey>,
    /// The next place in the queue.
    next: u64,
}

/// A request that may be one of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What the client calls it.
    pub token: String,
    /// The action and its parameters, but for the token and DryRun, in an order.
    pub request: String,
}

impl Once {
    /// # Errors
    /// [`Refused`] for a token that is too long or not ASCII.
    pub fn new(token: &str, request: String) -> Result<Self, Refused> {
        if token.is_empty() || token.len() > LONGEST || !token.is_ascii() {
            return Err(Refused::value("ClientToken", token, "1 to 64 ASCII characters"));
        }
        Ok(Self { token: token.to_owned(), request })
    }
}

impl Token {
    /// Whether it is of that request.
    fn is_of(&self, request: &str) -> bool {
        self.request == digest(request) || self.request == request
    }

    /// Whether it may be used for something else again.
    const fn is_over(&self, now_s: u64) -> bool {
        match self.gone_s {
            Some(gone_s) => now_s >= gone_s.saturating_add(REMEMBERED_S),
            None => false,
        }
    }
}

impl Tokens {
    /// What came of the same request before, where that is still remembered.
    fn known(&self, caller: &Caller<'_>, once: Option<&Once>) -> Result<Option<&Token>, Refused> {
        let Some(once) = once else { return Ok(None) };
        let key = (Arc::from(caller.owner), once.token.clone());
        match self.tokens.get(&key).filter(|token| !token.is_over(caller.now_s)) {
            None => Ok(None),
            Some(token) if token.is_of(&once.request) => Ok(Some(token)),
            Some(_) => {
                let message = format!(
                    "The client token '{}' was used for a request with other parameters.",
                    once.token
                );
                Err(Refused::new("IdempotentParameterMismatch", message))
            }
        }
    }

    /// Remembers what came of a request.
    fn remember(&mut self, owner: &Arc<str>, once: Once, id: &str) -> TokenKey {
        let Once { token, request } = once;
        let key = (Arc::clone(owner), token);
        let request = digest(&request);
        let token = Token { request, id: id.to_owned(), gone_s: None, place: 0 };
        self.of.insert(id.to_owned(), key.clone());
        // The same token may have been used for a resource that was deleted more than a day ago.
        if let Some(Token { gone_s: Some(gone_s), place, .. }) =
            self.tokens.insert(key.clone(), token)
        {
            self.gone.remove(&(gone_s, place));
        }
        key
    }

    /// Forgets tokens of deleted resources: those that have expired, and the earliest ones beyond
    /// `most`. Gives those that were forgotten.
    fn forget(&mut self, now_s: u64, most: usize) -> Vec<TokenKey> {
        let mut forgotten = Vec::new();
        while let Some((&(gone_s, _), _)) = self.gone.first_key_value() {
            let is_over = now_s >= gone_s.saturating_add(REMEMBERED_S);
            if !is_over && self.gone.len() <= most {
                break;
            }
            if let Some((_, key)) = self.gone.pop_first() {
                self.tokens.remove(&key);
                forgotten.push(key);
            }
        }
        forgotten
    }

    /// A resource was deleted; the token that made it.
    fn is_gone(&mut self, id: &str, now_s: u64) -> Option<TokenKey> {
        let key = self.of.remove(id)?;
        self.enqueue(&key, now_s);
        Some(key)
    }

    /// Forgets the request that made a resource; its token.
    pub(super) fn forget_request_of(&mut self, id: &str) -> Option<TokenKey> {
        let key = self.of.remove(id)?;
        self.tokens.remove(&key);
        Some(key)
    }

    fn enqueue(&mut self, key: &TokenKey, gone_s: u64) {
        let Some(token) = self.tokens.get_mut(key) else { return };
        (token.gone_s, token.place) = (Some(gone_s), self.next);
        self.gone.insert((gone_s, self.next), key.clone());
        self.next += 1;
    }

    /// What a token stands for, to be written.
    pub(super) fn record(&self, owner: &Arc<str>, token: &str) -> Option<&Token> {
        self.tokens.get(&(Arc::clone(owner), token.to_owned()))
    }

    /// Takes in what was written.
    pub(super) fn restore(&mut self, owner: &str, token: &str, known: Token) {
        let key = (Arc::from(owner), token.to_owned());
        let (id, gone_s) = (known.id.clone(), known.gone_s);
        self.tokens.insert(key.clone(), known);
        match gone_s {
            Some(gone_s) => self.enqueue(&key, gone_s),
            None => drop(self.of.insert(id, key)),
        }
    }
}

/// Parameters of a request are as long as the client likes; their hash is not.
fn digest(request: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(request))
}

impl Account {
    /// The id that came of the same request before; `kind` and `prefix` as of [`no_such`].
    ///
    /// # Errors
    /// [`Refused`] for a token of another request, where what came of it is gone, and for a dry
    /// run, which this would be as well.
    pub(super) fn repeated(
        &self,
        caller: &Caller<'_>,
        once: Option<&Once>,
        (kind, prefix): (&str, &str),
    ) -> Result<Option<&str>, Refused> {
        let Some(token) = self.tokens.known(caller, once)? else { return Ok(None) };
        if token.gone_s.is_some() {
            return Err(no_such(kind, prefix, &token.id));
        }
        caller.may_change()?;
        Ok(Some(&token.id))
    }

    /// Remembers what came of a request that has a token.
    pub(super) fn remember(
        &mut self,
        caller_s: u64,
        owner: &Arc<str>,
        once: Option<Once>,
        id: &str,
    ) {
        if let Some(once) = once {
            let (owner, token) = self.tokens.remember(owner, once, id);
            self.mark(Key::Token(owner, token));
        }
        self.forget_tokens(caller_s);
    }

    fn forget_tokens(&mut self, now_s: u64) {
        for (owner, token) in self.tokens.forget(now_s, MOST_GONE) {
            self.mark(Key::Token(owner, token));
        }
    }

    /// A resource was deleted; its token is remembered for a day.
    pub(super) fn outlive(&mut self, id: &str, now_s: u64) {
        if let Some((owner, token)) = self.tokens.is_gone(id, now_s) {
            self.mark(Key::Token(owner, token));
        }
        self.forget_tokens(now_s);
    }
}

#[cfg(test)]
mod tests;
