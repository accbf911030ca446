//! Why a capture cannot be read further, and the words for it.

use std::io;

/// Where and why a capture cannot be read further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: record {record} at byte {offset} is damaged: {what}; all before it was read")]
pub struct DamagedCapture {
    /// The capture.
    pub name: String,
    /// The first record that could not be read, counted from 1.
    pub record: u64,
    /// Where it begins, in bytes (of a compressed capture, of what is inside).
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Why there is no further record.
pub(super) enum ReadError {
    /// The bytes make no sense.
    Malformed(String),
    /// The bytes do not come.
    Io(io::Error),
}

impl ReadError {
    /// As an error of the capture of that name, whose record `record` begins at byte `offset`.
    pub(super) fn into_io_error(self, name: &str, record: u64, offset: u64) -> io::Error {
        match self {
            Self::Io(error) => io::Error::new(
                error.kind(),
                format!(
                    "{name}: record {record} at byte {offset} cannot be read: {error}; all before \
                     it was read"
                ),
            ),
            Self::Malformed(what) => {
                let name = name.to_owned();
                let damaged = DamagedCapture { name, record, offset, what };
                io::Error::new(io::ErrorKind::InvalidData, damaged)
            }
        }
    }
}

impl From<String> for ReadError {
    fn from(what: String) -> Self {
        Self::Malformed(what)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A record of `len` bytes, of which only `held` are there.
pub(super) fn truncated(len: usize, held: usize) -> ReadError {
    ReadError::Malformed(format!("it is {len} bytes long and {held} are there"))
}

/// The end of a capture with `rest` behind its last record: of use only where it is empty.
pub(super) fn end_of_capture(rest: &[u8]) -> Result<bool, ReadError> {
    if rest.is_empty() {
        return Ok(false);
    }
    Err(ReadError::Malformed(format!("its header is cut to {} bytes", rest.len())))
}
