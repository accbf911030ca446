//! What an endpoint needs of its program: the data plane and the store.

use std::collections::BTreeSet;
use std::io;

use crate::control::Registry;
use crate::control::account::Record;
use crate::model::NetworkInterfaceId;

/// Applies changes of a registry to the data plane.
pub trait Publish: Send {
    /// Starts to apply the current registry to the interfaces that the changes affect. It does not
    /// wait: the data plane calls [`PublishedChange::done`] when the change is applied.
    fn publish(&mut self, registry: &Registry, changes: Vec<PublishedChange>);
}

/// A change that the data plane must apply.
pub struct PublishedChange {
    /// The network interfaces whose sessions it affects, at least one.
    pub touched: BTreeSet<NetworkInterfaceId>,
    /// Whether the change needs these interfaces to be captured, because it created a session.
    pub needs_capture: bool,
    /// Called once: when the data plane has applied the change, or with the error if it cannot.
    pub done: Box<dyn FnOnce(io::Result<()>) + Send>,
}

/// Stores changes durably.
pub trait Persist: Send {
    /// Stores all of these records, or none on an error.
    ///
    /// # Errors
    /// The records cannot be stored.
    fn commit(&mut self, records: &[Record]) -> io::Result<()>;
}
