//! The state of the endpoint: in a file, or in memory alone.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::exit::Failure;
use crate::control::account::{Account, Record};
use crate::ec2::Keep;
use crate::io::private_file::{PrivateFileError, check_unchangeable};
use crate::io::store::Store;

/// Makes the account that is there without any change over the API.
pub(super) type Beginning = Box<dyn Fn() -> Account + Send>;

/// Where changes are kept.
pub(super) struct State {
    store: Option<Store>,
    beginning: Beginning,
}

impl State {
    /// Opens the file, where one was chosen.
    pub(super) fn open(path: Option<&PathBuf>, beginning: Beginning) -> Result<Self, Failure> {
        if let Some(path) = path {
            check_unchangeable(path).map_err(|error| exposed(path, error))?;
        }
        let store = path.map(|path| Store::open(path)).transpose();
        let store = store.map_err(|error| Failure::failed(format_args!("--state: {error}")))?;
        Ok(Self { store, beginning })
    }

    /// Whether changes outlive the process.
    pub(super) const fn is_lasting(&self) -> bool {
        self.store.is_some()
    }
}

fn exposed(path: &Path, error: PrivateFileError) -> Failure {
    let name = path.display();
    match error {
        PrivateFileError::Exposed(why) => Failure::usage(format_args!("--state `{name}`: {why}")),
        PrivateFileError::Io(error) => Failure::failed(format_args!("--state `{name}`: {error}")),
    }
}

impl Keep for State {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let writes = records.iter().map(|record| (record.key.clone(), record.text.clone()));
        store.commit(&writes.collect::<Vec<_>>())
    }

    fn restore(&mut self) -> io::Result<Account> {
        let mut account = (self.beginning)();
        if let Some(store) = &self.store {
            account.restore(store.load()?).map_err(io::Error::other)?;
        }
        Ok(account)
    }
}
