//! How many workers there are file descriptors for, so that metrics and health still answer.

use std::io;

use crate::io::live;
use crate::io::sys::resource;

/// What a worker needs at most: wake-up event, ring, wake-up socket, three sockets to send by.
const DESCRIPTORS_PER_WORKER: usize = 6;

/// What the process opens besides and after: listeners, signals, watches of links.
const OTHER_DESCRIPTORS: usize = 12;

/// How many workers there may be, and are.
#[derive(Debug)]
pub(super) struct DescriptorBudget {
    max_workers: usize,
    workers: usize,
}

impl DescriptorBudget {
    /// Raises the limit of the process as far as it may be raised.
    ///
    /// # Errors
    /// There are not enough descriptors for one worker.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let _ = resource::raise_open_file_limit();
        let spare = match live::Waker::new() {
            Ok(waker) => resource::spare_descriptors(&waker)?,
            Err(_) => 0,
        };
        if spare < Self::needed(1) {
            return Err(io::Error::other(format!(
                "too few file descriptors: {spare} are free, expected at least {}; raise the limit \
                 (`ulimit -n`)",
                Self::needed(1)
            )));
        }
        let max_workers = (spare - OTHER_DESCRIPTORS) / DESCRIPTORS_PER_WORKER;
        Ok(Self { max_workers, workers: 0 })
    }

    /// Notes that this number of workers is about to be started.
    ///
    /// # Errors
    /// There are not enough descriptors for them.
    pub(super) fn allocate(&mut self, workers: usize) -> Result<(), String> {
        let wanted = self.workers + workers;
        if wanted > self.max_workers {
            return Err(format!(
                "too few file descriptors: {} workers need {}, and there are enough for {}; raise \
                 the limit (`ulimit -n`)",
                wanted,
                Self::needed(wanted),
                self.max_workers
            ));
        }
        self.workers = wanted;
        Ok(())
    }

    /// Notes that workers have ended.
    pub(super) const fn release(&mut self, workers: usize) {
        self.workers = self.workers.saturating_sub(workers);
    }

    /// How many descriptors the process needs for that number of workers.
    pub(super) const fn needed(workers: usize) -> usize {
        workers.saturating_mul(DESCRIPTORS_PER_WORKER).saturating_add(OTHER_DESCRIPTORS)
    }

    /// How many workers there may be.
    pub(super) const fn max_workers(&self) -> usize {
        self.max_workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_workers_are_refused_with_the_number_of_descriptors_needed() {
        let mut budget = DescriptorBudget { max_workers: 3, workers: 0 };
        assert_eq!(budget.allocate(2), Ok(()));
        let refused = budget.allocate(2).unwrap_err();
        assert!(refused.contains("4 workers need 36, and there are enough for 3"), "{refused}");
        assert_eq!(budget.allocate(1), Ok(()));
        budget.release(3);
        assert_eq!(budget.allocate(3), Ok(()));
    }
}
