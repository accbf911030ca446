//! The collector's side: VXLAN datagrams in, the frames inside of them out.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::StopFlag;
use super::sys::option;
use super::sys::recvmmsg::{RECEIVE_LEN, ReceiveBatch, Received};
use crate::model::VirtualNetworkId;

/// Room for the bursts that come while a frame is being written, where the system allows it.
const RECEIVE_BUFFER_LEN: i32 = 1 << 24;

/// So soon a stop is seen.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// So many networks are counted one by one, so that a stranger who tries all 16 million numbers
/// does not fill the memory.
const MAX_NETWORKS: usize = 65_536;

/// So many batches are still taken when the flag is set: more than the socket has room for, and
/// no more, so that senders who never pause cannot hold the end off.
const MAX_BATCHES_AFTER_STOP: u32 = 1_024;

/// A frame as it was inside of a VXLAN datagram.
#[derive(Debug, Clone, Copy)]
pub struct InnerFrame<'a> {
    /// The network it came for.
    pub virtual_network_id: VirtualNetworkId,
    /// Who sent the datagram; an IPv4 address as such, on an IPv6 socket too.
    pub peer: Option<SocketAddr>,
    /// When the kernel took the datagram, in nanoseconds since 1970.
    pub timestamp_ns: u64,
    /// The frame from its destination MAC address on, of any length, zero too.
    pub bytes: &'a [u8],
}

/// Why a datagram is no VXLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotVxlan {
    /// Shorter than the VXLAN header.
    TooShort,
    /// The I flag says that there is no network identifier.
    FlagNotSet,
}

impl NotVxlan {
    /// Every reason, in order.
    pub const ALL: [Self; 2] = [Self::TooShort, Self::FlagNotSet];

    /// The label in reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::FlagNotSet => "flag_not_set",
        }
    }
}

/// Splits a datagram into network and frame.
///
/// ```text
/// | flags, 0x08 = I | reserved, 3 | VNI, 3 | reserved, 1 | frame ... |
/// ```
/// RFC 7348, section 5: the I flag "MUST be set to 1 for a valid VXLAN Network ID (VNI)", the
/// other flags and reserved fields are "ignored on receipt".
///
/// # Errors
/// Why the datagram is no VXLAN.
pub fn decapsulate_vxlan(datagram: &[u8]) -> Result<(VirtualNetworkId, &[u8]), NotVxlan> {
    let (&[flags, _, _, _, high, middle, low, _], frame) =
        datagram.split_first_chunk().ok_or(NotVxlan::TooShort)?;
    if flags & 0x08 == 0 {
        return Err(NotVxlan::FlagNotSet);
    }
    let number = u32::from_be_bytes([0, high, middle, low]);
    let network = VirtualNetworkId::new(number).map_err(|_| NotVxlan::FlagNotSet)?;
    Ok((network, frame))
}

/// Frames and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficCount {
    /// How many frames.
    pub frames: u64,
    /// Their length together.
    pub bytes: u64,
}

impl TrafficCount {
    fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += u64::try_from(frame.len()).unwrap_or(u64::MAX);
    }
}

/// What a collector has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiveCounters {
    /// All frames.
    pub received: TrafficCount,
    /// Datagrams that were no VXLAN, by reason.
    pub not_vxlan: BTreeMap<NotVxlan, u64>,
    /// The frames by network; the first 65,536 networks that came.
    pub networks: BTreeMap<VirtualNetworkId, TrafficCount>,
    /// The frames of all further networks.
    pub other_networks: TrafficCount,
    /// Datagrams that the kernel threw away before they could be read.
    pub dropped: u64,
}

impl ReceiveCounters {
    fn add(&mut self, network: VirtualNetworkId, frame: &[u8]) {
        self.received.add(frame);
        let known = self.networks.len() < MAX_NETWORKS || self.networks.contains_key(&network);
        let amount = match known {
            true => self.networks.entry(network).or_default(),
            false => &mut self.other_networks,
        };
        amount.add(frame);
    }
}

