//! The timestamp resolution of a pcapng interface, and the conversion to nanoseconds.

/// The length of one tick of an interface's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampResolution {
    /// 10^-n seconds.
    Decimal(u8),
    /// 2^-n seconds.
    Binary(u8),
}

impl TimestampResolution {
    /// Parses the option `if_tsresol`: the highest bit selects the base.
    pub(super) const fn from_option(option: u8) -> Self {
        let exponent = option & 0x7f;
        if option & 0x80 == 0 { Self::Decimal(exponent) } else { Self::Binary(exponent) }
    }

    /// Whether every timestamp is a whole number of microseconds. A second has 10^6 = 2^6 * 5^6
    /// microseconds, so a tick of 2^-7 s is not a whole number of them.
    pub(super) const fn fits_microseconds(self) -> bool {
        match self {
            Self::Decimal(power) | Self::Binary(power) => power <= 6,
        }
    }

    /// Converts ticks to nanoseconds since 1970-01-01 UTC, clamped to the range of `u64`.
    pub(super) fn to_nanoseconds(self, ticks: u64, offset_s: i64) -> u64 {
        let ticks = u128::from(ticks) * 1_000_000_000;
        let since_offset = match self {
            Self::Decimal(power) => {
                10_u128.checked_pow(u32::from(power)).map_or(0, |per_second| ticks / per_second)
            }
            Self::Binary(power) => ticks.checked_shr(u32::from(power)).unwrap_or(0),
        };
        let offset = i128::from(offset_s) * 1_000_000_000;
        let nanoseconds = i128::try_from(since_offset).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fit_microseconds_if_every_tick_does() {
        for option in [0, 3, 6, 0x80, 0x81, 0x86] {
            let resolution = TimestampResolution::from_option(option);
            assert!(resolution.fits_microseconds(), "{resolution:?}");
            assert_eq!(resolution.to_nanoseconds(1, 0) % 1_000, 0, "{resolution:?}");
        }
        for option in [7, 9, 12, 0x87, 0x88, 0x93, 0x94, 0xff] {
            assert!(!TimestampResolution::from_option(option).fits_microseconds(), "{option:#x}");
        }
        // 2^-8 s is 3,906.25 microseconds.
        assert_eq!(TimestampResolution::from_option(0x88).to_nanoseconds(1, 0), 3_906_250);
    }
}
