//! The portable way: frames through pnet's datalink channel, one a system call.
//!
//! It knows neither directions nor times nor what was lost, and mends nothing: a super-frame is
//! one long frame here, and a checksum that was left to the card stays unfinished. An interface
//! that goes down ends it, and it has to be opened anew. It is here for where rings are not, and to
//! be measured against.

use std::io;
use std::time::Duration;

use pnet::datalink::{self, Channel, Config, DataLinkReceiver, NetworkInterface};

use super::filter::{FilterState, TrafficSample};
use super::{LiveSource, SourceCounts, Waker};
use crate::dataplane::{Burst, Frame, MirrorTable, Source};
use crate::model::{Direction, MacAddress};

/// How long it waits for a frame before it looks whether it was called.
const WAIT: Duration = Duration::from_millis(20);

/// Long enough for any super-frame that is not a jumbogram.
const BUFFER_LEN: usize = 128 * 1024;

/// Lends the frames of one interface, one at a time.
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
    /// No such interface, or no right to.
    pub fn open(index: u32, waker: Waker) -> io::Result<Self> {
        let interfaces = datalink::interfaces();
        let interface = interfaces.into_iter().find(|one| one.index == index);
        let interface = interface.ok_or_else(|| io::Error::other("it is gone"))?;
        let mac = interface.mac.map(|mac| MacAddress::new(mac.octets()));
        let receiver = receiver(&interface)?;
        Ok(Self { receiver, mac, waker, frame: Vec::new(), delivered: 0, is_closed: false })
    }

    /// What leaves bears the interface's own address as its source.
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
        _ => Err(io::Error::other("pnet gives no Ethernet channel for it")),
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
    /// The kernel's own counters are not within reach of pnet.
    fn counts(&mut self) -> SourceCounts {
        SourceCounts { delivered: self.delivered, ..SourceCounts::default() }
    }

    fn memory_len(&self) -> usize {
        0
    }

    fn set_table(&mut self, _table: &MirrorTable, _interface: u32) -> io::Result<()> {
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
