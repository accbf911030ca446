//! Checks of ids, and the name of a session in error messages.

use std::collections::HashMap;
use std::hash::Hash;

use crate::model::{InvalidValue, Session};

/// Checks that an id is not in `known`. `field` and `kind` are for the error message.
pub(super) fn check_unique<K: Hash + Eq + ToString>(
    field: &'static str,
    id: &K,
    known: &HashMap<K, usize>,
    kind: &str,
) -> Result<(), InvalidValue> {
    if !known.contains_key(id) {
        return Ok(());
    }
    let expected = format!("an id that no other {kind} has");
    Err(InvalidValue::new(field, id.to_string(), expected))
}

/// The id of a session, or its number and interface if it has none.
pub(super) fn describe_session(session: &Session) -> String {
    match &session.id {
        Some(id) => format!("session `{id}`"),
        None => format!("session {} of `{}`", session.number, session.network_interface_id),
    }
}
