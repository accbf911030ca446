//! A receipt: it reports when the last of those who have it is done.
//!
//! A change goes to several workers, and to threads that open devices. Each of them has a clone and
//! drops it when it has done its part, so nobody has to wait for them or to poll.

use super::sync::{Arc, Mutex, PoisonError};

/// What is called when all are done.
type Report = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Has a clone for each of those who have something to do.
#[derive(Clone)]
pub(super) struct Receipt {
    /// None reports to nobody.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    report: Mutex<Option<Report>>,
    error: Mutex<Option<String>>,
}

impl Receipt {
    /// Calls `report` once, on the thread that drops the last clone: with the first error, if any
    /// of those who had one failed.
    pub(super) fn new(report: impl FnOnce(Result<(), String>) + Send + 'static) -> Self {
        let report: Report = Box::new(report);
        let inner = Inner { report: Mutex::new(Some(report)), error: Mutex::new(None) };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// For changes that nobody waits for.
    pub(super) const fn unwanted() -> Self {
        Self { inner: None }
    }

    /// One receipt in the place of several.
    pub(super) fn all(receipts: Vec<Self>) -> Self {
        let report = |result: Result<(), String>| {
            if let Err(error) = result {
                receipts.into_iter().for_each(|receipt| receipt.fail(&error));
            }
        };
        Self::new(report)
    }

    /// Drops the receipt with an error.
    pub(super) fn fail(self, error: &str) {
        let Some(inner) = &self.inner else { return };
        let mut first = inner.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_owned());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner).take();
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(report) = report {
            report(error.map_or(Ok(()), Err));
        }
    }
}
