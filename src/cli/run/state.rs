//! The state of the endpoint: in a file, or in memory alone.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::control::account::{Account, Record, Refused};
use crate::ec2::Keep;
use crate::io::private_file::{PrivateFileError, check_unchangeable};
use crate::io::store::Store;

/// Makes the account of files, devices and these records.
pub(super) type Rebuild = Box<dyn Fn(Vec<(String, String)>) -> Result<Account, Refused> + Send>;

/// Where changes are kept.
pub(super) struct State {
    store: Option<Store>,
    rebuild: Rebuild,
    /// Whether the last change could not be written.
    is_failing: bool,
}

impl State {
    /// Opens the file, where one was chosen.
    pub(super) fn open(path: Option<&PathBuf>, rebuild: Rebuild) -> Result<Self, Failure> {
        if let Some(path) = path {
            check_unchangeable(path).map_err(|error| exposed(path, error))?;
        }
        let store = path.map(|path| Store::open(path)).transpose();
        let store = store.map_err(|error| Failure::failed(format_args!("--state: {error}")))?;
        Ok(Self { store, rebuild, is_failing: false })
    }

    /// Whether changes outlive the process.
    pub(super) const fn is_lasting(&self) -> bool {
        self.store.is_some()
    }

    /// Says so when the file begins to refuse changes, and when it takes them again.
    fn report(&mut self, committed: &io::Result<()>) {
        match committed {
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                terminal::warn(&format!(
                    "--state: changes are refused until the file can be written again: {error}"
                ));
            }
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                terminal::note("--state: the file can be written again; changes are accepted");
            }
            _ => {}
        }
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
        let Some(store) = &mut self.store else { return Ok(()) };
        let writes = records.iter().map(|record| (record.key.clone(), record.text.clone()));
        let committed = store.commit(&writes.collect::<Vec<_>>());
        self.report(&committed);
        committed
    }

    fn restore(&mut self) -> io::Result<Account> {
        let records = self.store.as_ref().map_or(Ok(Vec::new()), Store::load)?;
        (self.rebuild)(records).map_err(io::Error::other)
    }
}