/// Takes the frames as they come.
pub trait FrameConsumer {
    /// Takes one.
    ///
    /// # Errors
    /// It cannot, and the receiving is over.
    fn consume(&mut self, frame: &InnerFrame<'_>) -> io::Result<()>;

    /// Hears that nothing more waits in the socket: the moment to put out what is held back.
    ///
    /// # Errors
    /// As for `consume`.
    fn on_idle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FnMut(&InnerFrame<'_>) -> io::Result<()>> FrameConsumer for F {
    fn consume(&mut self, frame: &InnerFrame<'_>) -> io::Result<()> {
        self(frame)
    }
}

/// A socket that VXLAN comes to, and the count of what came.
pub struct VxlanReceiver {
    socket: Socket,
    batch: ReceiveBatch,
    counters: ReceiveCounters,
}

impl VxlanReceiver {
    /// Listens on a UDP address; `[::]` takes IPv4 too, where the system has it.
    ///
    /// # Errors
    /// The address is none of this host's or somebody else has the port.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        let set =
            |name, value| option::set_int_option(socket.as_fd(), libc::SOL_SOCKET, name, value);
        set(libc::SO_TIMESTAMPNS, 1)?;
        // Root may have more than the system's limit; everyone else gets as much as it allows.
        set(libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_LEN)
            .or_else(|_| set(libc::SO_RCVBUF, RECEIVE_BUFFER_LEN))?;
        socket.bind(&address.into())?;
        Ok(Self { socket, batch: ReceiveBatch::new(), counters: ReceiveCounters::default() })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?.as_socket();
        address.ok_or_else(|| io::Error::other("the socket has no IP address"))
    }

    /// What has come so far.
    #[must_use]
    pub const fn counters(&self) -> &ReceiveCounters {
        &self.counters
    }

    /// Takes frames until `count` of them have come, or the flag is set, which is seen within a
    /// tenth of a second. What waits in the socket by then is still taken.
    ///
    /// # Errors
    /// The socket broke, or `sink` could not take a frame.
    pub fn run(
        &mut self,
        count: Option<u64>,
        stop: &StopFlag,
        sink: &mut dyn FrameConsumer,
    ) -> io::Result<()> {
        let end =
            count.map_or(u64::MAX, |count| self.counters.received.frames.saturating_add(count));
        let mut batches_left = MAX_BATCHES_AFTER_STOP;
        while self.counters.received.frames < end && batches_left > 0 {
            let stopping = stop.is_set();
            let left = end.saturating_sub(self.counters.received.frames);
            let limit = usize::try_from(left).unwrap_or(usize::MAX).min(RECEIVE_LEN);
            let more_may_wait = self.receive_batch(limit, sink)? == limit;
            if !more_may_wait {
                sink.on_idle()?;
            }
            if stopping {
                batches_left = if more_may_wait { batches_left - 1 } else { 0 };
            }
        }
        self.counters.dropped = option::receive_drops(self.socket.as_fd())?.into();
        Ok(())
    }

    fn receive_batch(&mut self, limit: usize, sink: &mut dyn FrameConsumer) -> io::Result<usize> {
        let count = self.batch.receive(self.socket.as_fd(), limit)?;
        for Received { bytes, peer, timestamp_ns } in self.batch.iter() {
            let peer = peer.map(unmap_ipv4);
            match decapsulate_vxlan(bytes) {
                Ok((virtual_network_id, bytes)) => {
                    self.counters.add(virtual_network_id, bytes);
                    sink.consume(&InnerFrame { virtual_network_id, peer, timestamp_ns, bytes })?;
                }
                Err(reason) => *self.counters.not_vxlan.entry(reason).or_default() += 1,
            }
        }
        Ok(count)
    }
}

/// An IPv4 address in IPv6 clothes, which an IPv6 socket gives, as what it is.
fn unmap_ipv4(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, peer.port()),
        IpAddr::V6(_) => peer,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn datagram(network: u32, frame: &[u8]) -> Vec<u8> {
        let [_, high, middle, low] = network.to_be_bytes();
        [&[0x08, 0, 0, 0, high, middle, low, 0], frame].concat()
    }

    fn receiver(address: &str) -> (VxlanReceiver, UdpSocket) {
        let receiver = VxlanReceiver::bind(address.parse().unwrap()).unwrap();
        let port = receiver.local_address().unwrap().port();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(("127.0.0.1", port)).unwrap();
        (receiver, sender)
    }

