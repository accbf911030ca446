//! Which packets are drawn: how many meet a rule, and which.

use std::fmt;

use serde::Serialize;

/// Shares in percent; they add up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in super::super) struct Mix {
    /// Anywhere inside of any rule.
    pub(super) hit: u8,
    /// Headers that know nothing of the rules.
    pub(super) miss: u8,
    /// Anywhere inside of the last rule.
    pub(super) last: u8,
}

impl Mix {
    /// Reads `hit=80,miss=15,last=5`; what is not named is 0.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut mix = Self { hit: 0, miss: 0, last: 0 };
        let mut seen = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "hit" => &mut mix.hit,
                "miss" => &mut mix.miss,
                "last" => &mut mix.last,
                _ => return Err(format!("{part:?} is none of hit=N, miss=N and last=N")),
            };
            if seen.contains(&name) {
                return Err(format!("{name} is there twice"));
            }
            seen.push(name);
            *place = share
                .parse()
                .ok()
                .filter(|share| *share <= 100)
                .ok_or_else(|| format!("{name}: {share:?} is no number from 0 to 100"))?;
        }
        let sum = u32::from(mix.hit) + u32::from(mix.miss) + u32::from(mix.last);
        if sum == 100 { Ok(mix) } else { Err(format!("the shares add up to {sum}, not to 100")) }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hit={},miss={},last={}", self.hit, self.miss, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_parsed_and_printed() {
        let mix = Mix::parse("miss=15,hit=80,last=5").unwrap();
        assert_eq!(mix.to_string(), "hit=80,miss=15,last=5");
        assert_eq!(Mix::parse("last=100").unwrap(), Mix { hit: 0, miss: 0, last: 100 });
    }

    #[test]
    fn an_invalid_mix_is_an_error_with_the_value() {
        for (text, what) in [
            ("", "\"\" is none of hit=N, miss=N and last=N"),
            ("hit", "hit: \"\" is no number from 0 to 100"),
            ("hit=101", "hit: \"101\" is no number"),
            ("hit=-1", "hit: \"-1\" is no number"),
            ("hit=50,hit=50", "hit is there twice"),
            ("first=100", "\"first=100\" is none of"),
            ("hit=80,miss=15", "the shares add up to 95, not to 100"),
            ("hit=100,miss=100,last=100", "add up to 300"),
        ] {
            let wrong = Mix::parse(text).unwrap_err();
            assert!(wrong.contains(what), "{text}: {wrong}");
        }
    }
}
