//! The account that the endpoint's writer and the supervisor's thread share.

use std::sync::{Arc, RwLock};

use crate::control::account::{Account, InactiveTarget};
use crate::runtime::event::{Event, EventSink};

/// The account of the endpoint. The endpoint's writer and the supervisor's thread change it.
pub(super) type SharedAccount = Arc<RwLock<Account>>;

/// Reports the sessions that are inactive because of their targets.
pub(super) fn report_inactive(inactive: &[InactiveTarget], events: &EventSink) {
    for InactiveTarget { target, sessions, why } in inactive {
        events.send(Event::TargetInactive {
            target: target.to_string(),
            reason: why.to_string(),
            sessions: sessions.iter().map(ToString::to_string).collect(),
        });
    }
}
