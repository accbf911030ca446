//! What a benchmark measures, as values.

use std::path::PathBuf;

use super::engine::EngineChoice;
use super::generate::{AddressFamily, PacketOptions, RuleShape};
use super::stage::Stage;
use crate::control::Registry;

/// Options of a benchmark. [`Default`] sweeps over 10, 100 and 1,000 generated rules.
#[derive(Debug)]
pub struct BenchOptions {
    /// Where the rules come from.
    pub rules: RuleSource,
    /// The number of sessions over which generated and ClassBench rules are distributed, 1 to
    /// 32,766.
    pub sessions: u32,
    /// Where the packets come from.
    pub packets: PacketSource,
    /// The engines; if empty, `auto`, and in a sweep over up to 10,000 rules `linear` too.
    pub engines: Vec<EngineChoice>,
    /// Whether several values are compared: an engine that does not support the rules is skipped.
    pub is_sweep: bool,
    /// Numbers of threads that share the packets; each number is measured.
    pub workers: Vec<u32>,
    /// The stages, in the order in which they are measured.
    pub stages: Vec<Stage>,
    /// The number of rounds, in each of which every stage is measured once.
    pub rounds: u32,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            rules: RuleSource::generated(RuleSource::DEFAULT_COUNTS),
            sessions: 1,
            packets: PacketSource::Generated(PacketOptions::default()),
            engines: Vec::new(),
            is_sweep: true,
            workers: vec![1],
            stages: Stage::ALL.to_vec(),
            rounds: 15,
        }
    }
}

/// Where the rules come from.
#[derive(Debug)]
pub enum RuleSource {
    /// Distinct accept rules are generated.
    Generated {
        /// Numbers of rules; each number is measured.
        counts: Vec<u32>,
        /// How the fields of the rules are distributed.
        shape: RuleShape,
        /// IPv4 or IPv6.
        family: AddressFamily,
        /// The same seed gives the same rules.
        seed: u64,
    },
    /// A file in the format of ClassBench; all rules accept.
    ClassBench(PathBuf),
    /// The rules of the first network interface that has sessions.
    Registry {
        /// The name of the rules in the report.
        name: String,
        /// The sessions and filters.
        registry: Box<Registry>,
    },
}

impl RuleSource {
    /// The numbers of generated rules without options: three points of a curve, a few seconds.
    pub const DEFAULT_COUNTS: [u32; 3] = [10, 100, 1000];

    /// Generated rules of the default shape, family and seed.
    #[must_use]
    pub fn generated(counts: impl Into<Vec<u32>>) -> Self {
        let (shape, family) = (RuleShape::default(), AddressFamily::default());
        Self::Generated { counts: counts.into(), shape, family, seed: 1 }
    }

    /// The numbers of rules to generate; one `None` if the rules are read.
    pub(super) fn counts(&self) -> Vec<Option<u32>> {
        match self {
            Self::Generated { counts, .. } => counts.iter().copied().map(Some).collect(),
            _ => vec![None],
        }
    }
}

/// Where the packets come from.
#[derive(Debug)]
pub enum PacketSource {
    /// Packets are generated for the rules.
    Generated(PacketOptions),
    /// Headers in the format of a ClassBench trace.
    Trace(PathBuf),
    /// The IP packets of a capture, pcap or pcapng.
    Capture(PathBuf),
}

impl BenchOptions {
    /// With more rules, the linear engine is measured only if it is named.
    const MAX_BASELINE_RULES: u32 = 10_000;

    /// The engines to measure with this number of generated rules.
    pub(super) fn engines_for(&self, rules: Option<u32>) -> Vec<EngineChoice> {
        match rules {
            _ if !self.engines.is_empty() => self.engines.clone(),
            Some(rules) if self.is_sweep && rules <= Self::MAX_BASELINE_RULES => {
                vec![EngineChoice::Linear, EngineChoice::Auto]
            }
            _ => vec![EngineChoice::Auto],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_measures_the_linear_baseline_up_to_10000_rules() {
        let options = |engines: &[EngineChoice], is_sweep| BenchOptions {
            engines: engines.to_vec(),
            is_sweep,
            ..BenchOptions::default()
        };
        let (auto, linear) = (EngineChoice::Auto, EngineChoice::Linear);
        assert_eq!(options(&[], true).engines_for(Some(10_000)), [linear, auto]);
        assert_eq!(options(&[], true).engines_for(Some(10_001)), [auto]);
        assert_eq!(options(&[], false).engines_for(Some(1)), [auto]);
        assert_eq!(options(&[linear], true).engines_for(Some(10_001)), [linear]);
    }
}
