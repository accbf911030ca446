//! Directions: ingress and egress.

use std::fmt;

use super::InvalidValue;

/// The direction of traffic at the mirrored network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Inbound to the interface.
    Ingress,
    /// Outbound from the interface.
    Egress,
}

impl Direction {
    /// Both, ingress first.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// `ingress` or `egress`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// Parses `ingress` or `egress`, in upper, lower or mixed case.
    ///
    /// # Errors
    /// [`InvalidValue`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let mut known =
            Self::BOTH.into_iter().filter(|one| text.eq_ignore_ascii_case(one.as_str()));
        let expected = "ingress or egress";
        known.next().ok_or_else(|| InvalidValue::new("traffic_direction", text, expected))
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
