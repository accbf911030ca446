//! The faults that a user can request: `loss=1%,duplicate=0.1%,reorder=2%:8,corrupt=0.01%`.

use std::fmt;
use std::str::FromStr;

use crate::model::InvalidValue;

/// A probability from 0 to 1, in billionths. It is displayed as a percentage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(u32);

/// Which copies are delayed and by how many other copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reordering {
    /// The probability of each copy.
    pub probability: Probability,
    /// A copy is delayed by 1 to this number of copies, from 1 to [`Reordering::MAX_DISTANCE`].
    pub distance: u16,
}

/// The faults of copies. Each copy gets each kind independently of other copies and kinds.
///
/// ```
/// use traffic_mirror::io::impair::Impairments;
///
/// let impairments: Impairments = "loss=1%,reorder=2%:8".parse()?;
/// assert_eq!(impairments.to_string(), "loss=1%,reorder=2%:8");
/// assert!("los=1%".parse::<Impairments>().is_err());
/// # Ok::<(), traffic_mirror::model::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Impairments {
    /// The copy is not passed on.
    pub loss: Probability,
    /// The copy is passed on twice, one directly after the other.
    pub duplicate: Probability,
    /// The copy is delayed.
    pub reorder: Reordering,
    /// One random bit of the inner frame is flipped. The outer headers stay valid.
    pub corrupt: Probability,
}

/// The keys of the text.
const KEYS: [&str; 4] = ["loss", "duplicate", "reorder", "corrupt"];

const SHARE: &str = "a percentage such as 1% or 0.1%, or a fraction below 1 such as 0.01, with at \
                     most 9 decimals (7 in a percentage)";

impl Probability {
    /// One, in the unit of [`Probability::billionths`].
    pub(super) const BILLION: u64 = 1_000_000_000;

    /// The probability in billionths.
    #[must_use]
    pub fn billionths(self) -> u64 {
        self.0.into()
    }

    /// Parses `1%`, `0.1%` or `0.01`. A number from 1 on needs a percent sign, because `1` may mean
    /// one percent or all.
    fn parse(text: &str) -> Option<Self> {
        let (digits, decimals) = match text.strip_suffix('%') {
            Some(percent) => (percent, 7),
            None => (text, 9),
        };
        let billionths = parse_decimal(digits.trim_end(), decimals)?;
        let is_valid = match decimals {
            7 => billionths <= Self::BILLION,
            _ => billionths < Self::BILLION,
        };
        let billionths = u32::try_from(billionths).ok()?;
        is_valid.then_some(Self(billionths))
    }
}

/// A decimal number in units of ten to the power of `-decimals`.
fn parse_decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|one| one.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() > 3 || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

impl Reordering {
    /// The distance if none is given.
    pub const DEFAULT_DISTANCE: u16 = 8;

    /// The largest distance: the number of copies that may be held in memory.
    pub const MAX_DISTANCE: u16 = 1024;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let (share, distance) = match text.split_once(':') {
            Some((share, distance)) => (share, distance.parse().ok()),
            None => (text, Some(Self::DEFAULT_DISTANCE)),
        };
        let distance = distance.filter(|one| (1..=Self::MAX_DISTANCE).contains(one));
        let expected = || {
            format!(
                "{SHARE}; then optionally a colon and the largest delay, from 1 to {} copies, as \
                 in 2%:8",
                Self::MAX_DISTANCE
            )
        };
        match (Probability::parse(share.trim_end()), distance) {
            (Some(probability), Some(distance)) => Ok(Self { probability, distance }),
            _ => Err(InvalidValue::new("reorder", text, expected())),
        }
    }
}

impl Default for Reordering {
    fn default() -> Self {
        Self { probability: Probability::default(), distance: Self::DEFAULT_DISTANCE }
    }
}

impl FromStr for Impairments {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut impairments = Self::default();
        let mut given = Vec::new();
        for pair in text.split(',').map(str::trim) {
            let Some((key, value)) = pair.split_once('=') else {
                let expected = "KEY=SHARE pairs with commas between them, such as \
                                loss=1%,reorder=2%:8; the keys are loss, duplicate, reorder and \
                                corrupt";
                return Err(InvalidValue::new("impair", pair, expected));
            };
            let (key, value) = (key.trim_end(), value.trim_start());
            let Some(key) = KEYS.into_iter().find(|known| *known == key) else {
                let expected = "one of loss, duplicate, reorder, corrupt before the equals sign";
                return Err(InvalidValue::new("impair", key, expected));
            };
            if given.contains(&key) {
                return Err(InvalidValue::new(key, value, format!("{key} only once")));
            }
            given.push(key);
            impairments.set(key, value)?;
        }
        Ok(impairments)
    }
}

