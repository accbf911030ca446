//! The keys of records in a state store.

use std::sync::Arc;

use crate::model::{FilterId, FilterRuleId, NetworkInterfaceId, SessionId, TargetId};

/// The resource or client token of a record, ordered so that each resource comes after the
/// resources that it refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordKey {
    NetworkInterface(NetworkInterfaceId),
    Target(TargetId),
    Filter(FilterId),
    Rule(FilterRuleId),
    Session(SessionId),
    Token(Arc<str>, String),
}
