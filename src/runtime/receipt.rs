//! A receipt: it calls a function when all threads have completed their part of a change.
//!
//! A change is sent to several workers and to threads that open devices. Each of them holds a clone
//! of the receipt and drops it when its part is done, so that no thread has to wait or to poll.

use super::sync::{Arc, Mutex, PoisonError};

/// The function that is called when all clones are dropped.
type Callback = Box<dyn FnOnce(Result<(), String>) + Send>;

/// A receipt. Every thread that takes part in the change has a clone.
#[derive(Clone)]
pub(super) struct Receipt {
    /// None calls no function.
    state: Option<Arc<ReceiptState>>,
}

struct ReceiptState {
    callback: Mutex<Option<Callback>>,
    error: Mutex<Option<String>>,
}

impl Receipt {
    /// Calls `callback` once, on the thread that drops the last clone, with the first error that
    /// was passed to [`Receipt::fail`], if any.
    pub(super) fn new(callback: impl FnOnce(Result<(), String>) + Send + 'static) -> Self {
        let callback: Callback = Box::new(callback);
        let state = ReceiptState { callback: Mutex::new(Some(callback)), error: Mutex::new(None) };
        Self { state: Some(Arc::new(state)) }
    }

    /// A receipt that calls no function.
    pub(super) const fn none() -> Self {
        Self { state: None }
    }

    /// Combines receipts: an error of the returned receipt fails all of them, and they are dropped
    /// when its last clone is dropped.
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
