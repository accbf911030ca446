//! The account that the endpoint's writer and the supervisor's thread share.

use std::sync::{Arc, RwLock};

use crate::control::account::{Account, InactiveTarget};
use crate::io::clock::unix_seconds;
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

/// Random bits from the kernel for new IDs. If the kernel has none, which happens only while a host
/// boots, the bits are computed from the time; the account rejects an ID that exists already.
pub(super) fn random() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_ne_bytes(bytes),
        Err(_) => {
            u128::from(unix_seconds()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        }
    }
}
