//! Verifies a copy of a state file in memory: the checksums of its pages and its version.

use std::panic;
use std::path::Path;
use std::sync::Once;
use std::thread::{self, Builder};

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};

use super::schema::{METADATA, RECORDS, VERSION};

/// Why a file is rejected.
#[derive(Debug)]
pub(super) enum VerifyError {
    /// It has this other version.
    OtherVersion(u64),
    /// It is damaged. The sentence gives the cause.
    Damaged(String),
}

type Records = Vec<(String, String)>;

/// All keys and texts in the bytes of a file.
pub(super) fn read_records(bytes: &[u8]) -> Result<Records, VerifyError> {
    if bytes.is_empty() {
        return Ok(Records::new());
    }
    match run_isolated(|| verify(bytes)) {
        Some(Ok(verified)) => verified,
        Some(Err(error)) => Err(VerifyError::Damaged(error.to_string())),
        None => Err(VerifyError::Damaged("its structure is invalid".to_owned())),
    }
}

/// Whether a process has the file open.
pub(super) fn is_in_use(path: &Path) -> bool {
    let open = || Database::builder().open_read_only(path).map(drop);
    matches!(run_isolated(open), Some(Err(redb::DatabaseError::DatabaseAlreadyOpen)))
}

/// Runs `task` on a separate thread, because the database panics on some invalid pages. Returns
/// `None` if it did.
fn run_isolated<T: Send>(task: impl FnOnce() -> T + Send) -> Option<T> {
    SILENCE_PANICS.call_once(silence_panics);
    thread::scope(|scope| {
        let verifier = Builder::new().name(VERIFIER_THREAD.to_owned());
        verifier.spawn_scoped(scope, task).ok()?.join().ok()
    })
}

/// The name of the verifying thread.
const VERIFIER_THREAD: &str = "state-verifier";

static SILENCE_PANICS: Once = Once::new();

/// Suppresses the panic message of that thread, because a damaged file is reported as an error.
fn silence_panics() {
    let default_hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(VERIFIER_THREAD) {
            default_hook(info);
        }
    }));
}

fn verify(bytes: &[u8]) -> Result<Result<Records, VerifyError>, redb::Error> {
    let copy = InMemoryBackend::new();
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let corrupted = |why: String| redb::Error::Corrupted(why);
    copy.set_len(len).map_err(|error| corrupted(error.to_string()))?;
    copy.write(0, bytes).map_err(|error| corrupted(error.to_string()))?;
    let mut database = Database::builder().create_with_backend(copy)?;
    if !database.check_integrity()? {
        let why = "the checksums of its pages do not match";
        return Ok(Err(VerifyError::Damaged(why.to_owned())));
    }
    let found = version(&database)?;
    if found.is_some_and(|found| found != VERSION) {
        return Ok(Err(VerifyError::OtherVersion(found.unwrap_or_default())));
    }
    read_all(&database).map(Ok)
}

/// The version; none if the process that created the file ended before it wrote the version.
fn version(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(METADATA) {
        Ok(table) => Ok(table.get("version")?.map(|found| found.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All keys and texts, in the order of the keys.
pub(super) fn read_all(database: &Database) -> Result<Records, redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(RECORDS) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Records::new()),
        table => table?,
    };
    let mut records = Records::new();
    for record in table.iter()? {
        let (key, text) = record?;
        records.push((key.value().to_owned(), text.value().to_owned()));
    }
    Ok(records)
}
