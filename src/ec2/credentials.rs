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
        // Only the message: the full error quotes the line, which may contain a secret.
        let file: CredentialsFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = text.bytes().take(span.start);
                1 + before.filter(|byte| *byte == b'\n').count()
            });
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", error.message())
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
                errors.push(format!(
                    "access_key_id `{id}`: expected each key once, but it is given twice"
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
        let id = &self.access_key_id;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if id.is_empty() || id.len() > 128 || !id.bytes().all(is_word) {
            errors.push(format!(
                "access_key_id `{id}`: expected 1 to 128 letters, digits and underscores"
            ));
        }
        if self.secret_access_key.is_empty() {
            errors.push(format!("secret_access_key of `{id}`: expected a non-empty string"));
        }
        if self.session_token.as_deref() == Some("") {
            errors.push(format!("session_token of `{id}`: expected a non-empty string"));
        }
        let account = &self.account_id;
        if !is_account_id(account) {
            errors.push(format!("account_id `{account}` of `{id}`: expected twelve digits"));
        }
        errors
    }

    fn into_credential(self) -> Credential {
        let Self { secret_access_key: secret, session_token, account_id, .. } = self;
        Credential { secret, session_token, account_id }
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
    fn errors_name_the_invalid_field_and_never_the_secret() {
        for (text, sentence) in [
            (String::new(), "at least one"),
            (KEY.replace("111122223333", "1"), "account_id `1`"),
            (KEY.replace("AKIDEXAMPLE", "a b"), "access_key_id `a b`"),
            (KEY.replace("SECRETEXAMPLE", ""), "secret_access_key of `AKIDEXAMPLE`"),
            (KEY.replace("account_id", "owner"), "line 5"),
            (KEY.replace("SECRETEXAMPLE\"", "SECRETEXAMPLE"), "line 4"),
            (KEY.repeat(2), "twice"),
        ] {
            let error = Credentials::parse(&text).unwrap_err();
            assert!(error.contains(sentence) && !error.contains("SECRETEX"), "{error}");
        }
    }
}
