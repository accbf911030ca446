//! The endpoints of the loop: where frames come from, where copies go.

use std::io;

use super::encap::copy::Copies;
use super::frame::Burst;
use super::verdict::Verdict;

/// Lends frames, a burst at a time.
pub trait Source {
    /// Puts the next frames into an empty burst. A burst that stays empty is the end of a
    /// capture; of a live interface it says that nothing is there now.
    ///
    /// The frames are lent until the burst is dropped: the memory is the source's own. A source
    /// that meets trouble behind good frames lends these first and fails at the next call.
    ///
    /// # Errors
    /// Whatever ended the reading, said once; after that the burst stays empty.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()>;
}

/// Takes the copies of a burst.
pub trait Sink {
    /// Takes all copies of a burst, in order; what it cannot take it names in `drops`.
    ///
    /// # Errors
    /// The sink is broken and the run is over. A copy that a target refuses is no error.
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()>;

    /// Whether it wants to hear what became of each frame. Most do not, and verdicts cost time.
    fn wants_verdicts(&self) -> bool {
        false
    }

    /// Hears what became of each frame of the burst, before `send`, where it wants to.
    ///
    /// # Errors
    /// As for `send`.
    fn observe_verdicts(&mut self, _burst: &Burst<'_>, _verdicts: &[Verdict]) -> io::Result<()> {
        Ok(())
    }

    /// Puts out what is still held back. Called once, behind the last burst.
    ///
    /// # Errors
    /// As for `send`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a copy was lost: only what we lost is said to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropCause {
    /// The kernel had no room for it (`ENOBUFS`, `EAGAIN`).
    NoBuffers,
    /// Longer than the way to the target carries (`EMSGSIZE`).
    MessageTooLong,
    /// The target's host refuses UDP on that port (`ECONNREFUSED`).
    TargetRefused,
    /// No way leads to the target (`ENETUNREACH`, `EHOSTUNREACH`, ...).
    TargetUnreachable,
    /// The kernel refused it for another reason (`EPERM` of a firewall, ...).
    SendFailed,
    /// The run was stopped while the copy waited for its time.
    Interrupted,
    /// The output broke (a full disk, a closed pipe) before the copy was out.
    OutputFailed,
    /// The kernel had no room in the ring, so the frame was never seen here; or the frame was
    /// left in the ring when the capture ended with an error.
    Ring,
    /// Shed so that production traffic does not wait: a rate limit, or an egress queue that
    /// refused just now.
    Congestion,
    /// Not sent because copies to the target come back to the mirrored interface.
    Loop,
    /// The kernel could not describe the frame's segmentation offload to a packet socket (UFO or
    /// SCTP of a guest), so only its place in the ring was seen; or what the ring held did not fit.
    UnsupportedOffload,
    /// A super-frame of more segments than any network stack makes: it was not cut, so that one
    /// frame does not become tens of thousands of copies.
    TooManySegments,
}

impl DropCause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::NoBuffers,
        Self::MessageTooLong,
        Self::TargetRefused,
        Self::TargetUnreachable,
        Self::SendFailed,
        Self::Interrupted,
        Self::OutputFailed,
        Self::Ring,
        Self::Congestion,
        Self::Loop,
        Self::UnsupportedOffload,
        Self::TooManySegments,
    ];

    /// Its place in [`DropCause::ALL`].
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::NoBuffers => 0,
            Self::MessageTooLong => 1,
            Self::TargetRefused => 2,
            Self::TargetUnreachable => 3,
            Self::SendFailed => 4,
            Self::Interrupted => 5,
            Self::OutputFailed => 6,
            Self::Ring => 7,
            Self::Congestion => 8,
            Self::Loop => 9,
            Self::UnsupportedOffload => 10,
            Self::TooManySegments => 11,
        }
    }

    /// The label in reports and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoBuffers => "no_buffers",
            Self::MessageTooLong => "message_too_long",
            Self::TargetRefused => "target_refused",
            Self::TargetUnreachable => "target_unreachable",
            Self::SendFailed => "send_failed",
            Self::Interrupted => "interrupted",
            Self::OutputFailed => "output_failed",
            Self::Ring => "ring",
            Self::Congestion => "congestion",
            Self::Loop => "loop",
            Self::UnsupportedOffload => "unsupported_offload",
            Self::TooManySegments => "too_many_segments",
        }
    }
}

/// The copies of one burst that a sink could not take, or not as long as they were.
#[derive(Debug, Default)]
pub struct Drops {
    lost: Vec<(usize, DropCause)>,
    cut: Vec<(usize, usize)>,
}

impl Drops {
    /// Says that the copy at `index` is lost; each copy is lost once.
    pub fn push(&mut self, index: usize, cause: DropCause) {
        debug_assert!(self.lost.iter().all(|(known, _)| *known != index), "lost twice");
        self.lost.push((index, cause));
    }

    /// Says that the copy at `index` left with only the first `inner_len` bytes of its frame,
    /// because the way to the target carries no more. It may be said again with fewer.
    pub fn cut(&mut self, index: usize, inner_len: usize) {
        self.cut.push((index, inner_len));
    }

    /// What was cut: indices into the copies of the burst, and how long the inner frame still is.
    #[must_use]
    pub fn cuts(&self) -> &[(usize, usize)] {
        &self.cut
    }

    /// What was lost: indices into the copies of the burst, and why.
    #[must_use]
    pub fn lost(&self) -> &[(usize, DropCause)] {
        &self.lost
    }

    /// Says that all of `copies` copies are lost but for those that are already.
    pub fn push_remaining(&mut self, copies: usize, cause: DropCause) {
        for index in 0..copies {
            if !self.lost.iter().any(|(known, _)| *known == index) {
                self.lost.push((index, cause));
            }
        }
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.lost.clear();
        self.cut.clear();
    }

    /// Makes room for the copies of a burst.
    pub fn reserve(&mut self, copies: usize) {
        self.lost.reserve(copies);
        self.cut.reserve(copies);
    }
}
