//! Opens the device of an interface, with less memory where there is little.

use std::io;

use super::flags::{Capture, RunFlags};
use super::plan::in_namespace;
use super::ring_budget::Typed;
use crate::cli::terminal;
use crate::io::links::Link;
use crate::io::live::{self, LiveSource, RingOptions, Waker};

/// What all devices are opened with.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    capture: Capture,
    namespace: Option<String>,
    /// But for what differs between devices.
    options: RingOptions,
}

impl Opener {
    pub(super) fn new(flags: &RunFlags) -> Self {
        Self {
            capture: flags.capture,
            namespace: flags.netns.clone(),
            options: flags.ring_options(),
        }
    }

    /// Opens a device for as many workers as there are wakers. Where the kernel has no memory for
    /// rings of `ring_len` bytes, they are made smaller.
    pub(super) fn open(
        &self,
        link: &Link,
        mut ring_len: usize,
        wakers: &[Waker],
    ) -> io::Result<Vec<Box<dyn LiveSource>>> {
        let (is_loopback, mtu) = (link.is_loopback, link.mtu);
        loop {
            let options = RingOptions { ring_len, is_loopback, mtu, ..self.options };
            let (capture, index, wakers) = (self.capture, link.index, wakers.to_vec());
            let open = move || open_once(capture, index, &options, &wakers);
            let opened = in_namespace(self.namespace.as_deref(), open);
            let smaller = ring_len / 2;
            match opened {
                Err(error)
                    if error.kind() == io::ErrorKind::OutOfMemory
                        && smaller >= RingOptions::MIN_RING_LEN =>
                {
                    terminal::warn(&format!(
                        "{}: no memory for a ring of {}: trying {}",
                        link.name,
                        Typed(ring_len),
                        Typed(smaller)
                    ));
                    ring_len = smaller;
                }
                opened => return opened,
            }
        }
    }
}

fn open_once(
    capture: Capture,
    index: u32,
    options: &RingOptions,
    wakers: &[Waker],
) -> io::Result<Vec<Box<dyn LiveSource>>> {
    let boxed = |source| -> Box<dyn LiveSource> { Box::new(source) };
    match (capture, wakers) {
        (Capture::Pnet, [waker, ..]) => {
            Ok(vec![Box::new(live::PnetSource::open(index, waker.clone())?)])
        }
        _ => Ok(live::open(index, options, wakers)?.into_iter().map(boxed).collect()),
    }
}
