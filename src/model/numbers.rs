//! Numbers that are restricted to a range.

use std::fmt;

use super::InvalidValue;

// A type for an integer in a range. Its error names the field, the number and the range.
macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident($int:ty), $field:literal, $min:literal ..= $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// The smallest value.
            pub const MIN: Self = Self($min);
            /// The largest value.
            pub const MAX: Self = Self($max);

            /// A number in the range.
            ///
            /// # Errors
            /// [`InvalidValue`] for a number outside the range.
            pub fn new(number: impl Into<i64>) -> Result<Self, InvalidValue> {
                let number = number.into();
                match <$int>::try_from(number) {
                    Ok(value) if ($min..=$max).contains(&value) => Ok(Self(value)),
                    _ => {
                        let expected = concat!("a number from ", $min, " to ", $max);
                        Err(InvalidValue::new($field, number, expected))
                    }
                }
            }

            /// The number.
            #[must_use]
            pub const fn value(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

ranged!(
    /// The evaluation order of a session among those of its network interface, lowest first
    /// (EC2 API, `SessionNumber`: "Valid values are 1-32766").
    SessionNumber(u16), "session_number", 1..=32766
);
ranged!(
    /// The evaluation order of a rule among those of its direction, lowest first. AWS documents no
    /// range; this program uses the range of SessionNumber.
    RuleNumber(u16), "rule_number", 1..=32766
);
ranged!(
    /// The number of bytes of a frame that are copied, from its destination MAC address on. AWS
    /// documents the range for Network Load Balancers; this program uses it for every target.
    PacketLength(u16), "packet_length", 1..=8500
);
ranged!(
    /// The VXLAN network identifier, a 24-bit number (RFC 7348, section 5).
    VirtualNetworkId(u32), "virtual_network_id", 0..=16_777_215
);
ranged!(
    /// The longest IP packet, in bytes, that the path to a target carries. 68 is the minimum for
    /// IPv4 (RFC 791, section 3.2).
    Mtu(u16), "mtu", 68..=65535
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_limits_are_inclusive() {
        assert!(SessionNumber::new(1).is_ok() && SessionNumber::new(32766).is_ok());
        assert!(SessionNumber::new(0).is_err() && SessionNumber::new(32767).is_err());
        assert!(PacketLength::new(1).is_ok() && PacketLength::new(8500).is_ok());
        assert!(PacketLength::new(0).is_err() && PacketLength::new(8501).is_err());
        assert!(VirtualNetworkId::new(0).is_ok() && VirtualNetworkId::new(16_777_215).is_ok());
        assert!(VirtualNetworkId::new(-1).is_err() && VirtualNetworkId::new(16_777_216).is_err());
    }

    #[test]
    fn an_error_has_field_value_and_range() {
        let refused = SessionNumber::new(40_000).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "session_number `40000`: expected a number from 1 to 32766"
        );
    }
}
