//! Why the kernel tier cannot mirror an interface.

use std::io;

use crate::bpf::AssemblyError;
use crate::dataplane::kernel::DoesNotFit;
use crate::io::sys::bpf::LoadError;

/// Why the kernel tier cannot mirror an interface. Its `Display` is one sentence without a period.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelTierError {
    /// The programs cannot express a session.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
    /// The process lacks these capabilities.
    #[error("missing capabilities: {}", .0.join(", "))]
    MissingCapabilities(Vec<String>),
    /// The programs cannot send to an address. The value is a sentence without a period.
    #[error("{0}")]
    Path(String),
    /// The kernel is a real-time kernel: programs on one processor may interrupt each other.
    #[error("the kernel is PREEMPT_RT, on which the context of a copy is not safe")]
    RealTime,
    /// The kernel has no tcx hooks.
    #[error("the kernel has no tcx hooks: expected Linux 6.6 or newer")]
    Unsupported,
    /// The verifier of the kernel rejected a program.
    #[error("the verifier of the kernel rejected the program")]
    Rejected {
        /// The log of the verifier.
        log: String,
    },
    /// The program is too long.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// The system refused a request.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<LoadError> for KernelTierError {
    fn from(LoadError { error, log }: LoadError) -> Self {
        if log.is_empty() { Self::Io(error) } else { Self::Rejected { log } }
    }
}
