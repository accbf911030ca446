//! Rates in packets per second or bits per second.

use std::fmt;
use std::str::FromStr;

use super::InvalidValue;

/// An exact positive number: a numerator and a denominator. It is displayed with at most nine
/// decimals, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    numerator: u128,
    denominator: u64,
}

/// Limits on the digits before and after the decimal point, which keep the arithmetic of send times
/// within 128 bits.
const MAX_DIGITS: usize = 18;
const MAX_FRACTION_DIGITS: usize = 9;

impl Ratio {
    /// One.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// `numerator / denominator`; `None` if one of them is zero.
    #[must_use]
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        let is_positive = numerator > 0 && denominator > 0;
        is_positive.then(|| Self { numerator: numerator.into(), denominator })
    }

    /// `count / self`, rounded down, and `u64::MAX` if it is larger. For a rate in items per
    /// second, this is the time of `count` items in seconds.
    #[must_use]
    pub fn divide(self, count: u128) -> u64 {
        let product = count.saturating_mul(u128::from(self.denominator));
        u64::try_from(product / self.numerator.max(1)).unwrap_or(u64::MAX)
    }

    /// `count * self`, rounded down, and `u64::MAX` if it is larger.
    #[must_use]
    pub fn multiply(self, count: u64) -> u64 {
        let product = self.numerator.saturating_mul(u128::from(count));
        u64::try_from(product / u128::from(self.denominator.max(1))).unwrap_or(u64::MAX)
    }

    /// Parses a decimal number such as `50` or `0.5`, multiplied by ten to the power of `exponent`.
    /// `None` for other texts, for zero, and for more digits than the limits above.
    pub(crate) fn parse(digits: &str, exponent: u32) -> Option<Self> {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = whole.len() + fraction.len() <= MAX_DIGITS;
        if !(is_digits(whole)
            && is_digits(fraction)
            && fits
            && fraction.len() <= MAX_FRACTION_DIGITS)
        {
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

/// A rate of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Copies per second.
    Packets(Ratio),
    /// Bits per second of the copies as Ethernet frames, without preamble and frame check sequence.
    Bits(Ratio),
}

impl Rate {
    /// Parses `50kpps` or `1.5Gbps`; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(amount) = text.strip_suffix("pps") {
            return parse_si_number(amount).map(Self::Packets);
        }
        parse_si_number(text.strip_suffix("bps")?).map(Self::Bits)
    }

    /// The nanoseconds that `packets` packets with `bits` bits in total take at this rate.
    #[must_use]
    pub fn duration_ns(self, packets: u64, bits: u64) -> u64 {
        let (ratio, units) = match self {
            Self::Packets(ratio) => (ratio, packets),
            Self::Bits(ratio) => (ratio, bits),
        };
        ratio.divide(u128::from(units) * 1_000_000_000)
    }
}

impl FromStr for Rate {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::parse(text.trim()).ok_or_else(|| {
            let expected = "packets a second such as 1000pps or 50kpps, or bits a second such as \
                            500kbps, 100Mbps or 1Gbps; more than zero, at most 9 decimals";
            InvalidValue::new("rate_limit", text, expected)
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packets(ratio) => write!(f, "{ratio}pps"),
            Self::Bits(ratio) => write!(f, "{ratio}bps"),
        }
    }
}

/// Parses `50k`, `1.5M` or `1G`, in upper or lower case, with or without a space before the letter.
fn parse_si_number(amount: &str) -> Option<Ratio> {
    let (digits, exponent) = match amount.chars().next_back()? {
        'k' | 'K' => (amount.strip_suffix(['k', 'K'])?, 3),
        'm' | 'M' => (amount.strip_suffix(['m', 'M'])?, 6),
        'g' | 'G' => (amount.strip_suffix(['g', 'G'])?, 9),
        _ => (amount, 0),
    };
    Ratio::parse(digits.trim_end(), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_exact_and_limited() {
        let ratio = Ratio::parse("0.3", 0).unwrap();
        assert_eq!((ratio.multiply(10), ratio.multiply(9), ratio.divide(3)), (3, 2, 10));
        assert_eq!(Ratio::parse("2", 0).unwrap().multiply(u64::MAX), u64::MAX);
    }

    #[test]
    fn rates_are_parsed_exactly() {
        let rate: Rate = "1.5Mbps".parse().unwrap();
        assert_eq!(
            (rate.duration_ns(9, 1_500_000), rate.to_string()),
            (1_000_000_000, "1500000bps".into())
        );
        let rate: Rate = "0.5pps".parse().unwrap();
        assert_eq!(rate.duration_ns(1, 9), 2_000_000_000);
        for wrong in ["", "5", "2x", "max", "0pps", "1GB"] {
            assert_eq!(wrong.parse::<Rate>().unwrap_err().field, "rate_limit");
        }
    }
}
