//! Random numbers and time of a laboratory, which a test can determine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::io::clock::unix_seconds;
use crate::io::random::system_bits;

/// Random numbers: from the system, or computed from a seed.
#[derive(Debug, Default)]
pub(super) struct Randomness(Mutex<Option<Seeded>>);

/// The numbers of a seed: hashes of the seed and a counter.
#[derive(Debug, Clone, Copy)]
struct Seeded {
    seed: u64,
    drawn: u64,
}

impl Randomness {
    /// Starts the sequence of a seed; without a seed the system is the source.
    pub(super) fn restart(&self, seed: Option<u64>) {
        let seeded = seed.map(|seed| Seeded { seed, drawn: 0 });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seeded;
    }

    /// The seed; 0 if the system is the source.
    pub(super) fn seed(&self) -> u64 {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.map_or(0, |seeded| seeded.seed)
    }

    /// The next number.
    pub(super) fn draw(&self) -> u128 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Seeded { seed, drawn }) = &mut *state else { return system_bits() };
        *drawn += 1;
        let hash = Sha256::new().chain_update(seed.to_be_bytes());
        let hash = hash.chain_update(drawn.to_be_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
        u128::from_be_bytes(bytes)
    }
}

/// The time: that of the system, or one that a test has set.
#[derive(Debug, Default)]
pub(super) struct LabClock(AtomicU64);

impl LabClock {
    /// Stops the clock at a time in seconds since 1970; `None` returns to the time of the system.
    pub(super) fn set(&self, now_s: Option<u64>) {
        self.0.store(now_s.map_or(0, |now_s| now_s.saturating_add(1)), Ordering::Relaxed);
    }

    /// The time in seconds since 1970.
    pub(super) fn now_s(&self) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => unix_seconds(),
            set => set - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_all_numbers() {
        let draw = |seed| {
            let randomness = Randomness::default();
            randomness.restart(seed);
            [(); 3].map(|()| randomness.draw())
        };
        assert_eq!(draw(Some(7)), draw(Some(7)));
        assert_ne!(draw(Some(7)), draw(Some(8)));
        assert_ne!(draw(None), draw(None));
        let [one, two, three] = draw(Some(7));
        assert!(one != two && two != three);
    }

    #[test]
    fn the_clock_stands_still_where_it_was_set() {
        let clock = LabClock::default();
        clock.set(Some(0));
        assert_eq!(clock.now_s(), 0);
        clock.set(Some(1_700_000_000));
        assert_eq!(clock.now_s(), 1_700_000_000);
        clock.set(None);
        assert!(clock.now_s() > 1_700_000_000);
    }
}
