//! Opens the device of an interface, with smaller rings if the kernel has too little memory.

use std::io;

use super::event::{Event, EventSink};
use super::namespace::InterfaceNamespace;
use super::options::{CaptureMethod, Options};
use crate::io::links::Link;
use crate::io::live::{self, LiveSource, RingOptions, Waker};

/// The options that all devices are opened with.
#[derive(Debug, Clone)]
pub(super) struct DeviceOpener {
    capture: CaptureMethod,
    namespace: InterfaceNamespace,
    /// The ring options, except those that differ between devices.
    options: RingOptions,
    events: EventSink,
}

impl DeviceOpener {
    pub(super) fn new(options: &Options, events: EventSink) -> Self {
        let namespace = options.namespace.clone();
        Self { capture: options.capture, namespace, options: options.ring, events }
    }

    /// Opens a device with one source for each waker. If the kernel has no memory for rings of
    /// `ring_len` bytes, the size is halved until it has, down to [`RingOptions::MIN_RING_LEN`].
    /// `starts_closed`: see [`RingOptions`].
    pub(super) fn open(
        &self,
        link: &Link,
        (mut ring_len, starts_closed): (usize, bool),
        wakers: &[Waker],
    ) -> io::Result<Vec<Box<dyn LiveSource>>> {
        let (is_loopback, mtu) = (link.is_loopback, link.mtu);
        loop {
            let options = RingOptions { ring_len, is_loopback, mtu, starts_closed, ..self.options };
            let (capture, index, wakers) = (self.capture, link.index, wakers.to_vec());
            let open = move || open_once(capture, index, &options, &wakers);
            let opened = self.namespace.run(open);
            let smaller = ring_len / 2;
            match opened {
                Err(error)
                    if error.kind() == io::ErrorKind::OutOfMemory
                        && smaller >= RingOptions::MIN_RING_LEN =>
                {
                    self.events.send(Event::RingShrunk {
                        device: link.name.clone(),
                        len: ring_len,
                        smaller_len: smaller,
                    });
                    ring_len = smaller;
                }
                opened => return opened,
            }
        }
    }
}

fn open_once(
    capture: CaptureMethod,
    index: u32,
    options: &RingOptions,
    wakers: &[Waker],
) -> io::Result<Vec<Box<dyn LiveSource>>> {
    let boxed = |source| -> Box<dyn LiveSource> { Box::new(source) };
    match (capture, wakers) {
        #[cfg(feature = "pnet")]
        (CaptureMethod::Pnet, [waker, ..]) => {
            Ok(vec![Box::new(live::PnetSource::open(index, waker.clone())?)])
        }
        _ => Ok(live::open(index, options, wakers)?.into_iter().map(boxed).collect()),
    }
}
