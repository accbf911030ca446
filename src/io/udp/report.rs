//! The counters of one target, as a sink reports them.

use std::net::SocketAddr;

use crate::dataplane::TargetIndex;

/// The counters of datagrams to one target from one source address through one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetReport {
    /// The target.
    pub target: TargetIndex,
    /// The target's address.
    pub destination: SocketAddr,
    /// Datagrams that the kernel accepted. It does not report all that it drops afterwards, for
    /// example in some queueing disciplines.
    pub sent: u64,
    /// Length of the inner frames in them in bytes, after truncation, without encapsulation.
    pub sent_bytes: u64,
    /// Datagrams that this host could not send because it has no route or neighbour, or because the
    /// egress device has no carrier.
    pub no_route: u64,
    /// Number of received ICMP port unreachable messages: no program listens there. Hosts limit
    /// their rate, so this is at most the number of refused datagrams.
    pub refused: u64,
    /// Number of other received ICMP errors.
    pub unreachable: u64,
    /// The index of the device that the datagrams left through, if it is known.
    pub device_index: Option<u32>,
    /// Whether that device is a tunnel: it encapsulates the datagrams in other packets.
    pub is_tunnelled: bool,
}

impl TargetReport {
    /// Adds it to the report of the same address and device in a list, or appends it.
    pub(crate) fn add_to(self, reports: &mut Vec<Self>) {
        let key = |one: &Self| (one.destination, one.device_index);
        match reports.iter_mut().find(|known| key(known) == key(&self)) {
            Some(known) => known.add(&self),
            None => reports.push(self),
        }
    }

    /// Adds the counters of other datagrams to the same address.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.no_route += other.no_route;
        self.refused += other.refused;
        self.unreachable += other.unreachable;
    }
}
