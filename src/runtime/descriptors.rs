//! The budget of file descriptors. It limits the number of workers, so that descriptors are left
//! for metrics and health checks.

use std::io;

use crate::io::live;
use crate::io::sys::resource;

/// The most descriptors of a worker: wake-up event, ring, wake-up socket, three sending sockets.
const DESCRIPTORS_PER_WORKER: usize = 6;

/// Descriptors that the process opens later for other purposes: listeners, signals, link watches.
const OTHER_DESCRIPTORS: usize = 12;

/// The largest permitted number of workers, and the current number.
#[derive(Debug)]
pub(super) struct DescriptorBudget {
    max_workers: usize,
    workers: usize,
}

impl DescriptorBudget {
    /// Raises the soft limit of the process to its hard limit and computes the budget.
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

    /// Reserves descriptors for this number of workers.
    ///
    /// # Errors
    /// There are not enough descriptors for them.
    pub(super) fn allocate(&mut self, workers: usize) -> Result<(), String> {
        let wanted = self.workers + workers;
        if wanted > self.max_workers {
            return Err(format!(
                "too few file descriptors: {} workers need {}, but the limit permits only {} \
                 workers; raise the limit (`ulimit -n`)",
                wanted,
                Self::needed(wanted),
                self.max_workers
            ));
        }
        self.workers = wanted;
        Ok(())
    }

    /// Releases the descriptors of workers.
    pub(super) const fn release(&mut self, workers: usize) {
        self.workers = self.workers.saturating_sub(workers);
    }

    /// The number of descriptors that the process needs for that number of workers.
    pub(super) const fn needed(workers: usize) -> usize {
        workers.saturating_mul(DESCRIPTORS_PER_WORKER).saturating_add(OTHER_DESCRIPTORS)
    }

    /// The largest permitted number of workers.
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
        assert!(
            refused.contains("4 workers need 36, but the limit permits only 3 workers"),
            "{refused}"
        );
        assert_eq!(budget.allocate(1), Ok(()));
        budget.release(3);
        assert_eq!(budget.allocate(3), Ok(()));
    }
}
