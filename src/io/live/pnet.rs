//! A portable source: frames through pnet's datalink channel, one per system call.
//!
//! It has no timestamps and no loss counters, and derives the direction from the MAC address. It
//! does not repair frames: a super-frame stays one long frame, and a checksum that was left to the
//! network card stays unfinished. If the interface goes down, the source fails and must be opened
//! again. It exists for systems without packet rings and for comparison in benchmarks.

use std::io;
use std::time::Duration;

use pnet::datalink::{self, Channel, Config, DataLinkReceiver, NetworkInterface};

use super::filter::{FilterState, TrafficSample};
use super::{LiveSource, SourceCounts, Waker};
use crate::dataplane::{Burst, Frame, InterfaceIndex, MirrorTable, Source};
use crate::model::{Direction, MacAddress};

/// How long one read waits before it checks for a wake-up.
const WAIT: Duration = Duration::from_millis(20);

/// Long enough for every super-frame that is not a jumbogram, in bytes.
const BUFFER_LEN: usize = 128 * 1024;

/// Delivers the frames of one interface, one at a time.
pub struct PnetSource {
    receiver: Box<dyn DataLinkReceiver>,
    mac: Option<MacAddress>,
    waker: Waker,
    frame: Vec<u8>,
    delivered: u64,
    is_closed: bool,
}

impl PnetSource {
    /// Opens the interface at `index`.
    ///
    /// # Errors
    /// There is no such interface, or the process may not capture.
    pub fn open(index: u32, waker: Waker) -> io::Result<Self> {
        let interfaces = datalink::interfaces();
        let interface = interfaces.into_iter().find(|one| one.index == index);
        let interface =
            interface.ok_or_else(|| io::Error::other("the interface no longer exists"))?;
        let mac = interface.mac.map(|mac| MacAddress::new(mac.octets()));
        let receiver = receiver(&interface)?;
        Ok(Self { receiver, mac, waker, frame: Vec::new(), delivered: 0, is_closed: false })
    }

    /// A frame whose source MAC address is the interface's own is an egress frame.
    fn direction(&self) -> Direction {
        let source = self.frame.get(6..12);
        let is_own = self.mac.is_some_and(|mac| source == Some(&mac.octets()[..]));
        if is_own { Direction::Egress } else { Direction::Ingress }
    }
}

fn receiver(interface: &NetworkInterface) -> io::Result<Box<dyn DataLinkReceiver>> {
    let config = Config {
        read_buffer_size: BUFFER_LEN,
        read_timeout: Some(WAIT),
        promiscuous: false,
        ..Config::default()
    };
    match datalink::channel(interface, config)? {
        Channel::Ethernet(_, receiver) => Ok(receiver),
        _ => Err(io::Error::other("pnet provides no Ethernet channel for the interface")),
    }
}

impl Source for PnetSource {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.waker.reset();
        if self.is_closed {
            return Ok(());
        }
        match self.receiver.next() {
            Ok(bytes) => {
                self.frame.clear();
                self.frame.extend_from_slice(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
            Err(error) => return Err(error),
        }
        let direction = self.direction();
        self.delivered += 1;
        burst.push(Frame::new(&self.frame).flowing(direction));
        Ok(())
    }
}

impl LiveSource for PnetSource {
    /// pnet does not provide the kernel's counters.
    fn counts(&mut self) -> SourceCounts {
        SourceCounts { delivered: self.delivered, ..SourceCounts::default() }
    }

    fn memory_len(&self) -> usize {
        0
    }

    fn set_table(&mut self, _table: &MirrorTable, _interface: InterfaceIndex) -> io::Result<()> {
        Ok(())
    }

    fn observe_traffic(&mut self, _sample: &TrafficSample) -> io::Result<()> {
        Ok(())
    }

    fn filter_state(&self) -> FilterState {
        FilterState::default()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn close(&mut self) -> io::Result<()> {
        self.is_closed = true;
        Ok(())
    }
}
