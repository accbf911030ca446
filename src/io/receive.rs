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
    /// [`VxlanReceiver::run`] returns, also with an error.
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
        let received = self.receive_until_end(count, stop, sink);
        let dropped = option::receive_drops(self.socket.as_fd());
        if let Ok(dropped) = dropped {
            self.counters.dropped = dropped.into();
        }
        received.and(dropped.map(drop))
    }

    fn receive_until_end(
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
mod tests;
