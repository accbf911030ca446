//! A receipt: it reports when the last of those who have it is done.
//!
//! A change goes to several workers, and to threads that open devices. Each of them has a clone and
//! drops it when it has done its part, so nobody has to wait for them or to poll.

use super::sync::{Arc, Mutex, PoisonError};

/// What is called when all are done.
type Callback = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Has a clone for each of those who have something to do.
#[derive(Clone)]
pub(super) struct Receipt {
    /// None reports to nobody.
    state: Option<Arc<ReceiptState>>,
}

struct ReceiptState {
    callback: Mutex<Option<Callback>>,
    error: Mutex<Option<String>>,
}

impl Receipt {
    /// Calls `callback` once, on the thread that drops the last clone: with the first error, if any
    /// of those who had one failed.
    pub(super) fn new(callback: impl FnOnce(Result<(), String>) + Send + 'static) -> Self {
        let callback: Callback = Box::new(callback);
        let state = ReceiptState { callback: Mutex::new(Some(callback)), error: Mutex::new(None) };
        Self { state: Some(Arc::new(state)) }
    }

    /// For changes that nobody waits for.
    pub(super) const fn none() -> Self {
        Self { state: None }
    }

    /// One receipt in the place of several.
    pub(super) fn all(receipts: Vec<Self>) -> Self {
        let callback = |result: Result<(), String>| {
            if let Err(error) = result {
                receipts.into_iter().for_each(|receipt| receipt.fail(&error));
            }
        };
        Self::new(callback)
    }

    /// Drops the receipt with an error.
    pub(super) fn fail(self, error: &str) {
        let Some(state) = &self.state else { return };
        let mut first = state.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_owned());
    }
}

impl Drop for ReceiptState {
    fn drop(&mut self) {
        let callback = self.callback.lock().unwrap_or_else(PoisonError::into_inner).take();
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(callback) = callback {
            callback(error.map_or(Ok(()), Err));
        }
    }
}
