//! What is measured one after the other: sizes, engines, workers.

use super::super::exit::Failure;
use super::BenchFlags;
use super::engine::EngineChoice;

/// A list of values, each of which is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sweep {
    /// How many rules are generated.
    Rules(Vec<u32>),
    /// How many threads share the packets.
    Workers(Vec<u32>),
}

impl Sweep {
    /// Reads `rules=1,10,100` or `workers=1,2`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = "is neither rules=N,N,... nor workers=N,N,...";
        let (name, list) = text.split_once('=').ok_or_else(|| format!("{text:?} {expected}"))?;
        let most = match name {
            "rules" => 1_000_000,
            "workers" => MAX_WORKERS,
            _ => return Err(format!("{text:?} {expected}")),
        };
        let values = list.split(',').map(|number| {
            let value = number.parse().ok().filter(|value| (1..=most).contains(value));
            value.ok_or_else(|| format!("{name}: {number:?} is no number from 1 to {most}"))
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(if name == "rules" { Self::Rules(values) } else { Self::Workers(values) })
    }
}

/// More threads than any machine has processors.
pub(super) const MAX_WORKERS: u32 = 1024;

/// Above this number of rules a sweep leaves out asking rule after rule, unless told otherwise.
const MAX_BASELINE_RULES: u32 = 10_000;

/// The product of all lists is measured.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BenchPlan {
    /// How many rules are generated; nothing where they are read.
    pub(super) sizes: Vec<Option<u32>>,
    pub(super) workers: Vec<u32>,
    engines: Vec<EngineChoice>,
    is_sweep: bool,
}

impl BenchPlan {
    /// # Errors
    /// [`Failure`] where flags do not go together.
    pub(super) fn new(flags: &BenchFlags) -> Result<Self, Failure> {
        let (mut sizes, mut workers) = (None, None);
        for sweep in &flags.sweep {
            let (name, place, values) = match sweep {
                Sweep::Rules(values) => ("rules", &mut sizes, values),
                Sweep::Workers(values) => ("workers", &mut workers, values),
            };
            if place.replace(values.clone()).is_some() {
                let what = "is there twice; name all values in one list";
                return Err(Failure::usage(format!("--sweep {name}: {what}")));
            }
        }
        let rules = flags.generate.rules;
        let are_read = flags.classbench.is_some() || !flags.config.is_empty();
        if let (true, true, Some(seed)) = (are_read, flags.reads_packets(), flags.generate.seed) {
            return Err(Failure::usage(format!(
                "--seed {seed}: expected no --seed: rules and packets are both read from files"
            )));
        }
        let sizes = match sizes {
            Some(_) if are_read || rules.is_some() => {
                let what = "says how many rules are generated; leave out --rules, --classbench and \
                            --config";
                return Err(Failure::usage(format!("--sweep rules: {what}")));
            }
            None if !are_read && rules.is_none() => {
                let what = "rules are missing; add --rules, --classbench or --config, or sweep \
                            over rules too";
                return Err(Failure::usage(format!("--sweep workers: {what}")));
            }
            Some(sizes) => sizes.into_iter().map(Some).collect(),
            None => vec![rules],
        };
        let workers = match (workers, flags.workers) {
            (Some(_), Some(number)) => {
                let what = "is in --sweep workers too; leave one out";
                return Err(Failure::usage(format!("--workers {number}: {what}")));
            }
            (Some(workers), None) => workers,
            (None, number) => vec![number.unwrap_or(1)],
        };
        let engines = flags.engine.clone();
        Ok(Self { sizes, workers, engines, is_sweep: !flags.sweep.is_empty() })
    }

    /// The engines that are asked about so many generated rules.
    pub(super) fn engines(&self, rules: Option<u32>) -> Vec<EngineChoice> {
        match (self.is_sweep, rules) {
            _ if !self.engines.is_empty() => self.engines.clone(),
            (true, Some(rules)) if rules <= MAX_BASELINE_RULES => {
                vec![EngineChoice::Linear, EngineChoice::Auto]
            }
            _ => vec![EngineChoice::Auto],
        }
    }

    /// Whether an engine that cannot be measured is left out, others being measured instead.
    pub(super) fn skips_engines(&self) -> bool {
        self.is_sweep || self.engines.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_parsed() {
        assert_eq!(Sweep::parse("rules=1,10").unwrap(), Sweep::Rules(vec![1, 10]));
        assert_eq!(Sweep::parse("workers=2").unwrap(), Sweep::Workers(vec![2]));
    }

    #[test]
    fn an_invalid_sweep_is_an_error_with_the_value() {
        for (text, what) in [
            ("rules", "\"rules\" is neither rules=N,N,... nor workers=N,N,..."),
            ("packets=1", "\"packets=1\" is neither"),
            ("rules=", "rules: \"\" is no number from 1 to 1000000"),
            ("rules=1,x", "rules: \"x\" is no number"),
            ("rules=1000001", "rules: \"1000001\" is no number"),
            ("workers=0", "workers: \"0\" is no number from 1 to 1024"),
        ] {
            let wrong = Sweep::parse(text).unwrap_err();
            assert!(wrong.contains(what), "{text}: {wrong}");
        }
    }

    #[test]
    fn the_baseline_is_skipped_when_it_would_take_too_long() {
        let plan = |engines: &[EngineChoice], is_sweep| BenchPlan {
            sizes: vec![None],
            workers: vec![1],
            engines: engines.to_vec(),
            is_sweep,
        };
        let (auto, linear) = (EngineChoice::Auto, EngineChoice::Linear);
        assert_eq!(plan(&[], true).engines(Some(10_000)), [linear, auto]);
        assert_eq!(plan(&[], true).engines(Some(10_001)), [auto]);
        assert_eq!(plan(&[], false).engines(Some(1)), [auto]);
        assert_eq!(plan(&[linear], true).engines(Some(10_001)), [linear]);
    }
}
