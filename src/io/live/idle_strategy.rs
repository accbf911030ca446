//! How a worker waits for frames: long enough to be gentle, short enough not to keep them
//! waiting.
//!
//! On a quiet wire it sleeps until the wake socket wakes it, for each frame. Where frames come so
//! fast that waking for each of them is dearer than looking now and then, it sleeps for a short
//! time. Where there is always something to do it never gets here.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ring_reader::RingReader;
use super::wake_socket::WakeSocket;
use super::waker::Waker;
use crate::io::sys::ring::RingSocket;

/// How long it sleeps at most. Frames and commands end the sleep; the limit bounds how many times a
/// second the workers of hundreds of idle interfaces wake up.
const MAX_SLEEP: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// How long it sleeps where the wake socket has announced a frame that is not there yet: one that
/// was bound again receives a frame before the ring does.
const ANNOUNCED_SLEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// How long a short sleep is. What comes in meanwhile waits half of it on the average.
const SHORT_SLEEP_NS: i64 = 40_000;

/// Frames that come faster than this, on the average, are not worth a wake-up each.
const SHORT_SLEEP_GAP_NS: u64 = 40_000;

/// After so many bursts without sleep nobody needs the wake socket.
const BURSTS_BEFORE_UNBIND: u32 = 256;

/// Frames that come faster than this, on the average, are gathered.
const GATHER_GAP_NS: u64 = 4_000;

/// So many of them.
const GATHERED_FRAMES: u64 = 512;

/// The longest short sleep, for frames that are gathered.
const MAX_SHORT_SLEEP_NS: i64 = 1_000_000;

/// After so many short sleeps without a frame it sleeps long.
const MAX_IDLE_SHORT_SLEEPS: u32 = 3;

/// How often it looks for a frame that was announced, or at all where it never sleeps.
const SPINS: u32 = 2_000;

/// The part of a source that waits.
#[derive(Debug)]
pub(super) struct IdleStrategy {
    wake_socket: WakeSocket,
    waker: Waker,
    busy_poll: bool,
    /// The average gap between frames.
    gap_ns: u64,
    last_ns: u64,
    short_sleeps: u32,
    /// The wake socket has announced a frame, and none was found.
    is_announced: bool,
    /// How many bursts came since it last slept.
    bursts_since_sleep: u32,
}

impl IdleStrategy {
    pub(super) const fn new(wake_socket: WakeSocket, waker: Waker, busy_poll: bool) -> Self {
        Self {
            wake_socket,
            waker,
            busy_poll,
            gap_ns: u64::MAX / 2,
            last_ns: 0,
            short_sleeps: 0,
            is_announced: false,
            bursts_since_sleep: 0,
        }
    }

    pub(super) const fn wake_socket(&self) -> &WakeSocket {
        &self.wake_socket
    }

    /// Hears of a burst: the time of its first frame, and how many there were.
    pub(super) fn record_burst(&mut self, first_ns: Option<u64>, frames: usize) {
        let Some(first_ns) = first_ns else { return };
        self.bursts_since_sleep = self.bursts_since_sleep.saturating_add(1);
        if self.bursts_since_sleep == BURSTS_BEFORE_UNBIND {
            self.wake_socket.unbind();
        }
        let count = u64::try_from(frames).unwrap_or(1).max(1);
        let gap_ns = first_ns.saturating_sub(self.last_ns) / count;
        self.gap_ns = (self.gap_ns / 4 * 3).saturating_add(gap_ns.min(u64::MAX / 8) / 4);
        self.last_ns = first_ns;
        self.short_sleeps = 0;
    }

    /// Returns when there is something to read, when it was woken, or when its time is over.
    pub(super) fn wait(&mut self, reader: &RingReader, socket: &RingSocket) -> io::Result<()> {
        if self.busy_poll {
            let _ = spin(reader);
        } else if self.gap_ns < SHORT_SLEEP_GAP_NS && self.short_sleeps < MAX_IDLE_SHORT_SLEEPS
            || !self.wake_socket.try_bind()
        {
            self.short_sleeps += 1;
            self.poll(None, Timespec { tv_sec: 0, tv_nsec: short_sleep_ns(self.gap_ns) })?;
        } else {
            self.sleep(reader, socket)?;
        }
        self.waker.reset();
        Ok(())
    }

    fn sleep(&mut self, reader: &RingReader, socket: &RingSocket) -> io::Result<()> {
        self.bursts_since_sleep = 0;
        self.wake_socket.drain();
        if reader.is_ready() {
            return Ok(());
        }
        let timeout = if self.is_announced { ANNOUNCED_SLEEP } else { MAX_SLEEP };
        let has_happened = self.poll(Some(socket), timeout)?;
        self.is_announced = has_happened && !spin(reader);
        Ok(())
    }

    /// Waits for the waker and, where there is a socket, for its ring and for the wake socket;
    /// returns whether one of the latter two has news. A command announces no frame.
    fn poll(&self, ring: Option<&RingSocket>, timeout: Timespec) -> io::Result<bool> {
        let happened = match ring {
            Some(ring) => {
                let mut waited = [
                    PollFd::new(&self.waker, PollFlags::IN),
                    PollFd::new(&self.wake_socket, PollFlags::IN),
                    PollFd::new(ring, PollFlags::IN),
                ];
                let happened = poll(&mut waited, Some(&timeout));
                let [_, is_woken, has_block] = waited.map(|one| !one.revents().is_empty());
                if has_block || is_woken {
                    // A network that went down is told once, and is no reason to stop.
                    let _ = ring.socket().take_error();
                    let _ = self.wake_socket.take_error();
                }
                happened.map(|_| has_block || is_woken)
            }
            None => {
                poll(&mut [PollFd::new(&self.waker, PollFlags::IN)], Some(&timeout)).map(|_| false)
            }
        };
        match happened {
            Ok(has_happened) => Ok(has_happened),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Few frames at a time are dear: where they come fast, it sleeps until a good many are there.
fn short_sleep_ns(gap_ns: u64) -> i64 {
    if gap_ns > GATHER_GAP_NS {
        return SHORT_SLEEP_NS;
    }
    i64::try_from(gap_ns.saturating_mul(GATHERED_FRAMES))
        .unwrap_or(SHORT_SLEEP_NS)
        .clamp(SHORT_SLEEP_NS, MAX_SHORT_SLEEP_NS)
}

/// Looks for a frame for some microseconds; whether there is one.
fn spin(reader: &RingReader) -> bool {
    for _ in 0..SPINS {
        if reader.is_ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}
