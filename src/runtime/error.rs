//! Why live mirroring did not start, or ended.

use super::options::ByteSize;
use std::fmt;
use std::io;
#[cfg(feature = "endpoint")]
use std::path::Path;
use std::path::PathBuf;

/// Why live mirroring did not start, or ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option or a resource has a value that cannot work: a sentence that names it.
    InvalidValue(String),
    /// The rings would take more than half of the memory that the process may use.
    RingMemory {
        /// How much they need.
        sentence: String,
        /// The largest ring size that would fit, if there is one.
        fitting: Option<ByteSize>,
    },
    /// The EC2 endpoint cannot be served: a sentence that says why.
    Endpoint(String),
    /// Metrics cannot be served at the address: a sentence that says why.
    Metrics(String),
    /// The state file of the endpoint cannot be used.
    State {
        /// The file, unless the reason names it.
        path: Option<PathBuf>,
        /// Why.
        reason: String,
        /// Whether other users can change the file: another file has to be chosen.
        is_invalid: bool,
    },
    /// The system refused something: a sentence that says what.
    Failed(String),
}

impl Error {
    /// The state file cannot be read or written.
    #[cfg(feature = "endpoint")]
    pub(super) fn state_failed(path: Option<&Path>, error: &io::Error) -> Self {
        let path = path.map(Path::to_owned);
        Self::State { path, reason: error.to_string(), is_invalid: false }
    }

    /// A failure of the system while doing `what`.
    pub(super) fn failed(what: &str, error: &io::Error) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { path: Some(path), reason, .. } => {
                write!(f, "state file `{}`: {reason}", path.display())
            }
            Self::State { reason, .. } => write!(f, "state file: {reason}"),
            Self::RingMemory { sentence, fitting: Some(fitting) } => {
                write!(f, "{sentence}; a ring size of {fitting} would fit")
            }
            Self::RingMemory { sentence, fitting: None } => {
                write!(f, "{sentence}; mirror fewer interfaces, or with fewer workers")
            }
            Self::InvalidValue(sentence)
            | Self::Endpoint(sentence)
            | Self::Metrics(sentence)
            | Self::Failed(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}
