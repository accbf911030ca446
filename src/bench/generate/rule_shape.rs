//! Shapes of rule lists: distributions of the fields of their rules.
//!
//! The three shapes follow the kinds of seed files of ClassBench (Taylor and Turner, "ClassBench: A
//! Packet Classification Benchmark", INFOCOM 2005): which fields are wildcards, exact values or
//! ranges, and how often. The percentages are chosen for this project.

use std::fmt;

use serde::Serialize;

/// The kind of rule list that generated rules resemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleShape {
    /// Access list: narrow networks on both sides and one destination port.
    #[default]
    Acl,
    /// Firewall: many wildcards, and port ranges on both sides.
    Fw,
    /// IP chain: between the two; many rules have a counterpart for the opposite direction.
    Ipc,
}

impl fmt::Display for RuleShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acl => "acl",
            Self::Fw => "fw",
            Self::Ipc => "ipc",
        })
    }
}

/// The address family of generated rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressFamily {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6, with addresses in 2000::/3.
    Ipv6,
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// The ports that a rule matches.
#[derive(Debug, Clone, Copy)]
pub(super) enum PortPattern {
    Any,
    /// One port of a well-known service.
    WellKnown,
    /// One random port.
    One,
    /// From 0 to 1023.
    Low,
    /// From 1024 to 65535.
    High,
    /// Up to 1,001 ports from a random port.
    ShortRange,
}

/// Values with their weights in percent; the weights of a list have the sum 100.
type Weighted<T> = &'static [(T, u32)];

/// The distributions of the fields of a shape.
pub(super) struct ShapeDistribution {
    /// Prefix lengths, for IPv4 and for IPv6.
    pub(super) sources: Weighted<(u8, u8)>,
    pub(super) destinations: Weighted<(u8, u8)>,
    pub(super) protocols: Weighted<ProtocolPattern>,
    pub(super) source_ports: Weighted<PortPattern>,
    pub(super) destination_ports: Weighted<PortPattern>,
    /// The percentage of rules that are the reverse of the rule before.
    pub(super) reverse_percent: u64,
}

/// The protocol that a rule matches.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProtocolPattern {
    Tcp,
    Udp,
    Icmp,
    Any,
}

impl RuleShape {
    pub(super) const fn distribution(self) -> &'static ShapeDistribution {
        match self {
            Self::Acl => &ACL,
            Self::Fw => &FW,
            Self::Ipc => &IPC,
        }
    }
}

static ACL: ShapeDistribution = ShapeDistribution {
    sources: &[
        ((32, 128), 40),
        ((30, 64), 5),
        ((28, 64), 12),
        ((26, 60), 8),
        ((24, 56), 25),
        ((20, 48), 4),
        ((16, 40), 4),
        ((0, 0), 2),
    ],
    destinations: &[
        ((32, 128), 55),
        ((29, 64), 8),
        ((27, 62), 7),
        ((25, 58), 5),
        ((24, 56), 20),
        ((20, 48), 3),
        ((0, 0), 2),
    ],
    protocols: &[
        (ProtocolPattern::Tcp, 70),
        (ProtocolPattern::Udp, 22),
        (ProtocolPattern::Icmp, 3),
        (ProtocolPattern::Any, 5),
    ],
    source_ports: &[(PortPattern::Any, 100)],
    destination_ports: &[
        (PortPattern::WellKnown, 55),
        (PortPattern::One, 15),
        (PortPattern::ShortRange, 10),
        (PortPattern::High, 8),
        (PortPattern::Low, 2),
        (PortPattern::Any, 10),
    ],
    reverse_percent: 0,
};

static FW: ShapeDistribution = ShapeDistribution {
    sources: &[
        ((0, 0), 35),
        ((8, 32), 10),
        ((16, 40), 15),
        ((24, 56), 15),
        ((28, 64), 5),
        ((32, 128), 20),
    ],
    destinations: &[
        ((0, 0), 22),
        ((8, 32), 6),
        ((16, 40), 12),
        ((24, 56), 20),
        ((28, 64), 8),
        ((32, 128), 32),
    ],
    protocols: &[
        (ProtocolPattern::Tcp, 58),
        (ProtocolPattern::Udp, 25),
        (ProtocolPattern::Icmp, 2),
        (ProtocolPattern::Any, 15),
    ],
    source_ports: &[
        (PortPattern::Any, 50),
        (PortPattern::High, 25),
        (PortPattern::Low, 8),
        (PortPattern::WellKnown, 12),
        (PortPattern::ShortRange, 5),
    ],
    destination_ports: &[
        (PortPattern::Any, 25),
        (PortPattern::High, 15),
        (PortPattern::Low, 10),
        (PortPattern::WellKnown, 40),
        (PortPattern::ShortRange, 10),
    ],
    reverse_percent: 0,
};

const IPC_ENDS: Weighted<(u8, u8)> = &[
    ((0, 0), 12),
    ((8, 32), 3),
    ((16, 40), 12),
    ((22, 52), 5),
    ((24, 56), 20),
    ((28, 64), 8),
    ((32, 128), 40),
];

const IPC_PORTS: Weighted<PortPattern> = &[
    (PortPattern::Any, 45),
    (PortPattern::WellKnown, 30),
    (PortPattern::One, 8),
    (PortPattern::High, 8),
    (PortPattern::Low, 2),
    (PortPattern::ShortRange, 7),
];

static IPC: ShapeDistribution = ShapeDistribution {
    sources: IPC_ENDS,
    destinations: IPC_ENDS,
    protocols: &[
        (ProtocolPattern::Tcp, 55),
        (ProtocolPattern::Udp, 28),
        (ProtocolPattern::Icmp, 4),
        (ProtocolPattern::Any, 13),
    ],
    source_ports: IPC_PORTS,
    destination_ports: IPC_PORTS,
    reverse_percent: 30,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn sum<T>(list: &[(T, u32)]) -> u32 {
        list.iter().map(|(_, weight)| weight).sum()
    }

    #[test]
    fn weights_sum_to_100() {
        for distribution in
            [RuleShape::Acl, RuleShape::Fw, RuleShape::Ipc].map(RuleShape::distribution)
        {
            assert_eq!((sum(distribution.sources), sum(distribution.destinations)), (100, 100));
            assert_eq!(
                (sum(distribution.source_ports), sum(distribution.destination_ports)),
                (100, 100)
            );
            assert_eq!(sum(distribution.protocols), 100);
        }
    }
}
