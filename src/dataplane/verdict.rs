//! The result for a frame at an interface.

use super::index::{InterfaceIndex, RuleIndex, SessionIndex};
use crate::model::Direction;

/// The reason why a frame was not mirrored. It is not a loss: no session selected the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NotMirrored {
    /// No session of the interface accepted it.
    NoSessionMatched,
    /// Its EtherType is not IPv4 or IPv6; ARP, for example.
    NotIp,
    /// Its EtherType is IPv4 or IPv6, but its IP header is invalid or truncated.
    Unparsable,
    /// Traffic that AWS never mirrors: DHCP, instance metadata, time service, Windows activation.
    AwsExcluded,
    /// DNS with the VPC resolver, and no session's filter enables `amazon-dns`.
    AmazonDns,
    /// None of its addresses belongs to an interface of the configuration.
    NoNetworkInterface,
    /// Its link type is not supported.
    UnsupportedLinkType,
    /// It is a copy that this process sent, possibly in a tunnel or quoted in an ICMP error.
    OwnTraffic,
    /// It is a copy of a copy, or an ICMP error about a copy. Two mirrors that receive each other's
    /// copies would forward such frames without end.
    NestedCopy,
}

impl NotMirrored {
    /// Every reason, in the order of [`NotMirrored::index`].
    pub const ALL: [Self; 9] = [
        Self::NoSessionMatched,
        Self::NotIp,
        Self::Unparsable,
        Self::AwsExcluded,
        Self::AmazonDns,
        Self::NoNetworkInterface,
        Self::UnsupportedLinkType,
        Self::OwnTraffic,
        Self::NestedCopy,
    ];

    /// Index in [`NotMirrored::ALL`].
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::NoSessionMatched => 0,
            Self::NotIp => 1,
            Self::Unparsable => 2,
            Self::AwsExcluded => 3,
            Self::AmazonDns => 4,
            Self::NoNetworkInterface => 5,
            Self::UnsupportedLinkType => 6,
            Self::OwnTraffic => 7,
            Self::NestedCopy => 8,
        }
    }

    /// The label in reports and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoSessionMatched => "no_session_matched",
            Self::NotIp => "not_ip",
            Self::Unparsable => "unparsable",
            Self::AwsExcluded => "aws_excluded",
            Self::AmazonDns => "amazon_dns",
            Self::NoNetworkInterface => "no_network_interface",
            Self::UnsupportedLinkType => "unsupported_link_type",
            Self::OwnTraffic => "own_traffic",
            Self::NestedCopy => "nested_copy",
        }
    }
}

/// The part of a filter that accepted a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptedBy {
    /// A rule.
    Rule(RuleIndex),
    /// The network service `amazon-dns`.
    AmazonDns,
}

impl AcceptedBy {
    /// The rule; `None` if a network service accepted the frame.
    #[inline(always)]
    #[must_use]
    pub const fn rule(self) -> Option<RuleIndex> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::AmazonDns => None,
        }
    }
}

/// The session that mirrors a frame, and the part of its filter that accepted the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionMatch {
    /// The session.
    pub session: SessionIndex,
    /// The part of its filter.
    pub by: AcceptedBy,
}

/// The outcome of a frame at one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MirrorOutcome {
    /// A copy was made.
    Mirrored(SessionMatch),
    /// No copy was made.
    NotMirrored(NotMirrored),
}

/// The outcome of one frame at one interface. A frame with the addresses of two interfaces has two
/// verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the frame in its burst.
    pub frame: u16,
    /// Direction at the interface; meaningless if there is no interface.
    pub direction: Direction,
    /// The interface; `None` if no interface owns the frame.
    pub interface: Option<InterfaceIndex>,
    /// Whether the frame was mirrored, and why.
    pub outcome: MirrorOutcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_has_eight_bytes_and_its_parts_four_each() {
        assert_eq!(size_of::<AcceptedBy>(), 4);
        assert_eq!(size_of::<Option<SessionMatch>>(), 8);
        assert_eq!(size_of::<MirrorOutcome>(), 8);
    }
}
