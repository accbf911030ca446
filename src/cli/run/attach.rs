//! Opens the devices of interfaces: several at a time, and with less memory where there is little.
//!
//! When a ring is made, the kernel waits until no processor uses the socket any more
//! (`synchronize_net` in `packet_set_ring`), which takes 10 to 30 ms. Threads that wait at the same
//! time share the wait, so that 200 interfaces are open in the time of about 25.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::flags::{Capture, RunFlags};
use super::plan::in_namespace;
use super::ring_budget::Typed;
use crate::cli::terminal;
use crate::io::links::Link;
use crate::io::live::{self, LiveSource, RingOptions, Waker};

/// How many devices are opened at the same time. With 8 threads, 200 rings of 5 MiB took 0.4 s,
/// with one thread 2.8 s; more threads compete for the kernel's locks.
const THREADS: usize = 8;

/// Does the work on each item, on several threads at a time; an item does not wait for those
/// behind it.
pub(super) fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = items.len().min(THREADS);
    let queue = Mutex::new(items.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work_off = || {
        while let Some(item) = next() {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where there can be no more threads, fewer do all of it.
            let _ = thread::Builder::new().name("opening".to_owned()).spawn_scoped(scope, work_off);
        }
        work_off();
    });
}

/// Opens a device for as many workers as there are wakers. Where the kernel has no memory for
/// rings of `ring_len` bytes, they are made smaller.
pub(super) fn open(
    flags: &RunFlags,
    link: &Link,
    ring_len: usize,
    wakers: &[Waker],
) -> io::Result<Vec<Box<dyn LiveSource>>> {
    let mut ring_len = ring_len;
    loop {
        let options = flags.ring_options(link, ring_len);
        let (capture, index, wakers) = (flags.capture, link.index, wakers.to_vec());
        let open = move || open_once(capture, index, &options, &wakers);
        let opened = in_namespace(flags.netns.as_deref(), open);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_item_is_worked_on_once() {
        for count in [0, 1, 7, 200] {
            let mut items = vec![0; count];
            let done = AtomicUsize::new(0);
            for_each(items.iter_mut().collect(), |item| {
                *item += 1;
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(items, vec![1; count]);
            assert_eq!(done.into_inner(), count);
        }
    }
}
