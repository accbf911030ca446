//! The open connections, and the choice of the one that is closed when there are too many.
//!
//! A connection either waits or is being answered. It waits while it is idle and until a complete
//! request was received, because a client can prolong these phases at no cost. If there is no slot
//! for a new connection, the connection that has waited longest is closed: one of the same peer if
//! that peer has too many, otherwise one of any peer. So slow clients displace each other and not
//! clients that send their request at once.
//!
//! A connection is *fresh* until it has carried a complete request, and *proven* afterwards. While
//! more than a quarter of the slots are fresh, the oldest fresh connection is closed, so that slow
//! clients cannot displace idle connections of good clients. Otherwise the oldest proven connection
//! is closed, so that idle connections cannot displace new clients.
//!
//! Example with 8 slots: 3 fresh and 5 proven connections wait. 3 is more than 8 / 4, so the oldest
//! fresh connection is closed. With 2 fresh and 6 proven, the oldest proven one is closed.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    connections: usize,
    waiting_per_peer: usize,
    open: Mutex<OpenConnections>,
    /// Notified when a connection ends or waits again.
    freed: Notify,
}

#[derive(Debug, Default)]
struct OpenConnections {
    /// The number of the next event.
    next: u64,
    connections: HashMap<u64, Connection>,
    /// Connection numbers by the event with which they began to wait.
    numbers: HashMap<u64, u64>,
    waiting: WaitingConnections,
    by_peer: HashMap<IpAddr, WaitingConnections>,
    /// The number of connections that were closed for others.
    closed: u64,
}

/// Waiting connections, by the number of the event with which they began to wait.
#[derive(Debug, Default)]
struct WaitingConnections {
    fresh: BTreeSet<u64>,
    proven: BTreeSet<u64>,
}

#[derive(Debug)]
struct Connection {
    peer: IpAddr,
    /// Whether it has carried a complete request.
    is_proven: bool,
    /// The number of the event with which it began to wait; none while it is answered.
    since: Option<u64>,
    /// Dropped to close the connection.
    _open: oneshot::Sender<()>,
}

/// A slot in the table, which is released when this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    table: Arc<ConnectionTable>,
    number: u64,
}

impl ConnectionTable {
    pub(super) fn new(connections: usize, waiting_per_peer: usize) -> Self {
        let (open, freed) = (Mutex::default(), Notify::new());
        Self { connections, waiting_per_peer, open, freed }
    }

    /// Admits a connection and closes a waiting one if there is no free slot. Returns `None` if all
    /// open connections are being answered. The receiver completes when the connection must close.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
    ) -> Option<(ConnectionSlot, oneshot::Receiver<()>)> {
        let peer = network_of(peer);
        let mut open = self.open();
        let peer_waiting = open.by_peer.get(&peer);
        if let Some(peer_waiting) = peer_waiting.filter(|one| one.len() >= self.waiting_per_peer) {
            let oldest = peer_waiting.oldest(self.waiting_per_peer);
            open.close(oldest);
        }
        if open.connections.len() >= self.connections && !open.close_oldest(self.connections) {
            return None;
        }
        let (sender, closed) = oneshot::channel();
        let number = open.next;
        let connection = Connection { peer, is_proven: false, since: None, _open: sender };
        open.connections.insert(number, connection);
        open.wait(number);
        Some((ConnectionSlot { table: Arc::clone(self), number }, closed))
    }

    /// Closes the connection that has waited longest. Returns whether there was one.
    pub(super) fn close_oldest(&self) -> bool {
        self.open().close_oldest(self.connections)
    }

    /// Returns when a connection ends or waits again.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// The number of connections that were closed for others.
    pub(super) fn closed(&self) -> u64 {
        self.open().closed
    }

    /// The number of open connections.
    pub(super) fn len(&self) -> usize {
        self.open().connections.len()
    }

    /// Locks the table. A thread that panics while it holds the lock leaves a consistent table.
    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    fn wait(&mut self, number: u64) {
        let since = self.next;
        self.next += 1;
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.since.is_some() {
            return;
        }
        connection.since = Some(since);
        let is_proven = connection.is_proven;
        self.by_peer.entry(connection.peer).or_default().insert(since, is_proven);
        self.waiting.insert(since, is_proven);
        self.numbers.insert(since, number);
    }

    fn answer(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.is_proven = true;
        let (peer, since) = (connection.peer, connection.since.take());
        self.forget(peer, since);
    }

    fn end(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        self.forget(connection.peer, connection.since);
    }

    fn close(&mut self, since: Option<u64>) -> bool {
        let number = since.and_then(|since| self.numbers.get(&since).copied());
        let Some(number) = number else { return false };
        self.end(number);
        self.closed += 1;
        true
    }

    fn close_oldest(&mut self, slots: usize) -> bool {
        let oldest = self.waiting.oldest(slots);
        self.close(oldest)
    }

    fn forget(&mut self, peer: IpAddr, since: Option<u64>) {
        let Some(since) = since else { return };
        self.numbers.remove(&since);
        self.waiting.remove(since);
        if let Some(peer_waiting) = self.by_peer.get_mut(&peer) {
            peer_waiting.remove(since);
            if peer_waiting.len() == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }
}

