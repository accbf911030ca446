//! Access control: access keys, their secrets, and the accounts that they act for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::control::account::{DEFAULT_OWNER, is_account_id};

/// Whose requests are accepted.
#[derive(Debug)]
pub enum Access {
    /// Requests signed with one of these keys. Each acts for the account of its key.
    Keys(Credentials),
    /// Requests with any signature. All act for this account.
    Anyone(Arc<str>),
}

impl Default for Access {
    fn default() -> Self {
        Self::Anyone(Arc::from(DEFAULT_OWNER))
    }
}

/// The known access keys. Their debug output contains no secrets.
#[derive(Default)]
pub struct Credentials {
    by_id: HashMap<String, Credential>,
}

/// The secret and account of an access key id.
pub(super) struct Credential {
    pub(super) secret: String,
    /// The session token of a temporary key, which requests must contain.
    pub(super) session_token: Option<String>,
    /// The account that owns resources created with the key.
    pub(super) account_id: String,
}

/// The maximum length of an id in messages, in characters.
const MAX_SHOWN_CHARS: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFile {
    #[serde(default)]
    credential: Vec<CredentialEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialEntry {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    account_id: String,
}

impl Credentials {
    /// Reads keys from TOML: `[[credential]]` with `access_key_id`, `secret_access_key`,
    /// `account_id` (twelve digits) and, for a temporary key, `session_token`.
    ///
    /// # Errors
    /// One line for each error. None contains a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: CredentialsFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = text.bytes().take(span.start);
                1 + before.filter(|byte| *byte == b'\n').count()
            });
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", message_without_values(error.message()))
        })?;
        let mut errors = Vec::new();
        if file.credential.is_empty() {
            errors.push("expected at least one [[credential]]".to_owned());
        }
        let mut by_id = HashMap::new();
        for entry in file.credential {
            errors.extend(entry.errors());
            let id = entry.access_key_id.clone();
            if by_id.insert(id.clone(), entry.into_credential()).is_some() {
                let id = shown(&id);
                errors.push(format!(
                    "access_key_id {id}: expected each key once, but it is given twice"
                ));
            }
        }
        if errors.is_empty() { Ok(Self { by_id }) } else { Err(errors.join("\n")) }
    }

    /// One key, which acts for an account.
    #[must_use]
    pub fn one(access_key_id: &str, secret: &str, account_id: &str) -> Self {
        let (secret, account_id) = (secret.to_owned(), account_id.to_owned());
        let key = Credential { secret, session_token: None, account_id };
        Self { by_id: HashMap::from([(access_key_id.to_owned(), key)]) }
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are no keys, so that no request is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn get(&self, access_key_id: &str) -> Option<&Credential> {
        self.by_id.get(access_key_id)
    }
}

impl CredentialEntry {
    fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let (id, shown_id) = (&self.access_key_id, shown(&self.access_key_id));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if id.is_empty() || id.len() > 128 || !id.bytes().all(is_word) {
            errors.push(format!(
                "access_key_id {shown_id}: expected 1 to 128 letters, digits and underscores"
            ));
        }
        if self.secret_access_key.is_empty() {
            errors.push(format!("secret_access_key of {shown_id}: expected a non-empty string"));
        }
        if self.session_token.as_deref() == Some("") {
            errors.push(format!("session_token of {shown_id}: expected a non-empty string"));
        }
        let account = &self.account_id;
        if !is_account_id(account) {
            let account = shown(account);
            errors.push(format!("account_id {account} of {shown_id}: expected twelve digits"));
        }
        errors
    }

    fn into_credential(self) -> Credential {
        let Self { secret_access_key: secret, session_token, account_id, .. } = self;
        Credential { secret, session_token, account_id }
    }
}

/// The message of a TOML error, if it contains only names of fields. Others may quote a part of the
/// file, which may be a secret.
fn message_without_values(message: &str) -> &str {
    match message.starts_with("missing field") {
        true => message,
        false => {
            "expected [[credential]] with access_key_id, secret_access_key, account_id and, for a \
             temporary key, session_token, each a string in quotes"
        }
    }
}

/// An id for messages. A longer text may be a secret in the wrong field: secrets of AWS have 40
/// characters, ids of access keys 20.
fn shown(id: &str) -> String {
    match id.chars().count() {
        0..=MAX_SHOWN_CHARS => format!("`{id}`"),
        count => format!("({count} characters)"),
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_id.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"
        [[credential]]
        access_key_id = "AKIDEXAMPLE"
        secret_access_key = "SECRETEXAMPLE"
        account_id = "111122223333"
    "#;

    #[test]
    fn credentials_are_parsed() {
        let credentials = Credentials::parse(KEY).unwrap();
        let key = credentials.get("AKIDEXAMPLE").unwrap();
        assert_eq!((&*key.secret, &*key.account_id), ("SECRETEXAMPLE", "111122223333"));
        assert!(!format!("{credentials:?}").contains("SECRET"));
    }

    #[test]
    fn errors_contain_no_part_of_a_secret() {
        let quoted = "\"SECRETEXAMPLE\"";
        let long = "0123456789abcdefghij0123456789/bcdefghij";
        for (text, secret) in [
            (KEY.replace(quoted, "73950112"), "7395"),
            (KEY.replace(quoted, "7395.0112"), "7395"),
            (KEY.replace(quoted, "2026-11-30"), "2026"),
            (KEY.replace(quoted, "[\"SECRET\"]"), "SECRET"),
            (KEY.replace(quoted, "SECRET"), "SECRET"),
            (KEY.replace(quoted, "SECRET = \"x\""), "SECRET"),
            (KEY.replace("secret_access_key =", "secret_access_key"), "SECRET"),
            (KEY.replace("secret_access_key", "secret_access_key\nSECRET"), "SECRET"),
            (KEY.replace("secret_access_key = ", ""), "SECRET"),
            (KEY.replace("AKIDEXAMPLE", long), "0123456789"),
            (KEY.replace("111122223333", long), "0123456789"),
        ] {
            let error = Credentials::parse(&text).unwrap_err();
            assert!(!error.contains(secret), "{text}: {error}");
        }
    }

    #[test]
    fn errors_name_the_invalid_field_and_never_the_secret() {
        for (text, sentence) in [
            (String::new(), "at least one"),
            (KEY.replace("111122223333", "1"), "account_id `1`"),
            (KEY.replace("AKIDEXAMPLE", "a b"), "access_key_id `a b`"),
            (KEY.replace("SECRETEXAMPLE", ""), "secret_access_key of `AKIDEXAMPLE`"),
            (KEY.replace("account_id", "owner"), "line 5"),
            (KEY.replace("SECRETEXAMPLE\"", "SECRETEXAMPLE"), "line 4"),
            (KEY.repeat(2), "twice"),
            (KEY.replace("secret_access_key", "#"), "missing field `secret_access_key`"),
        ] {
            let error = Credentials::parse(&text).unwrap_err();
            assert!(error.contains(sentence) && !error.contains("SECRETEX"), "{error}");
        }
    }
}
