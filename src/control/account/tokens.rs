//! ClientTokens: the same request twice does its work once.

use std::collections::HashMap;
use std::sync::Arc;

use super::refused::Refused;

/// How long a token is remembered after its resource is gone.
const REMEMBERED_S: u64 = 24 * 60 * 60;

/// "Up to 64 ASCII characters" (EC2 user guide, "Ensuring idempotency").
const LONGEST: usize = 64;

/// What a token stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    /// The parameters of the request, but for the token and DryRun.
    request: Arc<str>,
    /// The id that came of it.
    id: String,
    /// When its resource went, in seconds since 1970.
    gone_s: Option<u64>,
}

/// All tokens, by account and token.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    tokens: HashMap<(Arc<str>, String), Token>,
    /// The token that made a resource.
    of: HashMap<String, (Arc<str>, String)>,
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

impl Tokens {
    /// The id that came of the same request before.
    pub(super) fn known(&self, owner: &str, once: Option<&Once>) -> Result<Option<&str>, Refused> {
        let Some(once) = once else { return Ok(None) };
        let key = (Arc::from(owner), once.token.clone());
        match self.tokens.get(&key) {
            None => Ok(None),
            Some(token) if *token.request == *once.request => Ok(Some(&token.id)),
            Some(_) => {
                let message = format!(
                    "The client token '{}' was used for a request with other parameters.",
                    once.token
                );
                Err(Refused::new("IdempotentParameterMismatch", message))
            }
        }
    }

    /// Remembers what came of a request, and forgets what is long gone.
    pub(super) fn remember(&mut self, owner: &Arc<str>, once: Option<Once>, id: &str, now_s: u64) {
        let Some(Once { token, request }) = once else { return };
        let is_kept = |one: &Token| one.gone_s.is_none_or(|gone| now_s < gone + REMEMBERED_S);
        // Only what is gone is looked at, which is little.
        if self.tokens.len() > 2 * self.of.len() + 1024 {
            self.tokens.retain(|_, token| is_kept(token));
        }
        let key = (Arc::clone(owner), token);
        self.of.insert(id.to_owned(), key.clone());
        let token = Token { request: Arc::from(request), id: id.to_owned(), gone_s: None };
        self.tokens.insert(key, token);
    }

    /// A resource went.
    pub(super) fn is_gone(&mut self, id: &str, now_s: u64) {
        let Some(key) = self.of.remove(id) else { return };
        if let Some(token) = self.tokens.get_mut(&key) {
            token.gone_s = Some(now_s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(token: &str, request: &str) -> Once {
        Once::new(token, request.to_owned()).unwrap()
    }

    #[test]
    fn the_same_request_is_known_again_and_another_is_refused() {
        let mut tokens = Tokens::default();
        let owner: Arc<str> = Arc::from("000000000000");
        assert_eq!(tokens.known(&owner, Some(&once("t", "a"))), Ok(None));
        tokens.remember(&owner, Some(once("t", "a")), "tmf-1", 5);
        assert_eq!(tokens.known(&owner, Some(&once("t", "a"))), Ok(Some("tmf-1")));
        assert_eq!(tokens.known("1", Some(&once("t", "a"))), Ok(None));
        let refused = tokens.known(&owner, Some(&once("t", "b"))).unwrap_err();
        assert_eq!(refused.code, "IdempotentParameterMismatch");
        tokens.is_gone("tmf-1", 10);
        assert!(tokens.known(&owner, Some(&once("t", "a"))).unwrap().is_some());
    }

    #[test]
    fn tokens_have_a_length() {
        assert!(Once::new(&"t".repeat(64), String::new()).is_ok());
        for wrong in ["", &"t".repeat(65), "\u{e9}"] {
            assert!(Once::new(wrong, String::new()).is_err(), "{wrong}");
        }
    }
}
