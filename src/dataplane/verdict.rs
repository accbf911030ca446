//! The result for a frame at an interface.

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

/// The session that mirrors a frame, and the rule that accepted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionMatch {
    /// Index of the session in the mirror table.
    pub session: u32,
    /// Index of the rule in the session's filter, see
    /// [`Filter::all_rules`](crate::model::Filter::all_rules), or [`SessionMatch::BY_AMAZON_DNS`].
    pub rule: u32,
}

impl SessionMatch {
    /// Value of `rule` if the network service `amazon-dns` accepted the frame.
    pub const BY_AMAZON_DNS: u32 = u32::MAX;
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
    /// Index of the interface in the mirror table; `None` if no interface owns the frame.
    pub interface: Option<u32>,
    /// Whether the frame was mirrored, and why.
    pub outcome: MirrorOutcome,
}
