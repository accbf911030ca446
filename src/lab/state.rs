//! The state of a laboratory: in a file, or in memory only.

use std::io;
use std::path::Path;

use super::events::{LabEvent, Report};
use crate::control::account::Record;
use crate::ec2::Persist;
#[cfg(unix)]
use crate::io::private_file::{PrivateFileError, check_owner_only_writable};
use crate::io::store::Store;

/// Persists the changes of the account, if there is a file.
pub(super) struct LabState {
    store: Option<Store>,
    report: Report,
}

impl LabState {
    /// Opens the file, if there is a path. Other users must not be able to change it.
    pub(super) fn open(path: Option<&Path>, report: Report) -> io::Result<Self> {
        #[cfg(unix)]
        if let Some(path) = path {
            check_owner_only_writable(path).map_err(|error| match error {
                PrivateFileError::Io(error) => error,
                PrivateFileError::Insecure(why) => io::Error::other(why),
            })?;
        }
        Ok(Self { store: path.map(Store::open).transpose()?, report })
    }

    /// The keys and texts of all records; none without a file.
    pub(super) fn load(&self) -> io::Result<Vec<(String, String)>> {
        self.store.as_ref().map_or(Ok(Vec::new()), Store::load)
    }
}

impl Persist for LabState {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        if let Some(store) = &mut self.store {
            let writes = records.iter().map(|record| (record.key.clone(), record.text.clone()));
            store.commit(&writes.collect::<Vec<_>>())?;
        }
        let warnings = records.iter().filter_map(Record::protocol_zero_warning);
        warnings.for_each(|one| (self.report)(LabEvent::RuleOfProtocolZero(one)));
        Ok(())
    }
}
