//! The errors of starting live mirroring.

use super::options::ByteSize;
use std::fmt;
use std::io;
#[cfg(feature = "endpoint")]
use std::path::Path;
use std::path::PathBuf;

/// Why live mirroring did not start. Its `Display` is one sentence without a period.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option or a resource has an invalid value. The sentence names both.
    InvalidValue(String),
    /// The rings would take more than half of the memory that the process may use.
    /// The limit is that of the cgroup or of the machine.
    RingMemory {
        /// A sentence with the number of rings and the memory that they need, in MiB.
        sentence: String,
        /// The largest ring size that fits; none if it would be less than [`RingSize::MIN`].
        ///
        /// [`RingSize::MIN`]: super::RingSize::MIN
        fitting: Option<ByteSize>,
    },
    /// The kernel tier is required and cannot mirror an interface. The sentence names the session,
    /// the capability or the other reason.
    Tier {
        /// The sentence.
        sentence: String,
        /// Whether the configuration or the options are the reason, and not this host.
        is_invalid: bool,
    },
    /// The EC2 endpoint cannot be served. The sentence gives the cause.
    Endpoint(String),
    /// Metrics cannot be served at the address. The sentence gives the cause.
    Metrics(String),
    /// The state file of the endpoint cannot be used.
    State {
        /// The path of the file; none if `reason` contains it.
        path: Option<PathBuf>,
        /// A sentence with the cause.
        reason: String,
        /// Whether other users can change the file, so that another file must be chosen.
        is_invalid: bool,
    },
    /// The system refused a request. The sentence names the request and the cause.
    Failed(String),
}

impl Error {
    /// The state file cannot be read or written.
    #[cfg(feature = "endpoint")]
    pub(super) fn state_failed(path: Option<&Path>, error: &io::Error) -> Self {
        let path = path.map(Path::to_owned);
        Self::State { path, reason: error.to_string(), is_invalid: false }
    }

    /// The system failed at `what`, such as "starting a thread".
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
            | Self::Tier { sentence, .. }
            | Self::Endpoint(sentence)
            | Self::Metrics(sentence)
            | Self::Failed(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}
