//! `--sweep`: lists of values, each of which is measured.

use super::super::exit::Failure;

/// A list of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sweep {
    /// Numbers of generated rules.
    Rules(Vec<u32>),
    /// Numbers of threads that share the packets.
    Workers(Vec<u32>),
}

/// More threads than a machine has processors.
pub(super) const MAX_WORKERS: u32 = 1024;

/// The lists of all `--sweep`; `None` if there is no such list.
pub(super) struct SweepLists {
    pub(super) rules: Option<Vec<u32>>,
    pub(super) workers: Option<Vec<u32>>,
}

impl Sweep {
    /// Parses `rules=1,10,100` or `workers=1,2`.
    ///
    /// # Errors
    /// The invalid part and what is expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected rules=N,N,... or workers=N,N,...";
        let (name, list) = text.split_once('=').ok_or_else(|| format!("{text:?}: {expected}"))?;
        let max = match name {
            "rules" => 1_000_000,
            "workers" => MAX_WORKERS,
            _ => return Err(format!("{text:?}: {expected}")),
        };
        let values = list.split(',').map(|number| {
            let value = number.parse().ok().filter(|value| (1..=max).contains(value));
            value.ok_or_else(|| format!("{name}={number}: expected a number from 1 to {max}"))
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(if name == "rules" { Self::Rules(values) } else { Self::Workers(values) })
    }
}

/// The lists by what they vary.
///
/// # Errors
/// [`Failure`] if two lists vary the same.
pub(super) fn lists(sweeps: &[Sweep]) -> Result<SweepLists, Failure> {
    let mut lists = SweepLists { rules: None, workers: None };
    for sweep in sweeps {
        let (name, list, values) = match sweep {
            Sweep::Rules(values) => ("rules", &mut lists.rules, values),
            Sweep::Workers(values) => ("workers", &mut lists.workers, values),
        };
        if list.replace(values.clone()).is_some() {
            let what = "is given twice; write all values in one list";
            return Err(Failure::usage(format!("--sweep {name}: {what}")));
        }
    }
    Ok(lists)
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
            ("rules", "\"rules\": expected rules=N,N,... or workers=N,N,..."),
            ("packets=1", "\"packets=1\": expected"),
            ("rules=", "rules=: expected a number from 1 to 1000000"),
            ("rules=1,x", "rules=x: expected a number"),
            ("rules=1000001", "rules=1000001: expected a number"),
            ("workers=0", "workers=0: expected a number from 1 to 1024"),
        ] {
            let wrong = Sweep::parse(text).unwrap_err();
            assert!(wrong.contains(what), "{text}: {wrong}");
        }
    }
}
