//! The longest recorded gap, as a user gives it: `500ms`, `1.5s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{InvalidValue, Ratio};

/// A limit on recorded gaps, at least a nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxGap(Duration);

/// The units, and the power of ten by which each is longer than a nanosecond. A unit precedes those
/// that it ends with.
const UNITS: [(&str, u32); 5] = [("ns", 0), ("us", 3), ("µs", 3), ("ms", 6), ("s", 9)];

impl MaxGap {
    /// The limit.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    fn read(text: &str) -> Option<Self> {
        let (digits, exponent) = UNITS
            .into_iter()
            .find_map(|(unit, exponent)| Some((text.strip_suffix(unit)?, exponent)))?;
        let nanoseconds = Ratio::parse(digits.trim_end(), exponent)?.multiply(1);
        (nanoseconds > 0).then_some(Self(Duration::from_nanos(nanoseconds)))
    }
}

impl FromStr for MaxGap {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::read(text.trim()).ok_or_else(|| {
            let expected = "a time with the unit s, ms, us or ns, such as 1s, 0.5s or 200ms; more \
                            than zero, at most 9 decimals";
            InvalidValue::new("max_gap", text, expected)
        })
    }
}

impl fmt::Display for MaxGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_with_their_unit() {
        for (text, nanoseconds) in [
            ("1s", 1_000_000_000),
            ("1.5s", 1_500_000_000),
            ("200 ms", 200_000_000),
            ("0.5us", 500),
            ("25us", 25_000),
            ("7ns", 7),
        ] {
            let gap: MaxGap = text.parse().unwrap();
            assert_eq!(gap.duration(), Duration::from_nanos(nanoseconds), "{text}");
            assert_eq!(gap.to_string().parse(), Ok(gap), "{text}");
        }
        for wrong in ["", "1", "s", "0s", "0.1ns", "-1s", "1m", "1S", "1e3s", "inf s", "x"] {
            let refused = wrong.parse::<MaxGap>().unwrap_err();
            assert_eq!((refused.field, refused.value.as_str()), ("max_gap", wrong));
            assert!(refused.expected.contains("200ms"));
        }
    }
}
