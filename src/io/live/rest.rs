//! How a worker waits for frames: long enough to be gentle, short enough not to keep them
//! waiting.
//!
//! On a quiet wire it sleeps until the bell rings, and each frame wakes it. Where frames come so
//! fast that waking for each of them is dearer than looking now and then, it naps. Where there is
//! always something to do it never gets here.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::bell::Bell;
use super::reader::RingReader;
use super::wake::Waker;
use crate::io::sys::ring::RingSocket;

/// How long it sleeps at most. Frames and commands end the sleep; the limit bounds how many times a
/// second the workers of hundreds of idle interfaces wake up.
const SLEEP: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// How long it sleeps where the bell has rung for a frame that is not there yet: a bell that was
/// hung again hears of a frame before the ring does.
const ANNOUNCED: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// How long a nap is. What comes in meanwhile waits half of it on the average.
const NAP_NS: i64 = 40_000;

/// Frames that come faster than this, on the average, are not worth a wake-up each.
const NAP_GAP_NS: u64 = 40_000;

/// After so many bursts without sleep nobody needs the bell.
const SLEEPLESS_BURSTS: u32 = 256;

/// Frames that come faster than this, on the average, are gathered.
const GATHER_GAP_NS: u64 = 4_000;

/// So many of them.
const GATHERED: u64 = 512;

/// The longest nap, for frames that are gathered.
const LONG_NAP_NS: i64 = 1_000_000;

/// After so many naps without a frame it sleeps.
const IDLE_NAPS: u32 = 3;

/// How often it looks for a frame that rang the bell, or at all where it never sleeps.
const LOOKS: u32 = 2_000;

/// The part of a source that waits.
#[derive(Debug)]
pub(super) struct Rest {
    bell: Bell,
    waker: Waker,
    is_busy: bool,
    /// The average gap between frames.
    gap_ns: u64,
    last_ns: u64,
    naps: u32,
    /// The bell has rung, and no frame was found.
    is_announced: bool,
    /// How many bursts came since it last slept.
    sleepless: u32,
}

impl Rest {
    pub(super) const fn new(bell: Bell, waker: Waker, is_busy: bool) -> Self {
        Self {
            bell,
            waker,
            is_busy,
            gap_ns: u64::MAX / 2,
            last_ns: 0,
            naps: 0,
            is_announced: false,
            sleepless: 0,
        }
    }

    pub(super) const fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Hears of a burst: the time of its first frame, and how many there were.
    pub(super) fn learn(&mut self, first_ns: Option<u64>, frames: usize) {
        let Some(first_ns) = first_ns else { return };
        self.sleepless = self.sleepless.saturating_add(1);
        if self.sleepless == SLEEPLESS_BURSTS {
            self.bell.take_down();
        }
        let count = u64::try_from(frames).unwrap_or(1).max(1);
        let gap_ns = first_ns.saturating_sub(self.last_ns) / count;
        self.gap_ns = (self.gap_ns / 4 * 3).saturating_add(gap_ns.min(u64::MAX / 8) / 4);
        self.last_ns = first_ns;
        self.naps = 0;
    }

    /// Returns when there is something to read, when it was woken, or when its time is over.
    pub(super) fn wait(&mut self, reader: &RingReader, socket: &RingSocket) -> io::Result<()> {
        if self.is_busy {
            let _ = look(reader);
        } else if self.gap_ns < NAP_GAP_NS && self.naps < IDLE_NAPS || !self.bell.hangs() {
            self.naps += 1;
            self.poll(None, Timespec { tv_sec: 0, tv_nsec: nap_ns(self.gap_ns) })?;
        } else {
            self.sleep(reader, socket)?;
        }
        self.waker.heard();
        Ok(())
    }

    fn sleep(&mut self, reader: &RingReader, socket: &RingSocket) -> io::Result<()> {
        self.sleepless = 0;
        self.bell.silence();
        if reader.is_ready() {
            return Ok(());
        }
        let timeout = if self.is_announced { ANNOUNCED } else { SLEEP };
        let has_happened = self.poll(Some(socket), timeout)?;
        self.is_announced = has_happened && !look(reader);
        Ok(())
    }

    /// Waits for the waker and, where there is a socket, for its ring and for the bell; returns
    /// whether one of the latter two has news. A command announces no frame.
    fn poll(&self, ring: Option<&RingSocket>, timeout: Timespec) -> io::Result<bool> {
        let happened = match ring {
            Some(ring) => {
                let mut waited = [
                    PollFd::new(&self.waker, PollFlags::IN),
                    PollFd::new(&self.bell, PollFlags::IN),
                    PollFd::new(ring, PollFlags::IN),
                ];
                let happened = poll(&mut waited, Some(&timeout));
                let [_, bell, ring_news] = waited.map(|one| !one.revents().is_empty());
                if ring_news || bell {
                    // A network that went down is told once, and is no reason to stop.
                    let _ = ring.socket().take_error();
                    let _ = self.bell.take_error();
                }
                happened.map(|_| ring_news || bell)
            }
            None => {
                poll(&mut [PollFd::new(&self.waker, PollFlags::IN)], Some(&timeout)).map(|_| false)
            }
        };
        match happened {
            Ok(has_news) => Ok(has_news),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Few frames at a time are dear: where they come fast, it naps until a good many are there.
fn nap_ns(gap_ns: u64) -> i64 {
    if gap_ns > GATHER_GAP_NS {
        return NAP_NS;
    }
    i64::try_from(gap_ns.saturating_mul(GATHERED)).unwrap_or(NAP_NS).clamp(NAP_NS, LONG_NAP_NS)
}

/// Looks for a frame for some microseconds; whether there is one.
fn look(reader: &RingReader) -> bool {
    for _ in 0..LOOKS {
        if reader.is_ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}
