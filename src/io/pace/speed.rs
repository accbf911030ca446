//! The speeds that a user can give: `max`, `original`, `2x`, `50kpps`, `1Gbps`.

use std::fmt;
use std::str::FromStr;

use crate::model::{InvalidValue, Rate, Ratio};

/// How fast copies leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// As fast as possible.
    Max,
    /// With the recorded gaps, this many times as fast.
    Recorded(Ratio),
    /// This many copies per second.
    PacketsPerSecond(Ratio),
    /// This many bits per second, counted over the copies as Ethernet frames, without preamble and
    /// frame check sequence.
    BitsPerSecond(Ratio),
}

impl Speed {
    /// The recorded gaps; users write `original`.
    pub const ORIGINAL: Self = Self::Recorded(Ratio::ONE);

    fn read(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_suffix(['x', 'X']) {
            return Ratio::parse(digits, 0).map(Self::Recorded);
        }
        Rate::parse(text).map(|rate| match rate {
            Rate::Packets(ratio) => Self::PacketsPerSecond(ratio),
            Rate::Bits(ratio) => Self::BitsPerSecond(ratio),
        })
    }
}

impl FromStr for Speed {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let trimmed = text.trim();
        let read = match &*trimmed.to_ascii_lowercase() {
            "max" => Some(Self::Max),
            "original" => Some(Self::ORIGINAL),
            _ => Self::read(trimmed),
        };
        read.ok_or_else(|| {
            let expected = "max, original, a multiple of it such as 2x or 0.5x, packets per second \
                            such as 1000pps, 50kpps or 1.5Mpps, or bits per second such as \
                            500kbps, 100Mbps or 1Gbps; more than zero, at most 9 decimals";
            InvalidValue::new("speed", text, expected)
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
    fn every_documented_speed_is_parsed() {
        for (text, printed) in [
            ("max", "max"),
            ("MAX", "max"),
            ("Original", "original"),
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
    fn an_invalid_speed_is_an_error_with_the_expected_form() {
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
        fn arbitrary_text_does_not_panic(text in "\\PC*") {
            let _ = text.parse::<Speed>();
        }
    }
}
