//! The endpoints of the loop: the source of frames and the sink of copies. Both work on whole
//! bursts, so there is one virtual call for each burst and none for each packet.

use std::io;

use super::encap::copy::Copies;
use super::frame::Burst;
use super::verdict::Verdict;

/// Lends frames, one burst at a time.
pub trait Source {
    /// Puts the next frames into an empty burst. If the burst stays empty, a capture has ended; a
    /// live interface has no frames at the moment.
    ///
    /// The frames are borrowed from the source until the burst is dropped. A source that fails
    /// after some valid frames lends them first and returns the error from the next call.
    ///
    /// # Errors
    /// The error that ended the source. It is returned once; later calls leave the burst empty.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()>;
}

/// Receives the copies of a burst.
pub trait Sink {
    /// Sends all copies of a burst, in order, and adds those that it cannot send to `drops`.
    ///
    /// # Errors
    /// The sink failed and the run must end. A copy that a target refuses is not an error.
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()>;

    /// Whether the sink observes verdicts. Most sinks do not, and verdicts take time.
    fn wants_verdicts(&self) -> bool {
        false
    }

    /// Receives the verdict of each frame of the burst, before `send`, if `wants_verdicts` is true.
    ///
    /// # Errors
    /// As for `send`.
    fn observe_verdicts(&mut self, _burst: &Burst<'_>, _verdicts: &[Verdict]) -> io::Result<()> {
        Ok(())
    }

    /// Writes buffered output. Called once, after the last burst.
    ///
    /// # Errors
    /// As for `send`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The cause of a dropped copy or frame: only losses inside this program or the kernel are drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropCause {
    /// The kernel had no buffer for it (`ENOBUFS`, `EAGAIN`).
    NoBuffers,
    /// It exceeds the MTU of the path to the target (`EMSGSIZE`).
    MessageTooLong,
    /// The host of the target refuses UDP on that port (`ECONNREFUSED`).
    TargetRefused,
    /// There is no route to the target (`ENETUNREACH`, `EHOSTUNREACH`, ...).
    TargetUnreachable,
    /// The kernel refused it for another reason (`EPERM` from a firewall, ...).
    SendFailed,
    /// The run was stopped while the copy waited for its send time.
    Interrupted,
    /// The output failed (full disk, closed pipe) before the copy was written.
    OutputFailed,
    /// The capture ring was full, so the kernel dropped the frame; or the frame was still in the
    /// ring when the capture failed.
    Ring,
    /// Dropped so that production traffic is not delayed: a rate limit was reached, or the egress
    /// queue refused packets shortly before.
    Congestion,
    /// Not sent because copies to the target return to the mirrored interface.
    Loop,
    /// A packet socket cannot describe the frame's segmentation offload (UFO or SCTP of a guest),
    /// so the kernel delivered no bytes of it; or the offload header did not fit the frame.
    UnsupportedOffload,
    /// A super-frame with more segments than any network stack builds. It is dropped, so that one
    /// frame does not become tens of thousands of copies.
    TooManySegments,
    /// The target of the session has no address, or none that copies may be sent to.
    NoTargetAddress,
    /// The interface moved to the other tier.
    TierSwitch,
}

impl DropCause {
    /// Every cause, in the order of [`DropCause::index`].
    pub const ALL: [Self; 14] = [
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
        Self::NoTargetAddress,
        Self::TierSwitch,
    ];

    /// Index in [`DropCause::ALL`].
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
            Self::NoTargetAddress => 12,
            Self::TierSwitch => 13,
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
            Self::NoTargetAddress => "no_target_address",
            Self::TierSwitch => "tier_switch",
        }
    }
}

/// The copies of one burst that a sink dropped or truncated.
#[derive(Debug, Default)]
pub struct Drops {
    lost: Vec<(usize, DropCause)>,
    cut: Vec<(usize, usize)>,
}

impl Drops {
    /// Records that the copy at `index` was dropped; each copy at most once.
    pub fn push(&mut self, index: usize, cause: DropCause) {
        debug_assert!(self.lost.iter().all(|(known, _)| *known != index), "lost twice");
        self.lost.push((index, cause));
    }

    /// Records that the copy at `index` was sent with only the first `inner_len` bytes of its
    /// frame, because of the MTU of the path. If it is called again for a copy, the smallest length
    /// counts.
    pub fn cut(&mut self, index: usize, inner_len: usize) {
        self.cut.push((index, inner_len));
    }

    /// The truncated copies: index in the burst, and remaining length of the inner frame in bytes.
    #[must_use]
    pub fn cuts(&self) -> &[(usize, usize)] {
        &self.cut
    }

    /// The dropped copies: index in the burst, and cause.
    #[must_use]
    pub fn lost(&self) -> &[(usize, DropCause)] {
        &self.lost
    }

    /// Records as dropped all of the first `copies` copies that are not yet recorded.
    pub fn push_remaining(&mut self, copies: usize, cause: DropCause) {
        for index in 0..copies {
            if !self.lost.iter().any(|(known, _)| *known == index) {
                self.lost.push((index, cause));
            }
        }
    }

    /// Removes all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.lost.clear();
        self.cut.clear();
    }

    /// Reserves memory for this number of copies.
    pub fn reserve(&mut self, copies: usize) {
        self.lost.reserve(copies);
        self.cut.reserve(copies);
    }
}
