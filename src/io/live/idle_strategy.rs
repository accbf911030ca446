//! How a worker waits for frames: it balances the cost of wake-ups against the delay of frames.
//!
//! The strategy depends on the average gap between frames. Example values:
//!
//! ```text
//! gap         wait
//! 1 s         long sleep: the wake socket wakes the worker for each frame
//! 20 us       short sleep of 40 us: cheaper than a wake-up for each frame (limit: 40 us)
//! 1 us        short sleep of 512 us: gathers about 512 frames (limit: 4 us)
//! none        the worker always finds frames and does not wait; the wake socket is unbound
//! ```

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ring_reader::RingReader;
use super::wake_socket::WakeSocket;
use super::waker::Waker;
use crate::io::sys::ring::RingSocket;

/// The longest sleep. Frames and commands end it; the limit bounds how often per second the workers
/// of hundreds of idle interfaces wake up.
const MAX_SLEEP: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The sleep after the wake socket announced a frame that is not in the ring yet. This happens
/// after the wake socket was bound again: it then receives a frame before the ring does.
const ANNOUNCED_SLEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// The length of a short sleep. A frame that arrives meanwhile waits half of it on average.
const SHORT_SLEEP_NS: i64 = 40_000;

/// If the average gap is shorter than this, a wake-up for each frame is not worth its cost.
const SHORT_SLEEP_GAP_NS: u64 = 40_000;

/// After this many bursts without a sleep the wake socket is unbound.
const BURSTS_BEFORE_UNBIND: u32 = 256;

/// If the average gap is shorter than this, the worker sleeps until several frames have arrived.
const GATHER_GAP_NS: u64 = 4_000;

/// The number of frames that a short sleep gathers.
const GATHERED_FRAMES: u64 = 512;

/// The longest short sleep.
const MAX_SHORT_SLEEP_NS: i64 = 1_000_000;

/// After this many short sleeps without a frame the worker sleeps until it is woken.
const MAX_IDLE_SHORT_SLEEPS: u32 = 3;

/// How many times the worker checks for an announced frame, or for any frame with busy polling.
const SPINS: u32 = 2_000;

/// The waiting part of a source.
#[derive(Debug)]
pub(super) struct IdleStrategy {
    wake_socket: WakeSocket,
    waker: Waker,
    busy_poll: bool,
    /// The moving average of the gap between frames, in nanoseconds.
    gap_ns: u64,
    last_ns: u64,
    short_sleeps: u32,
    /// The wake socket announced a frame that was not found.
    is_announced: bool,
    /// Number of bursts since the last sleep.
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

    /// Records a burst: the time of its first frame and the number of its frames.
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

    /// Returns when there are frames to read, after a wake-up, or when the time is over.
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

    /// Waits for the waker and, if `ring` is given, for the ring and the wake socket. Returns
    /// whether one of the latter two is ready. A command announces no frame.
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
                    // The kernel reports once that an interface went down; that is no reason to
                    // stop.
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

/// Small bursts are expensive: at a high rate the worker sleeps until about 512 frames are there.
fn short_sleep_ns(gap_ns: u64) -> i64 {
    if gap_ns > GATHER_GAP_NS {
        return SHORT_SLEEP_NS;
    }
    i64::try_from(gap_ns.saturating_mul(GATHERED_FRAMES))
        .unwrap_or(SHORT_SLEEP_NS)
        .clamp(SHORT_SLEEP_NS, MAX_SHORT_SLEEP_NS)
}

/// Checks for a frame for some microseconds; returns whether there is one.
fn spin(reader: &RingReader) -> bool {
    for _ in 0..SPINS {
        if reader.is_ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}
