//! The errors of reading a capture, and their messages.

use std::io;

/// A damaged record, at which reading ends. All records before it were read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name}: record {record} at byte {offset} is damaged: {what}; all records before it were read"
)]
pub struct DamagedCapture {
    /// The name of the capture.
    pub name: String,
    /// The number of the damaged record, counted from 1.
    pub record: u64,
    /// The offset of the record in bytes, after decompression.
    pub offset: u64,
    /// What is wrong with the record, as a sentence.
    pub what: String,
}

/// Why no further record can be read.
pub(super) enum ReadError {
    /// The bytes are not a valid record.
    Malformed(String),
    /// The bytes cannot be read.
    Io(io::Error),
}

impl ReadError {
    /// Adds the name of the capture, the number of the record and its offset in bytes.
    pub(super) fn into_io_error(self, name: &str, record: u64, offset: u64) -> io::Error {
        match self {
            Self::Io(error) => io::Error::new(
                error.kind(),
                format!(
                    "{name}: record {record} at byte {offset} cannot be read: {error}; all records \
                     before it were read"
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

/// The error of a record of `len` bytes of which only `held` exist.
pub(super) fn truncated(len: usize, held: usize) -> ReadError {
    ReadError::Malformed(format!("it is {len} bytes long, but only {held} bytes are left"))
}

/// Ends a capture. `rest` are the bytes after its last record, which must be empty.
pub(super) fn end_of_capture(rest: &[u8]) -> Result<bool, ReadError> {
    if rest.is_empty() {
        return Ok(false);
    }
    Err(ReadError::Malformed(format!("its header is truncated to {} bytes", rest.len())))
}
