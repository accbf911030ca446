//! What lists of rules look like: laws by which their fields are drawn.
//!
//! The three shapes are those of the seeds of ClassBench in general terms (Taylor and Turner,
//! "ClassBench: A Packet Classification Benchmark", INFOCOM 2005): which fields are wild, exact or
//! ranges, and how often. The numbers are ours.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// What a list of rules is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Shape {
    /// An access list: narrow networks on both sides, one port of the destination.
    #[default]
    Acl,
    /// A firewall: much is wild, and ports of both sides are ranges.
    Fw,
    /// Chains between the two: what is said of one way is often said of the way back.
    Ipc,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acl => "acl",
            Self::Fw => "fw",
            Self::Ipc => "ipc",
        })
    }
}

/// Of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Family {
    /// Addresses of 32 bits.
    #[default]
    Ipv4,
    /// Addresses of 128 bits, below 2000::/3.
    Ipv6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// What a rule says of a port.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ports {
    Any,
    /// One that a service is known by.
    Known,
    /// One of all.
    One,
    /// From 0 to 1023.
    Low,
    /// From 1024 on.
    High,
    /// A short way from any port on.
    Few,
}

/// Each choice with its weight; weights of a list add up to 100.
type Choice<T> = &'static [(T, u32)];

/// How the fields of a shape's rules are drawn.
pub(super) struct Law {
    /// Prefix lengths, of IPv4 and of IPv6.
    pub(super) sources: Choice<(u8, u8)>,
    pub(super) destinations: Choice<(u8, u8)>,
    pub(super) protocols: Choice<Transport>,
    pub(super) source_ports: Choice<Ports>,
    pub(super) destination_ports: Choice<Ports>,
    /// How many of a hundred rules are the way back of the rule before.
    pub(super) back: u64,
}

/// What a rule says of the protocol.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transport {
    Tcp,
    Udp,
    Icmp,
    Any,
}

impl Shape {
    pub(super) const fn law(self) -> &'static Law {
        match self {
            Self::Acl => &ACL,
            Self::Fw => &FW,
            Self::Ipc => &IPC,
        }
    }
}

static ACL: Law = Law {
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
        (Transport::Tcp, 70),
        (Transport::Udp, 22),
        (Transport::Icmp, 3),
        (Transport::Any, 5),
    ],
    source_ports: &[(Ports::Any, 100)],
    destination_ports: &[
        (Ports::Known, 55),
        (Ports::One, 15),
        (Ports::Few, 10),
        (Ports::High, 8),
        (Ports::Low, 2),
        (Ports::Any, 10),
    ],
    back: 0,
};

static FW: Law = Law {
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
        (Transport::Tcp, 58),
        (Transport::Udp, 25),
        (Transport::Icmp, 2),
        (Transport::Any, 15),
    ],
    source_ports: &[
        (Ports::Any, 50),
        (Ports::High, 25),
        (Ports::Low, 8),
        (Ports::Known, 12),
        (Ports::Few, 5),
    ],
    destination_ports: &[
        (Ports::Any, 25),
        (Ports::High, 15),
        (Ports::Low, 10),
        (Ports::Known, 40),
        (Ports::Few, 10),
    ],
    back: 0,
};

const IPC_ENDS: Choice<(u8, u8)> = &[
    ((0, 0), 12),
    ((8, 32), 3),
    ((16, 40), 12),
    ((22, 52), 5),
    ((24, 56), 20),
    ((28, 64), 8),
    ((32, 128), 40),
];

const IPC_PORTS: Choice<Ports> = &[
    (Ports::Any, 45),
    (Ports::Known, 30),
    (Ports::One, 8),
    (Ports::High, 8),
    (Ports::Low, 2),
    (Ports::Few, 7),
];

static IPC: Law = Law {
    sources: IPC_ENDS,
    destinations: IPC_ENDS,
    protocols: &[
        (Transport::Tcp, 55),
        (Transport::Udp, 28),
        (Transport::Icmp, 4),
        (Transport::Any, 13),
    ],
    source_ports: IPC_PORTS,
    destination_ports: IPC_PORTS,
    back: 30,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn sum<T>(list: &[(T, u32)]) -> u32 {
        list.iter().map(|(_, weight)| weight).sum()
    }

    #[test]
    fn weights_sum_to_100() {
        for law in [Shape::Acl, Shape::Fw, Shape::Ipc].map(Shape::law) {
            assert_eq!((sum(law.sources), sum(law.destinations)), (100, 100));
            assert_eq!((sum(law.source_ports), sum(law.destination_ports)), (100, 100));
            assert_eq!(sum(law.protocols), 100);
        }
    }
}
