//! The counters of one target, as a sink reports them.

use std::net::SocketAddr;

/// What became of the datagrams to one target from one source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetReport {
    /// Index of the target in the mirror table.
    pub target: u32,
    /// The target's address.
    pub destination: SocketAddr,
    /// Datagrams that the kernel accepted.
    pub sent: u64,
    /// The length of the inner frames in them, cut as the sessions say, without encapsulation.
    pub sent_bytes: u64,
    /// Datagrams that this host could not send for want of a route or a neighbour.
    pub no_route: u64,
    /// How many ICMP port unreachable came back: no program listens there. Hosts limit how often
    /// they send it, so this is at most the number of datagrams that were refused.
    pub refused: u64,
    /// How many other ICMP errors came back.
    pub unreachable: u64,
    /// The index of the device that they leave by, where it is known.
    pub device_index: Option<u32>,
    /// That device puts them into other packets: a tunnel.
    pub is_tunnelled: bool,
}

impl TargetReport {
    /// Adds what became of other datagrams to the same address.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.no_route += other.no_route;
        self.refused += other.refused;
        self.unreachable += other.unreachable;
    }
}