    #[test]
    fn frames_of_any_length_are_received_with_network_peer_and_time() {
        let (mut receiver, sender) = receiver("127.0.0.1:0");
        let longest = vec![0x55; 65_499];
        for (network, frame) in [(0, &b""[..]), (16_777_215, &longest), (4242, b"x")] {
            sender.send(&datagram(network, frame)).unwrap();
        }
        let mut got = Vec::new();
        let peer = sender.local_addr().unwrap();
        let mut sink = |frame: &InnerFrame<'_>| {
            assert_eq!(frame.peer, Some(peer));
            assert!(frame.timestamp_ns > 1_700_000_000_000_000_000);
            got.push((frame.virtual_network_id.value(), frame.bytes.to_vec()));
            Ok(())
        };
        receiver.run(Some(3), &StopFlag::new(), &mut sink).unwrap();
        assert_eq!(got, [(0, vec![]), (16_777_215, longest), (4242, b"x".to_vec())]);
        let counters = receiver.counters();
        assert_eq!(counters.received, TrafficCount { frames: 3, bytes: 65_500 });
        assert_eq!(counters.networks.len(), 3);
        assert_eq!((counters.dropped, counters.not_vxlan.len()), (0, 0));
    }

    #[test]
    fn datagrams_without_vxlan_are_counted_and_reserved_bits_are_ignored() {
        let (mut receiver, sender) = receiver("0.0.0.0:0");
        sender.send(b"").unwrap();
        sender.send(&[8, 0, 0, 0, 0, 0, 1]).unwrap();
        sender.send(&[0xf7, 0, 0, 0, 0, 0, 1, 0, 1, 2]).unwrap();
        sender.send(&[0xff, 9, 9, 9, 0, 0, 7, 9, 1, 2]).unwrap();
        receiver.run(Some(1), &StopFlag::new(), &mut |_: &InnerFrame<'_>| Ok(())).unwrap();
        let counters = receiver.counters();
        assert_eq!(counters.not_vxlan[&NotVxlan::TooShort], 2);
        assert_eq!(counters.not_vxlan[&NotVxlan::FlagNotSet], 1);
        assert_eq!(counters.networks[&VirtualNetworkId::new(7).unwrap()].bytes, 2);
    }

    #[test]
    fn the_unspecified_ipv6_address_receives_both_families() {
        if UdpSocket::bind("[::1]:0").is_err() {
            eprintln!("NOT RUN: this host has no IPv6");
            return;
        }
        let (mut receiver, sender) = receiver("[::]:0");
        sender.send(&datagram(4, b"over IPv4")).unwrap();
        let port = receiver.local_address().unwrap().port();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        sender.send_to(&datagram(6, b"over IPv6"), ("::1", port)).unwrap();
        let mut peers = Vec::new();
        let mut sink = |frame: &InnerFrame<'_>| {
            peers.push(frame.peer.map(|peer| peer.ip().to_string()));
            Ok(())
        };
        receiver.run(Some(2), &StopFlag::new(), &mut sink).unwrap();
        assert_eq!(peers, [Some("127.0.0.1".to_owned()), Some("::1".to_owned())]);
    }

    #[test]
    fn a_stop_ends_the_collector_after_the_waiting_datagrams() {
        let (mut receiver, sender) = receiver("127.0.0.1:0");
        for _ in 0..200 {
            sender.send(&datagram(1, b"frame")).unwrap();
        }
        let stop = StopFlag::new();
        stop.set();
        receiver.run(None, &stop, &mut |_: &InnerFrame<'_>| Ok(())).unwrap();
        assert_eq!(receiver.counters().received.frames, 200);
    }

    #[test]
    fn a_sink_error_ends_the_collector() {
        let (mut receiver, sender) = receiver("127.0.0.1:0");
        sender.send(&datagram(1, b"frame")).unwrap();
        let mut sink = |_: &InnerFrame<'_>| Err(io::Error::other("disk full"));
        let ended = receiver.run(None, &StopFlag::new(), &mut sink).unwrap_err();
        assert_eq!(ended.to_string(), "disk full");
    }

    #[test]
    fn ten_thousand_paced_datagrams_are_all_received() {
        let (mut receiver, sender) = receiver("127.0.0.1:0");
        for round in 0..100_u32 {
            for index in 0..100_u32 {
                sender.send(&datagram(round, &index.to_be_bytes())).unwrap();
            }
            receiver.run(Some(100), &StopFlag::new(), &mut |_: &InnerFrame<'_>| Ok(())).unwrap();
        }
        let counters = receiver.counters();
        assert_eq!(
            (counters.received.frames, counters.networks.len(), counters.dropped),
            (10_000, 100, 0)
        );
    }

    #[test]
    fn the_number_of_networks_counted_separately_is_limited() {
        let mut counters = ReceiveCounters::default();
        for number in 0..70_000 {
            counters.add(VirtualNetworkId::new(number).unwrap(), b"xy");
        }
        assert_eq!(counters.networks.len(), MAX_NETWORKS);
        assert_eq!(counters.other_networks, TrafficCount { frames: 4_464, bytes: 8_928 });
        assert_eq!(counters.received.frames, 70_000);
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_panics_and_a_valid_one_is_split_after_eight_bytes(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            match decapsulate_vxlan(&bytes) {
                Ok((_, frame)) => assert_eq!(frame, &bytes[8..]),
                Err(NotVxlan::TooShort) => assert!(bytes.len() < 8),
                Err(NotVxlan::FlagNotSet) => assert_eq!(bytes[0] & 8, 0),
            }
        }
    }
}