impl Impairments {
    fn set(&mut self, key: &'static str, value: &str) -> Result<(), InvalidValue> {
        let share = match key {
            "loss" => &mut self.loss,
            "duplicate" => &mut self.duplicate,
            "reorder" => {
                self.reorder = Reordering::parse(value)?;
                return Ok(());
            }
            _ => &mut self.corrupt,
        };
        *share = Probability::parse(value).ok_or_else(|| InvalidValue::new(key, value, SHARE))?;
        Ok(())
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, rest) = (self.0 / 10_000_000, self.0 % 10_000_000);
        if rest == 0 {
            return write!(f, "{percent}%");
        }
        let decimals = format!("{rest:07}");
        write!(f, "{percent}.{}%", decimals.trim_end_matches('0'))
    }
}

/// The form that [`FromStr`] reads, without kinds that never occur; empty if none occurs.
impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reordering { probability, distance } = self.reorder;
        let kinds = [
            (self.loss, format!("loss={}", self.loss)),
            (self.duplicate, format!("duplicate={}", self.duplicate)),
            (probability, format!("reorder={probability}:{distance}")),
            (self.corrupt, format!("corrupt={}", self.corrupt)),
        ];
        let occurring = kinds.into_iter().filter(|(share, _)| *share > Probability::default());
        f.write_str(&occurring.map(|(_, text)| text).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_fractions_are_parsed_exactly() {
        for (text, printed) in [
            ("loss=1%", "loss=1%"),
            ("loss=0.01", "loss=1%"),
            ("loss=100%", "loss=100%"),
            ("corrupt=0.0000001%", "corrupt=0.0000001%"),
            ("corrupt=0.000000001", "corrupt=0.0000001%"),
            ("duplicate=0.1%", "duplicate=0.1%"),
            ("duplicate=12.5 %", "duplicate=12.5%"),
            ("reorder=2%", "reorder=2%:8"),
            ("reorder=2%:1024", "reorder=2%:1024"),
            ("loss=0%", ""),
            ("loss=0", ""),
            (
                " corrupt=3% , reorder = 0.5:1,duplicate=0.25,loss=7%",
                "loss=7%,duplicate=25%,reorder=50%:1,corrupt=3%",
            ),
        ] {
            let impairments: Impairments = text.parse().unwrap();
            assert_eq!(impairments.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn an_error_names_the_key_the_value_and_what_would_be_right() {
        for (text, key, value, expected) in [
            ("loss=1", "loss", "1", "1%"),
            ("loss=1.0", "loss", "1.0", "1%"),
            ("loss=101%", "loss", "101%", "percentage"),
            ("loss=100.0000001%", "loss", "100.0000001%", "percentage"),
            ("loss=-1%", "loss", "-1%", "percentage"),
            ("loss=1%%", "loss", "1%%", "percentage"),
            ("loss=1e-3", "loss", "1e-3", "fraction"),
            ("loss=", "loss", "", "percentage"),
            ("loss=.5", "loss", ".5", "fraction"),
            ("loss=0.00000001%", "loss", "0.00000001%", "7 in a percentage"),
            ("loss=1%:8", "loss", "1%:8", "percentage"),
            ("corrupt=x", "corrupt", "x", "percentage"),
            ("reorder=2%:0", "reorder", "2%:0", "from 1 to 1024"),
            ("reorder=2%:1025", "reorder", "2%:1025", "from 1 to 1024"),
            ("reorder=2%:", "reorder", "2%:", "colon"),
            ("reorder=8", "reorder", "8", "2%:8"),
            ("loss=1%,loss=2%", "loss", "2%", "only once"),
            ("los=1%", "impair", "los", "loss, duplicate, reorder, corrupt"),
            ("LOSS=1%", "impair", "LOSS", "loss, duplicate, reorder, corrupt"),
            ("", "impair", "", "loss=1%"),
            ("loss=1%,", "impair", "", "KEY=SHARE"),
            ("loss 1%", "impair", "loss 1%", "KEY=SHARE"),
        ] {
            let refused = text.parse::<Impairments>().unwrap_err();
            assert_eq!((refused.field, refused.value.as_str()), (key, value), "{text}");
            assert!(refused.expected.contains(expected), "{text}: {refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_displayed_is_read_again(shares in proptest::array::uniform4(1_u32..=1_000_000_000), distance in 1_u16..=1024) {
            let [loss, duplicate, probability, corrupt] = shares.map(Probability);
            let reorder = Reordering { probability, distance };
            let impairments = Impairments { loss, duplicate, reorder, corrupt };
            proptest::prop_assert_eq!(impairments.to_string().parse(), Ok(impairments));
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in "\\PC*") {
            let _ = text.parse::<Impairments>();
        }
    }
}