impl WaitingConnections {
    fn insert(&mut self, since: u64, is_proven: bool) {
        let own = if is_proven { &mut self.proven } else { &mut self.fresh };
        own.insert(since);
    }

    fn remove(&mut self, since: u64) {
        self.fresh.remove(&since);
        self.proven.remove(&since);
    }

    fn len(&self) -> usize {
        self.fresh.len() + self.proven.len()
    }

    /// The connection to close for another, if there are `slots` slots.
    fn oldest(&self, slots: usize) -> Option<u64> {
        let are_many = self.fresh.len() > slots / 4;
        let proven = self.proven.first().filter(|_| !are_many);
        proven.or_else(|| self.fresh.first()).or_else(|| self.proven.first()).copied()
    }
}

impl ConnectionSlot {
    /// Marks the connection as being answered: it is not closed for another.
    pub(super) fn answer(&self) {
        self.table.open().answer(self.number);
    }

    /// Marks the connection as waiting for the next request.
    pub(super) fn wait(&self) {
        self.table.open().wait(self.number);
        self.table.freed.notify_one();
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.table.open().end(self.number);
        self.table.freed.notify_one();
    }
}

/// The /64 of an IPv6 address, because one host may have all addresses in it; an IPv4 address
/// unchanged.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn peer(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn table(connections: usize, waiting_per_peer: usize) -> Arc<ConnectionTable> {
        Arc::new(ConnectionTable::new(connections, waiting_per_peer))
    }

    fn is_closed(receiver: &mut oneshot::Receiver<()>) -> bool {
        receiver.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn a_peer_over_its_limit_closes_its_own_oldest_connection() {
        let table = table(100, 2);
        let mut other = table.admit(peer(9)).unwrap();
        let mut first = table.admit(ONE).unwrap();
        let mut second = table.admit(ONE).unwrap();
        let _third = table.admit(ONE).unwrap();
        assert!(is_closed(&mut first.1) && !is_closed(&mut second.1) && !is_closed(&mut other.1));
        assert_eq!((table.len(), table.closed()), (3, 1));
        drop(first);
        assert_eq!(table.len(), 3, "a closed connection is counted once");
    }

    #[test]
    fn the_longest_waiting_connection_is_closed_when_the_table_is_full() {
        let table = table(3, 100);
        let mut kept: Vec<_> = (0..3).map(|number| table.admit(peer(number)).unwrap()).collect();
        kept[0].0.answer();
        kept[0].0.wait();
        let _new = table.admit(peer(7)).unwrap();
        let closed: Vec<bool> = kept.iter_mut().map(|one| is_closed(&mut one.1)).collect();
        assert_eq!(closed, [false, true, false]);
    }

    #[test]
    fn slow_clients_do_not_close_idle_connections_nor_idle_ones_those_of_new_clients() {
        let table = table(100, 8);
        let prove = |one: &(ConnectionSlot, oneshot::Receiver<()>)| {
            one.0.answer();
            one.0.wait();
        };
        let mut idle: Vec<_> = (0..4).map(|_| table.admit(ONE).unwrap()).collect();
        idle.iter().for_each(prove);
        let _slow: Vec<_> = (0..20).map(|_| table.admit(ONE).unwrap()).collect();
        assert!(idle.iter_mut().all(|one| !is_closed(&mut one.1)));
        let more: Vec<_> = (0..20).map(|_| table.admit(ONE).unwrap()).collect();
        more.iter().for_each(prove);
        let mut new = table.admit(ONE).unwrap();
        for _ in 0..20 {
            prove(&table.admit(ONE).unwrap());
        }
        assert!(!is_closed(&mut new.1));
    }

    #[test]
    fn a_connection_is_not_closed_while_its_request_is_processed() {
        let table = table(2, 1);
        let (mut first, mut second) = (table.admit(ONE).unwrap(), table.admit(peer(1)).unwrap());
        first.0.answer();
        second.0.answer();
        assert!(table.admit(ONE).is_none());
        assert!(!is_closed(&mut first.1) && !is_closed(&mut second.1));
        second.0.wait();
        assert!(table.admit(ONE).is_some());
        assert!(!is_closed(&mut first.1) && is_closed(&mut second.1));
    }

    #[test]
    fn an_ipv6_prefix_counts_as_one_peer() {
        let peer_of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(peer_of("2001:db8::1"), peer_of("2001:db8::ffff:1"));
        assert_ne!(peer_of("2001:db8::1"), peer_of("2001:db8:0:1::1"));
        assert_eq!(peer_of("::ffff:10.0.0.1"), peer(1));
    }
}
