//! The state of a laboratory: in a file, or in memory only.

use std::io;
use std::path::Path;

use crate::control::account::Record;
use crate::ec2::Persist;
use crate::io::store::Store;

/// Persists the changes of the account, if there is a file.
pub(super) struct LabState(Option<Store>);

impl LabState {
    /// Opens the file, if there is a path.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        path.map(Store::open).transpose().map(Self)
    }

    /// The keys and texts of all records; none without a file.
    pub(super) fn load(&self) -> io::Result<Vec<(String, String)>> {
        self.0.as_ref().map_or(Ok(Vec::new()), Store::load)
    }
}

impl Persist for LabState {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        let Some(store) = &mut self.0 else { return Ok(()) };
        let writes = records.iter().map(|record| (record.key.clone(), record.text.clone()));
        store.commit(&writes.collect::<Vec<_>>())
    }
}
