//! What became of a frame.

use crate::model::Direction;

/// Why a frame stayed behind. Not a loss: nobody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NotMirrored {
    /// No session of the interface accepted it.
    NoSessionMatched,
    /// Its EtherType is not that of IP, ARP too.
    NotIp,
    /// Its EtherType says IP, but no addresses could be read.
    Unparsable,
    /// Traffic that AWS never mirrors: DHCP, instance metadata, time service, Windows activation.
    AwsExcluded,
    /// DNS with the VPC resolver, and no session's filter has `amazon-dns`.
    AmazonDns,
    /// It bears the address of no interface in the configuration.
    NoNetworkInterface,
    /// Its link type carries no IP in a way known here.
    UnsupportedLinkType,
    /// It is a copy that we sent, perhaps in a tunnel or quoted in an ICMP error: a mirror never
    /// mirrors itself.
    OwnTraffic,
    /// It is a copy of a copy, or an ICMP error about a copy: mirrors that see each other's copies
    /// would send such frames round and round.
    NestedCopy,
}

impl NotMirrored {
    /// Every reason, in the order of their numbers.
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

    /// Its place in [`NotMirrored::ALL`].
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

/// What a session took a frame for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionMatch {
    /// Index of the session in the mirror table.
    pub session: u32,
    /// Index of the rule in the session's filter, see
    /// [`Filter::all_rules`](crate::model::Filter::all_rules); or [`SessionMatch::BY_AMAZON_DNS`].
    pub rule: u32,
}

impl SessionMatch {
    /// In place of a rule: the network service `amazon-dns` took the frame.
    pub const BY_AMAZON_DNS: u32 = u32::MAX;
}

/// The end of a frame's way at one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MirrorOutcome {
    /// A copy was made.
    Mirrored(SessionMatch),
    /// No copy was made.
    NotMirrored(NotMirrored),
}

/// What became of one frame at one interface. A frame that bears the addresses of two interfaces
/// has two verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the frame in its burst.
    pub frame: u16,
    /// Seen from the interface. Of no meaning where there is none.
    pub direction: Direction,
    /// Index of the interface in the mirror table; [`Verdict::NO_INTERFACE`] where there is none.
    pub interface: u32,
    /// The end.
    pub outcome: MirrorOutcome,
}

impl Verdict {
    /// In place of an interface: the frame belongs to none.
    pub const NO_INTERFACE: u32 = u32::MAX;
}
