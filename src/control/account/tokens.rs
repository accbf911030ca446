//! Idempotent requests: a repeated request with the same client token creates no second resource.

use std::sync::Arc;

use super::api_error::{ApiError, not_found};
use super::record_key::RecordKey;
use super::token_store::{ClientToken, MAX_DELETED_TOKENS};
use super::{Account, Caller, CreatedResource};
use crate::model::SessionId;

impl Account {
    /// The id of the resource that the same request created before. `kind` and `prefix` are those
    /// of [`not_found`].
    ///
    /// # Errors
    /// [`ApiError`] if the token was used for another request, if the resource was deleted, and for
    /// a dry run.
    pub(super) fn find_repeated(
        &mut self,
        caller: &Caller<'_>,
        client_token: Option<&ClientToken>,
        (kind, prefix): (&str, &str),
    ) -> Result<Option<String>, ApiError> {
        let Some(token) = self.tokens.known(caller, client_token)? else { return Ok(None) };
        if token.gone_s.is_some() {
            return Err(not_found(kind, prefix, &token.id));
        }
        caller.check_not_dry_run()?;
        let id = token.id.clone();
        let is_session = prefix == SessionId::PREFIX;
        self.created = Some(CreatedResource { id: id.clone(), is_session, is_repeated: true });
        Ok(Some(id))
    }

    /// Stores the token of a request, if it has one, with the resource that the request created.
    pub(super) fn record_token(
        &mut self,
        now_s: u64,
        owner: &Arc<str>,
        client_token: Option<ClientToken>,
        id: &str,
    ) {
        if let Some(client_token) = client_token {
            self.mark_changed(RecordKey::Token(Arc::clone(owner), client_token.token.clone()));
            self.tokens.record_token(owner, client_token, id);
        }
        self.expire_tokens(now_s);
    }

    fn expire_tokens(&mut self, now_s: u64) {
        for key in self.tokens.expire(now_s, MAX_DELETED_TOKENS) {
            self.mark_token_expired(key);
        }
    }

    /// Marks the token of a deleted resource, which is kept for a day.
    pub(super) fn keep_token_of_deleted(&mut self, id: &str, now_s: u64) {
        if let Some((owner, token)) = self.tokens.key_of_resource(id).cloned() {
            self.mark_changed(RecordKey::Token(owner, token));
            self.tokens.mark_deleted(id, now_s);
        }
        self.expire_tokens(now_s);
    }
}
