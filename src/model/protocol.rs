//! IP protocols and port ranges.

use std::fmt;

use super::InvalidValue;

/// An IP protocol by its IANA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// TCP, number 6.
    pub const TCP: Self = Self(6);
    /// UDP, number 17.
    pub const UDP: Self = Self(17);

    /// A protocol from its IANA number.
    ///
    /// # Errors
    /// [`InvalidValue`] for a number outside 0 to 255, such as -1.
    pub fn new(number: impl Into<i64>) -> Result<Self, InvalidValue> {
        let number = number.into();
        let expected = "an IANA number from 0 to 255, or nothing for all protocols";
        u8::try_from(number).map(Self).map_err(|_| InvalidValue::new("protocol", number, expected))
    }

    /// Whether rules for it may have a port range: "This applies to the TCP and UDP protocols" (EC2
    /// API).
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ports from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortRange {
    from_port: u16,
    to_port: u16,
}

impl PortRange {
    /// The ports from `from_port` to `to_port`.
    ///
    /// # Errors
    /// [`InvalidValue`] with `field` if a port is outside 0 to 65535 or the range is reversed.
    pub fn new(
        field: &'static str,
        from_port: impl Into<i64>,
        to_port: impl Into<i64>,
    ) -> Result<Self, InvalidValue> {
        let (from, to) = (from_port.into(), to_port.into());
        match (u16::try_from(from), u16::try_from(to)) {
            (Ok(from_port), Ok(to_port)) if from_port <= to_port => Ok(Self { from_port, to_port }),
            _ => {
                let expected = "ports from 0 to 65535, from_port not above to_port";
                Err(InvalidValue::new(field, format_args!("{from}-{to}"), expected))
            }
        }
    }

    /// The first port.
    #[must_use]
    pub const fn from_port(self) -> u16 {
        self.from_port
    }

    /// The last port.
    #[must_use]
    pub const fn to_port(self) -> u16 {
        self.to_port
    }

    /// Whether `port` is in the range.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.from_port <= port && port <= self.to_port
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from_port, self.to_port)
    }
}
