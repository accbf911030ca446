//! What a user may say about speed: `max`, `original`, `2x`, `50kpps`, `1Gbps`.

use std::fmt;
use std::str::FromStr;

use crate::model::Invalid;

/// A positive number, exact: a numerator over a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    numerator: u128,
    denominator: u64,
}

/// Digits before and behind the point: what keeps all arithmetic of due times within 128 bits.
const MAX_DIGITS: usize = 18;
const MAX_FRACTION_DIGITS: usize = 9;

impl Ratio {
    /// `numerator / denominator`; nothing where one of them is zero.
    #[must_use]
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        let sound = numerator > 0 && denominator > 0;
        sound.then(|| Self { numerator: numerator.into(), denominator })
    }

    /// `count / self`, rounded down: how many units of time `count` things take.
    pub(super) fn divide(self, count: u128) -> u64 {
        let product = count.saturating_mul(u128::from(self.denominator));
        u64::try_from(product / self.numerator.max(1)).unwrap_or(u64::MAX)
    }

    /// Reads a decimal number such as `50` or `0.5`, times ten to the power of `exponent`.
    fn parse(digits: &str, exponent: u32) -> Option<Self> {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = whole.len() + fraction.len() <= MAX_DIGITS;
        if !(plain(whole) && plain(fraction) && fits && fraction.len() <= MAX_FRACTION_DIGITS) {
            return None;
        }
        let power = u32::try_from(fraction.len()).ok()?;
        let denominator = 10_u64.checked_pow(power)?;
        let whole: u64 = whole.parse().ok()?;
        let fraction: u64 = fraction.parse().ok()?;
        let mantissa = u128::from(whole) * u128::from(denominator) + u128::from(fraction);
        let numerator = mantissa.checked_mul(10_u128.checked_pow(exponent)?)?;
        (numerator > 0).then_some(Self { numerator, denominator })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denominator = u128::from(self.denominator.max(1));
        let (whole, rest) = (self.numerator / denominator, self.numerator % denominator);
        if rest == 0 {
            return whole.fmt(f);
        }
        let digits = format!("{:09}", rest.saturating_mul(1_000_000_000) / denominator);
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// How fast copies leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// As fast as they go.
    Max,
    /// As the frames were recorded, so many times as fast.
    Recorded(Ratio),
    /// So many copies a second.
    PacketsPerSecond(Ratio),
    /// So many bits a second, counted over the copies as Ethernet frames, without preamble and
    /// frame check sequence.
    BitsPerSecond(Ratio),
}

impl Speed {
    /// As the frames were recorded: what users call `original`.
    pub const ORIGINAL: Self = Self::Recorded(Ratio { numerator: 1, denominator: 1 });

    fn read(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_suffix(['x', 'X']) {
            return Ratio::parse(digits, 0).map(Self::Recorded);
        }
        if let Some(amount) = text.strip_suffix("pps") {
            return with_prefix(amount).map(Self::PacketsPerSecond);
        }
        with_prefix(text.strip_suffix("bps")?).map(Self::BitsPerSecond)
    }
}

/// `50k`, `1.5M`, `1G`, in either case, with or without a space before the letter.
fn with_prefix(amount: &str) -> Option<Ratio> {
    let (digits, exponent) = match amount.chars().next_back()? {
        'k' | 'K' => (amount.strip_suffix(['k', 'K'])?, 3),
        'm' | 'M' => (amount.strip_suffix(['m', 'M'])?, 6),
        'g' | 'G' => (amount.strip_suffix(['g', 'G'])?, 9),
        _ => (amount, 0),
    };
    Ratio::parse(digits.trim_end(), exponent)
}

impl FromStr for Speed {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let read = match text.trim() {
            "max" => Some(Self::Max),
            "original" => Some(Self::ORIGINAL),
            other => Self::read(other),
        };
        read.ok_or_else(|| {
            let expected = "max, original, a multiple of it such as 2x or 0.5x, packets a second \
                            such as 1000pps, 50kpps or 1.5Mpps, or bits a second such as 500kbps, \
                            100Mbps or 1Gbps; more than zero, at most 9 decimals";
            Invalid::new("speed", text, expected)
        })
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Recorded(_) if *self == Self::ORIGINAL => f.write_str("original"),
            Self::Recorded(ratio) => write!(f, "{ratio}x"),
            Self::PacketsPerSecond(ratio) => write!(f, "{ratio}pps"),
            Self::BitsPerSecond(ratio) => write!(f, "{ratio}bps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_the_contract() {
        for (text, printed) in [
            ("max", "max"),
            ("original", "original"),
            ("1x", "1x"),
            ("2x", "2x"),
            ("0.5x", "0.5x"),
            ("50kpps", "50000pps"),
            ("1000pps", "1000pps"),
            ("1.5Mpps", "1500000pps"),
            ("1Gbps", "1000000000bps"),
            ("100Mbps", "100000000bps"),
            ("500kbps", "500000bps"),
            ("9600bps", "9600bps"),
            ("0.25pps", "0.25pps"),
            ("10 mbps", "10000000bps"),
        ] {
            let speed: Speed = text.parse().unwrap();
            assert_eq!(speed.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else_and_says_what_would_be_right() {
        for text in [
            "",
            "fast",
            "0x",
            "0pps",
            "0.0Mbps",
            "-1x",
            "+1x",
            "NaNx",
            "infpps",
            "1e3pps",
            "x",
            "pps",
            "kpps",
            "1GBps",
            "1Gb",
            "1..5x",
            "1.x",
            ".5x",
            "1_000pps",
            "50",
            "1.0000000001x",
            "9999999999999999999pps",
            "١x",
        ] {
            let refused = text.parse::<Speed>().unwrap_err();
            assert_eq!((refused.field, refused.value.as_str()), ("speed", text));
            assert!(refused.expected.contains("50kpps"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Speed>();
        }
    }
}
