//! The reasons for which a benchmark cannot run.

use std::path::PathBuf;

use super::engine::EngineChoice;
use crate::model::InvalidValue;

/// A benchmark cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The rules are too many for the engine, or need too much memory or time.
    #[error("engine {}{}: {TOO_LARGE}", engine.label(), of_rules(*rules))]
    UnsupportedEngine {
        /// The engine.
        engine: EngineChoice,
        /// The number of generated rules; `None` if the rules are read.
        rules: Option<u32>,
    },
    /// Each worker needs at least one packet.
    #[error("workers {workers}: expected at most {packets}, the number of packets")]
    TooManyWorkers {
        /// The number of workers.
        workers: u32,
        /// The number of packets.
        packets: usize,
    },
    /// A file cannot be read, or does not have the expected format.
    #[error("{}: {reason}", path.display())]
    File {
        /// The name of the file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No session has a rule.
    #[error("rules: found no session, expected at least one rule")]
    NoRules,
    /// No packet is IP.
    #[error("packets: found no IP packet, expected at least one")]
    NoPackets,
    /// A rule cannot be added to a session.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// The environment failed: a capture cannot be read, or a stage cannot run.
    #[error("{0}")]
    Failed(String),
}

impl BenchError {
    /// Whether the options are wrong; otherwise the environment failed.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// A failure of the environment.
    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Why an engine cannot hold rules.
const TOO_LARGE: &str =
    "these rules are too many, or need too much memory or time; use forest or auto";

fn of_rules(rules: Option<u32>) -> String {
    rules.map(|rules| format!(", {rules} rules")).unwrap_or_default()
}
