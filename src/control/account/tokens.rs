//! ClientTokens: the same request twice does its work once.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::filters::no_such;
use super::records::Key;
use super::refused::Refused;
use super::{Account, Caller};

/// How long a token is remembered after its resource is gone.
const REMEMBERED_S: u64 = 24 * 60 * 60;

/// "Up to 64 ASCII characters" (EC2 user guide, "Ensuring idempotency").
const LONGEST: usize = 64;

/// What a token stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// The parameters of the request, but for the token and DryRun.
    request: String,
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

impl Token {
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
            Some(token) if token.request == once.request => Ok(Some(token)),
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
    fn remember(&mut self, owner: &Arc<str>, once: Once, id: &str) -> (Arc<str>, String) {
        let Once { token, request } = once;
        let key = (Arc::clone(owner), token);
        self.of.insert(id.to_owned(), key.clone());
        self.tokens.insert(key.clone(), Token { request, id: id.to_owned(), gone_s: None });
        key
    }

    /// Forgets what is long gone, now and then: those that were forgotten.
    fn forget(&mut self, now_s: u64) -> Vec<(Arc<str>, String)> {
        if self.tokens.len() < 2 * self.of.len() + 1024 {
            return Vec::new();
        }
        let over = self.tokens.iter().filter(|(_, token)| token.is_over(now_s));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.tokens.remove(key);
        }
        over
    }

    /// A resource went; the token that made it.
    fn is_gone(&mut self, id: &str, now_s: u64) -> Option<(Arc<str>, String)> {
        let key = self.of.remove(id)?;
        self.tokens.get_mut(&key)?.gone_s = Some(now_s);
        Some(key)
    }

    /// Forgets the request that made a resource; its token.
    pub(super) fn forget_request_of(&mut self, id: &str) -> Option<(Arc<str>, String)> {
        let key = self.of.remove(id)?;
        self.tokens.remove(&key);
        Some(key)
    }

    /// What a token stands for, to be written.
    pub(super) fn record(&self, owner: &Arc<str>, token: &str) -> Option<&Token> {
        self.tokens.get(&(Arc::clone(owner), token.to_owned()))
    }

    /// Takes in what was written.
    pub(super) fn restore(&mut self, owner: &str, token: &str, known: Token) {
        let key = (Arc::from(owner), token.to_owned());
        if known.gone_s.is_none() {
            self.of.insert(known.id.clone(), key.clone());
        }
        self.tokens.insert(key, known);
    }
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
        for (owner, token) in self.tokens.forget(caller_s) {
            self.mark(Key::Token(owner, token));
        }
        if let Some(once) = once {
            let (owner, token) = self.tokens.remember(owner, once, id);
            self.mark(Key::Token(owner, token));
        }
    }

    /// A resource went; its token is remembered for a day.
    pub(super) fn outlive(&mut self, id: &str, now_s: u64) {
        if let Some((owner, token)) = self.tokens.is_gone(id, now_s) {
            self.mark(Key::Token(owner, token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Registry;
    use crate::control::account::{CreateFilter, Places, Quotas};

    fn once(token: &str, request: &str) -> Once {
        Once::new(token, request.to_owned()).unwrap()
    }

    fn account() -> Account {
        let mut drawn = 0;
        let draw = move || {
            drawn += 1;
            drawn
        };
        Account::new(Registry::default(), Quotas::default(), Places::default(), draw)
    }

    fn create(account: &mut Account, caller: Caller<'_>, request: &str) -> Result<String, Refused> {
        let once = Some(once("t", request));
        let id = account.create_filter(&caller, CreateFilter { once, ..Default::default() })?;
        Ok(id.to_string())
    }

    const CALLER: Caller<'_> = Caller { owner: "000000000000", is_dry_run: false, now_s: 10 };

    #[test]
    fn the_same_request_is_known_again_and_another_is_refused() {
        let mut account = account();
        let first = create(&mut account, CALLER, "a").unwrap();
        assert_eq!(create(&mut account, CALLER, "a").unwrap(), first);
        let other = Caller { owner: "111111111111", ..CALLER };
        assert_ne!(create(&mut account, other, "a").unwrap(), first);
        let refused = create(&mut account, CALLER, "b").unwrap_err();
        assert_eq!(refused.code, "IdempotentParameterMismatch");
    }

    #[test]
    fn a_dry_run_of_a_request_that_was_made_is_still_one() {
        let mut account = account();
        create(&mut account, CALLER, "a").unwrap();
        let dry = Caller { is_dry_run: true, ..CALLER };
        assert_eq!(create(&mut account, dry, "a").unwrap_err().code, "DryRunOperation");
    }

    #[test]
    fn a_token_of_what_is_gone_names_it_for_a_day() {
        let mut account = account();
        let first = create(&mut account, CALLER, "a").unwrap();
        account.delete_filter(&CALLER, &first).unwrap();
        let at = |now_s| Caller { now_s, ..CALLER };
        let refused = create(&mut account, at(10 + REMEMBERED_S - 1), "a").unwrap_err();
        assert_eq!(refused.code, "InvalidTrafficMirrorFilterId.NotFound");
        assert!(refused.message.contains(&first), "{refused}");
        assert_ne!(create(&mut account, at(10 + REMEMBERED_S), "b").unwrap(), first);
    }

    #[test]
    fn tokens_have_a_length() {
        assert!(Once::new(&"t".repeat(64), String::new()).is_ok());
        for wrong in ["", &"t".repeat(65), "\u{e9}"] {
            assert!(Once::new(wrong, String::new()).is_err(), "{wrong}");
        }
    }
}
