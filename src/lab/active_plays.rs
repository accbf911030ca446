//! The plays in progress, which a reset and the end of the laboratory stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::LabError;
use crate::io::StopFlag;

/// The largest number of plays at the same time. Each has a thread.
const MAX_PLAYS: usize = 64;

/// The plays in progress. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ActivePlays(Arc<Mutex<Plays>>);

#[derive(Debug, Default)]
struct Plays {
    stops: BTreeMap<u64, StopFlag>,
    next: u64,
}

/// A play in progress. It ends when this is dropped.
pub(super) struct ActivePlay {
    plays: ActivePlays,
    number: u64,
}

impl ActivePlays {
    /// Adds a play, which ends when the flag is set.
    pub(super) fn begin(&self, stop: &StopFlag) -> Result<ActivePlay, LabError> {
        let mut plays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plays.stops.len() >= MAX_PLAYS {
            let message = format!("{MAX_PLAYS} plays are in progress: expected fewer at one time");
            return Err(LabError::busy(message));
        }
        let number = plays.next;
        plays.next += 1;
        plays.stops.insert(number, stop.clone());
        Ok(ActivePlay { plays: self.clone(), number })
    }

    /// Stops all plays. They store no further copies.
    pub(super) fn stop_all(&self) {
        let plays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plays.stops.values().for_each(StopFlag::set);
    }
}

impl Drop for ActivePlay {
    fn drop(&mut self) {
        let mut plays = self.plays.0.lock().unwrap_or_else(PoisonError::into_inner);
        plays.stops.remove(&self.number);
    }
}
