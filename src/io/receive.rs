//! Receives VXLAN datagrams and extracts their inner frames, as a collector of copies does.

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

/// The requested size of the socket's receive buffer in bytes, for bursts that arrive while a frame
/// is written. The system may grant less.
const RECEIVE_BUFFER_LEN: i32 = 1 << 24;

/// The longest wait before the stop flag is checked again.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// The largest number of networks that are counted separately. It limits the memory if a sender
/// uses all 16 million VNIs.
const MAX_NETWORKS: usize = 65_536;

/// The number of batches that are read after the flag is set: enough for the whole receive buffer.
/// The limit ensures the end even if senders never pause.
const MAX_BATCHES_AFTER_STOP: u32 = 1_024;

/// The inner frame of a VXLAN datagram.
#[derive(Debug, Clone, Copy)]
pub struct InnerFrame<'a> {
    /// The VNI of the datagram.
    pub virtual_network_id: VirtualNetworkId,
    /// The sender of the datagram. An IPv4 address is given as IPv4, on an IPv6 socket too.
    pub peer: Option<SocketAddr>,
    /// The time when the kernel received the datagram, in nanoseconds since 1970-01-01 UTC.
    pub timestamp_ns: u64,
    /// The frame from its destination MAC address on. It may have any length, including 0.
    pub bytes: &'a [u8],
}

/// Why a datagram is not VXLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotVxlan {
    /// It is shorter than the VXLAN header of 8 bytes.
    TooShort,
    /// The I flag is not set, so there is no valid VNI.
    FlagNotSet,
}

impl NotVxlan {
    /// All reasons, in the order of reports.
    pub const ALL: [Self; 2] = [Self::TooShort, Self::FlagNotSet];

    /// The label of the reason in reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::FlagNotSet => "flag_not_set",
        }
    }
}

/// Splits a datagram into its VNI and its inner frame.
///
/// ```text
/// | flags, 0x08 = I | reserved, 3 | VNI, 3 | reserved, 1 | frame ... |
/// ```
/// RFC 7348, section 5: the I flag "MUST be set to 1 for a valid VXLAN Network ID (VNI)", the
/// other flags and reserved fields are "ignored on receipt".
///
/// # Errors
/// The reason why the datagram is not VXLAN.
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

/// A number of frames and of their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficCount {
    /// The number of frames.
    pub frames: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
}

impl TrafficCount {
    fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += u64::try_from(frame.len()).unwrap_or(u64::MAX);
    }
}

/// The counters of a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiveCounters {
    /// All frames.
    pub received: TrafficCount,
    /// Datagrams that were not VXLAN, by reason.
    pub not_vxlan: BTreeMap<NotVxlan, u64>,
    /// The frames by VNI, for the first 65,536 VNIs that arrived.
    pub networks: BTreeMap<VirtualNetworkId, TrafficCount>,
    /// The frames of all further VNIs.
    pub other_networks: TrafficCount,
    /// Datagrams that the kernel dropped before they were read. Updated when
    /// [`VxlanReceiver::run`] returns without an error.
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

/// Consumes received frames.
pub trait FrameConsumer {
    /// Consumes one frame.
    ///
    /// # Errors
    /// The frame cannot be consumed. Receiving ends with this error.
    fn consume(&mut self, frame: &InnerFrame<'_>) -> io::Result<()>;

    /// Called when no datagram waits in the socket, so that buffered output can be flushed.
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

/// A UDP socket that receives VXLAN, and its counters.
pub struct VxlanReceiver {
    socket: Socket,
    batch: ReceiveBatch,
    counters: ReceiveCounters,
}

impl VxlanReceiver {
    /// Binds a UDP address. `[::]` receives IPv4 too, if the system supports it.
    ///
    /// # Errors
    /// The address is not one of this host, or another socket uses the port.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        let set =
            |name, value| option::set_int_option(socket.as_fd(), libc::SOL_SOCKET, name, value);
        set(libc::SO_TIMESTAMPNS, 1)?;
        // Root may exceed the limit of the system; other users get at most the limit.
        set(libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_LEN)
            .or_else(|_| set(libc::SO_RCVBUF, RECEIVE_BUFFER_LEN))?;
        socket.bind(&address.into())?;
        Ok(Self { socket, batch: ReceiveBatch::new(), counters: ReceiveCounters::default() })
    }

    /// The bound address.
    ///
    /// # Errors
    /// The system does not return the address.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?.as_socket();
        address.ok_or_else(|| io::Error::other("the socket has no IP address"))
    }

    /// The counters so far.
    #[must_use]
    pub const fn counters(&self) -> &ReceiveCounters {
        &self.counters
    }

    /// Receives frames until `count` frames were received or the flag is set, which is noticed
    /// within 100 ms. Datagrams that wait in the socket at that time are still received.
    ///
    /// # Errors
    /// The socket fails, or `sink` returns an error.
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

/// Converts an IPv4-mapped IPv6 address, which an IPv6 socket returns, to IPv4.
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
        let mut received = Vec::new();
        let peer = sender.local_addr().unwrap();
        let mut sink = |frame: &InnerFrame<'_>| {
            assert_eq!(frame.peer, Some(peer));
            assert!(frame.timestamp_ns > 1_700_000_000_000_000_000);
            received.push((frame.virtual_network_id.value(), frame.bytes.to_vec()));
            Ok(())
        };
        receiver.run(Some(3), &StopFlag::new(), &mut sink).unwrap();
        assert_eq!(received, [(0, vec![]), (16_777_215, longest), (4242, b"x".to_vec())]);
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
