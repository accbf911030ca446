//! The options of a laboratory.

use std::path::PathBuf;

use crate::control::Registry;
use crate::control::account::{DEFAULT_OWNER, Quotas, TargetResolver};
use crate::io::impair::Impairments;

/// The largest number of bytes of all copies that a laboratory keeps, by default: 1 GiB.
pub const DEFAULT_COPY_MEMORY: usize = 1 << 30;

/// The options of a laboratory.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The resources that exist at the start and after a reset.
    pub registry: Registry,
    /// The account that owns them and all that clients create, 12 digits.
    pub account_id: String,
    /// The quotas of the account.
    pub quotas: Quotas,
    /// Resolves targets to addresses.
    pub targets: TargetResolver,
    /// The URL of another emulator of AWS, to which requests are forwarded that are not for traffic
    /// mirroring, such as `http://127.0.0.1:5000`.
    pub upstream: Option<String>,
    /// The file that persists the resources of clients. Without it they are lost at the end.
    pub state: Option<PathBuf>,
    /// The seed of all ids and network identifiers. Without it they are random.
    pub seed: Option<u64>,
    /// The faults that are injected into the copies of every play.
    pub impairments: Option<Impairments>,
    /// The largest number of bytes of all copies that are kept. Further copies are dropped as
    /// `no_buffers`.
    pub copy_memory: usize,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            registry: Registry::default(),
            account_id: DEFAULT_OWNER.to_owned(),
            quotas: Quotas::default(),
            targets: TargetResolver::default(),
            upstream: None,
            state: None,
            seed: None,
            impairments: None,
            copy_memory: DEFAULT_COPY_MEMORY,
        }
    }
}
