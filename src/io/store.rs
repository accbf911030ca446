//! A durable key-value store of texts in one file, with atomic commits.
//!
//! A commit is on the disk when it returns. Neither a killed process nor a power failure leaves a
//! part of a commit. The file contains its version. A file that has another version, is damaged or
//! is of another kind is rejected and not changed.
//!
//! After a failed write, as on a full disk, the database fails every operation until it is opened
//! again. [`Store::commit`] opens it again, so it succeeds as soon as there is space. Until then
//! [`Store::load`] reads the last commit from a copy of the file.

mod schema;
mod verify;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, Durability, ReadableDatabase};

use self::schema::{METADATA, RECORDS, VERSION};
use self::verify::VerifyError;

/// The number of attempts to copy a file that another process writes to.
const MAX_COPY_ATTEMPTS: u32 = 20;

/// The size of the cache of the database, in bytes.
const CACHE_LEN: usize = 8 << 20;

/// An open file. It is locked, so that no other process can open it.
#[derive(Debug)]
pub struct Store {
    /// None after a failed write, until it is opened again.
    database: Option<Database>,
    path: PathBuf,
}

/// A key with the text to write, or `None` to delete its text.
pub type RecordWrite = (String, Option<String>);

impl Store {
    /// Opens a file, or creates it if it does not exist.
    ///
    /// # Errors
    /// The file cannot be opened, is in use, is damaged, has another version, or is not a state
    /// file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { database: Some(open(path)?), path: path.to_owned() })
    }

    /// All keys and texts of a file, which another process may have open.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, has another version, or is not a state file.
    pub fn read_copy(path: &Path) -> io::Result<Vec<(String, String)>> {
        check_is_state_file(path, File::open(path).map_err(|error| named_error(path, &error))?)?;
        let mut tries = 0;
        loop {
            let error = match verify::read_records(&std::fs::read(path)?) {
                Ok(records) => return Ok(records),
                Err(VerifyError::OtherVersion(found)) => return Err(version_error(path, found)),
                Err(VerifyError::Damaged(why)) => {
                    invalid_file(path, format_args!("it is damaged; it was not changed: {why}"))
                }
            };
            tries += 1;
            // A copy that was made during a write is inconsistent.
            if tries == MAX_COPY_ATTEMPTS || !verify::is_in_use(path) {
                return Err(error);
            }
        }
    }

    /// All keys and texts, in the order of the keys.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(&self) -> io::Result<Vec<(String, String)>> {
        match &self.database {
            Some(database) => {
                verify::read_all(database).map_err(|error| database_error(&self.path, error))
            }
            None => Self::read_copy(&self.path),
        }
    }

    /// Writes all of these or, if it fails, none.
    ///
    /// # Errors
    /// The file cannot be written, as on a full disk. A later call opens the file again.
    pub fn commit(&mut self, writes: &[RecordWrite]) -> io::Result<()> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        let written = write(&database, writes);
        match written {
            Ok(()) => {
                self.database = Some(database);
                Ok(())
            }
            Err(error) => {
                // The file is opened again at once, if possible, so that no other process can open
                // it meanwhile.
                drop(database);
                self.database = open(&self.path).ok();
                Err(database_error(&self.path, error))
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Database> {
    ensure_state_file(path)?;
    check_integrity(path)?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_LEN);
    let database = builder.create(path).map_err(|error| database_error(path, error))?;
    let found = read_or_write_version(&database).map_err(|error| database_error(path, error))?;
    if found == VERSION { Ok(database) } else { Err(version_error(path, found)) }
}

fn write(database: &Database, writes: &[RecordWrite]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut table = transaction.open_table(RECORDS)?;
    for (key, text) in writes {
        match text {
            Some(text) => table.insert(&**key, &**text)?,
            None => table.remove(&**key)?,
        };
    }
    drop(table);
    transaction.commit()?;
    Ok(())
}

/// Reads the version of a file, or writes it to a new file.
fn read_or_write_version(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(METADATA) {
        Ok(table) => return Ok(table.get("version")?.map_or(0, |found| found.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    drop(transaction);
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.open_table(METADATA)?.insert("version", VERSION)?;
    transaction.open_table(RECORDS)?;
    transaction.commit()?;
    Ok(VERSION)
}

/// Checks that the file is a database, so that a file of another kind is never written to. Creates
/// a file that does not exist, with permissions for its owner only.
fn ensure_state_file(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut options = OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let created = options.write(true).create_new(true).open(path);
            created.map(drop).map_err(|error| named_error(path, &error))
        }
        Err(error) => Err(named_error(path, &error)),
        Ok(file) => check_is_state_file(path, file),
    }
}

/// Checks that a file is empty or a database.
fn check_is_state_file(path: &Path, mut file: File) -> io::Result<()> {
    let mut beginning = [0; 4];
    match file.metadata().map_err(|error| named_error(path, &error))?.len() {
        0 => Ok(()),
        _ => match file.read_exact(&mut beginning) {
            Ok(()) if beginning == *b"redb" => Ok(()),
            _ => Err(invalid_file(
                path,
                "it is not a state file of this program; it was not changed",
            )),
        },
    }
}

fn named_error(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Verifies a copy of the file, because opening a damaged file may write to it.
fn check_integrity(path: &Path) -> io::Result<()> {
    let bytes = std::fs::read(path).map_err(|error| named_error(path, &error))?;
    match verify::read_records(&bytes) {
        Ok(_) => Ok(()),
        Err(VerifyError::OtherVersion(found)) => Err(version_error(path, found)),
        // Another process wrote to the file while it was copied.
        Err(VerifyError::Damaged(_)) if verify::is_in_use(path) => {
            Err(database_error(path, redb::Error::DatabaseAlreadyOpen))
        }
        Err(VerifyError::Damaged(why)) => {
            Err(invalid_file(path, format_args!("it is damaged; it was not changed: {why}")))
        }
    }
}

fn version_error(path: &Path, found: u64) -> io::Error {
    invalid_file(
        path,
        format_args!(
            "its version is {found}, but this program supports version {VERSION}; it was not \
             changed"
        ),
    )
}

fn invalid_file(path: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("state file {}: {why}", path.display()))
}

fn database_error(path: &Path, error: impl Into<redb::Error>) -> io::Error {
    let error = error.into();
    let (kind, why) = match &error {
        redb::Error::DatabaseAlreadyOpen => {
            (ErrorKind::ResourceBusy, "another process has it open")
        }
        redb::Error::Corrupted(_) => (ErrorKind::InvalidData, "it is damaged; it was not changed"),
        redb::Error::UpgradeRequired(_) => (ErrorKind::InvalidData, "it has another version"),
        redb::Error::Io(inner) => (inner.kind(), "it cannot be read or written"),
        _ => (ErrorKind::Other, "it cannot be used"),
    };
    io::Error::new(kind, format!("state file {}: {why}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &str, text: &str) -> RecordWrite {
        (key.to_owned(), Some(text.to_owned()))
    }

    #[test]
    fn written_records_are_loaded_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), []);
        store.commit(&[text("b", "2"), text("a", "1"), text("c", "3")]).unwrap();
        store.commit(&[("b".to_owned(), None), text("a", "4")]).unwrap();
        drop(store);
        let pairs = [("a".to_owned(), "4".to_owned()), ("c".to_owned(), "3".to_owned())];
        assert_eq!(Store::open(&path).unwrap().load().unwrap(), pairs);
    }

    #[test]
    fn a_foreign_file_is_refused_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        for other in ["x", "some other file that is long enough to be one"] {
            std::fs::write(&path, other).unwrap();
            let refused = Store::open(&path).unwrap_err().to_string();
            assert!(refused.contains("not a state file"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
    }

    #[test]
    fn a_copy_of_a_file_that_cannot_be_opened_is_refused_with_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let refused = Store::read_copy(&path).unwrap_err().to_string();
        assert!(refused.contains("No such file"), "{refused}");
        assert!(!path.exists(), "it was created");
        std::fs::write(&path, "").unwrap();
        // Root has permission for all files, so the test has another cause.
        let refused = Store::read_copy(&path.join("state")).unwrap_err().to_string();
        assert!(refused.contains("Not a directory"), "{refused}");
    }

    #[test]
    fn a_newer_file_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let store = Store::open(&path).unwrap();
        let mut transaction = store.database.as_ref().unwrap().begin_write().unwrap();
        transaction.set_durability(Durability::Immediate).unwrap();
        transaction.open_table(METADATA).unwrap().insert("version", 2).unwrap();
        transaction.commit().unwrap();
        drop(store);
        let refused = Store::open(&path).unwrap_err().to_string();
        assert!(refused.contains("its version is 2"), "{refused}");
    }

    /// A file yields exactly what was written, or it is rejected and not changed.
    #[test]
    fn every_damage_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut store = Store::open(&path).unwrap();
        for number in 0..200 {
            store.commit(&[text(&format!("key{number}"), &"some text ".repeat(20))]).unwrap();
        }
        let written = store.load().unwrap();
        drop(store);
        let whole = std::fs::read(&path).unwrap();
        let mut refused = 0;
        let step = whole.len() / 400;
        for offset in (0..whole.len()).step_by(step) {
            let mut flipped = whole.clone();
            flipped[offset] ^= 1 << (offset % 8);
            let cut = whole[..offset].to_vec();
            for damaged in [flipped, cut] {
                std::fs::write(&path, &damaged).unwrap();
                match Store::open(&path).and_then(|store| store.load()) {
                    Ok(found) => assert!(found == written || damaged.is_empty(), "{offset}"),
                    Err(_) => {
                        refused += 1;
                        assert_eq!(std::fs::read(&path).unwrap(), damaged, "{offset}");
                    }
                }
            }
        }
        assert!(refused > 400, "{refused}");
    }

    #[test]
    fn only_one_process_can_open_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let _store = Store::open(&path).unwrap();
        let refused = Store::open(&path).unwrap_err().to_string();
        assert!(refused.contains("another process"), "{refused}");
    }
}
