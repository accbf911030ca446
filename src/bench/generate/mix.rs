//! The mix of generated packets: which share matches a rule, and which rule.

use std::fmt;

use serde::Serialize;

/// Shares of generated packets in percent; their sum is 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Packets that match a random rule.
    pub(super) hit: u8,
    /// Packets with random headers; they match a rule only by chance.
    pub(super) miss: u8,
    /// Packets that match the last rule.
    pub(super) last: u8,
}

impl Mix {
    /// Parses `hit=80,miss=15,last=5`; a share that is not named is 0.
    ///
    /// # Errors
    /// The invalid part and what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut mix = Self { hit: 0, miss: 0, last: 0 };
        let mut seen = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').unwrap_or((part, ""));
            let field = match name {
                "hit" => &mut mix.hit,
                "miss" => &mut mix.miss,
                "last" => &mut mix.last,
                _ => return Err(format!("{part:?}: expected hit=N, miss=N or last=N")),
            };
            if seen.contains(&name) {
                return Err(format!("{name} is given twice: expected each share once"));
            }
            seen.push(name);
            *field = share
                .parse()
                .ok()
                .filter(|share| *share <= 100)
                .ok_or_else(|| format!("{name}={share}: expected a number from 0 to 100"))?;
        }
        let sum = u32::from(mix.hit) + u32::from(mix.miss) + u32::from(mix.last);
        if sum == 100 {
            Ok(mix)
        } else {
            Err(format!("the sum of the shares is {sum}: expected 100"))
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self { hit: 80, miss: 15, last: 5 }
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
        assert_eq!(mix, Mix::default());
        assert_eq!(Mix::parse("last=100").unwrap(), Mix { hit: 0, miss: 0, last: 100 });
    }

    #[test]
    fn an_invalid_mix_is_an_error_with_the_value() {
        for (text, what) in [
            ("", "\"\": expected hit=N, miss=N or last=N"),
            ("hit", "hit=: expected a number from 0 to 100"),
            ("hit=101", "hit=101: expected a number"),
            ("hit=-1", "hit=-1: expected a number"),
            ("hit=50,hit=50", "hit is given twice"),
            ("first=100", "\"first=100\": expected"),
            ("hit=80,miss=15", "the sum of the shares is 95: expected 100"),
            ("hit=100,miss=100,last=100", "the shares is 300"),
        ] {
            let wrong = Mix::parse(text).unwrap_err();
            assert!(wrong.contains(what), "{text}: {wrong}");
        }
    }
}
