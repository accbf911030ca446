//! Sources and sinks in memory: frames from a vector, copies and reasons into vectors.
//!
//! For tests and for programs that have their own frames. Nothing here uses the operating system.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::dataplane::{
    AcceptedBy, BURST_LEN, Burst, Copies, Drops, Frame, InterfaceIndex, MirrorOutcome, MirrorTable,
    MirroredCopy, NotMirrored, SessionIndex, Sink, Source, StepError, Verdict, Worker,
};
use crate::model::{Direction, SessionId};

/// A frame in memory. `B` is the type of its bytes, owned or borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFrame<B> {
    /// The Ethernet frame from the destination MAC address on, without the frame check sequence.
    pub bytes: B,
    /// The time in nanoseconds since 1970-01-01 UTC; 0 if it does not matter.
    pub timestamp_ns: u64,
    /// The direction, if it is known. Otherwise it follows from the addresses.
    pub direction: Option<Direction>,
}

impl<B> MemoryFrame<B> {
    /// A frame without time and direction.
    #[must_use]
    pub const fn new(bytes: B) -> Self {
        Self { bytes, timestamp_ns: 0, direction: None }
    }

    /// The same frame at another time.
    #[must_use]
    pub fn at(mut self, timestamp_ns: u64) -> Self {
        self.timestamp_ns = timestamp_ns;
        self
    }

    /// The same frame with a known direction.
    #[must_use]
    pub fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }
}

/// A source of frames in memory, which it yields once and in order.
///
/// ```
/// use traffic_mirror::io::memory::{FrameSource, MemoryFrame};
///
/// let bytes_alone = FrameSource::new([vec![0; 60], vec![1; 60]]);
/// let with_time = FrameSource::from_frames([MemoryFrame::new(&[0; 60]).at(1_000)]);
/// assert_eq!((bytes_alone.remaining(), with_time.remaining()), (2, 1));
/// ```
#[derive(Debug, Clone)]
pub struct FrameSource<B> {
    frames: Vec<MemoryFrame<B>>,
    next: usize,
}

impl<B: AsRef<[u8]>> FrameSource<B> {
    /// A source of frames that have only bytes, such as vectors or slices.
    pub fn new(frames: impl IntoIterator<Item = B>) -> Self {
        Self::from_frames(frames.into_iter().map(MemoryFrame::new))
    }

    /// A source of frames with a time and optionally a direction.
    pub fn from_frames(frames: impl IntoIterator<Item = MemoryFrame<B>>) -> Self {
        Self { frames: frames.into_iter().collect(), next: 0 }
    }

    /// The number of frames that were not yet yielded.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.frames.len().saturating_sub(self.next)
    }

    /// Starts again with the first frame.
    pub const fn rewind(&mut self) {
        self.next = 0;
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for FrameSource<B> {
    fn from_iter<I: IntoIterator<Item = B>>(frames: I) -> Self {
        Self::new(frames)
    }
}

impl<B: AsRef<[u8]>> Source for FrameSource<B> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        let waiting = self.frames.get(self.next..).unwrap_or_default();
        for frame in waiting.iter().take(BURST_LEN) {
            let direction = frame.direction;
            let borrowed = Frame::new(frame.bytes.as_ref()).at(frame.timestamp_ns);
            burst.push(Frame { direction, ..borrowed });
            self.next += 1;
        }
        Ok(())
    }
}

/// A copy that outlives its burst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedCopy {
    /// The number of the copied frame in its source, from 0, over all bursts. After an
    /// [`ImpairedSink`](super::impair::ImpairedSink), it is not valid for delayed and corrupted
    /// copies.
    pub frame: u64,
    /// The id of the session.
    pub session_id: SessionId,
    /// The session.
    pub session: SessionIndex,
    /// The part of the session's filter that accepted the frame.
    pub accepted_by: AcceptedBy,
    /// The time of the frame in nanoseconds since 1970-01-01 UTC.
    pub timestamp_ns: u64,
    /// The outer Ethernet, IP, UDP and VXLAN headers: 50 bytes with IPv4, 70 with IPv6.
    pub outer: Bytes,
    /// The inner frame, truncated to the PacketLength of the session.
    pub inner: Bytes,
}

impl OwnedCopy {
    /// Clones a copy of a burst whose first frame has the number `first_frame` in its source.
    #[must_use]
    pub fn new(copy: &MirroredCopy<'_>, first_frame: u64) -> Self {
        Self {
            frame: first_frame + u64::from(copy.frame_index()),
            session_id: copy.session_id().clone(),
            session: copy.session(),
            accepted_by: copy.accepted_by(),
            timestamp_ns: copy.frame().timestamp_ns,
            outer: Bytes::copy_from_slice(&copy.outer()),
            inner: copy.inner().to_vec().into(),
        }
    }
}

/// A frame that was not mirrored at one interface, and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnmirroredFrame {
    /// The number of the frame in its source, from 0, over all bursts.
    pub frame: u64,
    /// The interface; none if the frame belongs to no interface.
    pub interface: Option<InterfaceIndex>,
    /// The direction, seen from the interface; none if there is no interface.
    pub direction: Option<Direction>,
    /// The reason.
    pub reason: NotMirrored,
}

/// The results for all frames. For each of its interfaces, a frame is in one of the two vectors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The copies, in the order in which they were sent.
    pub mirrored: Vec<OwnedCopy>,
    /// The frames that were not mirrored, in the order of the frames.
    pub not_mirrored: Vec<UnmirroredFrame>,
}

impl Collected {
    /// The copies of one frame: one for each interface that mirrored it.
    pub fn copies_of(&self, frame: u64) -> impl Iterator<Item = &OwnedCopy> {
        self.mirrored.iter().filter(move |copy| copy.frame == frame)
    }

    /// The reasons why one frame was not mirrored: one for each interface that did not mirror it.
    pub fn reasons_for(&self, frame: u64) -> impl Iterator<Item = NotMirrored> {
        self.not_mirrored.iter().filter(move |left| left.frame == frame).map(|left| left.reason)
    }
}

/// A sink that stores every copy, and the reason for each frame that was not mirrored.
#[derive(Debug, Default)]
pub struct CollectSink {
    collected: Collected,
    frame_count: FrameCount,
}

impl CollectSink {
    /// The results so far.
    #[must_use]
    pub const fn collected(&self) -> &Collected {
        &self.collected
    }

    /// All results.
    #[must_use]
    pub fn into_collected(self) -> Collected {
        self.collected
    }
}

impl Sink for CollectSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        let first_frame = self.frame_count.first_of_burst;
        self.collected
            .mirrored
            .extend(copies.iter().map(|copy| OwnedCopy::new(&copy, first_frame)));
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        self.frame_count.advance(burst);
        let first_frame = self.frame_count.first_of_burst;
        let left = verdicts.iter().filter_map(|verdict| unmirrored_frame(verdict, first_frame));
        self.collected.not_mirrored.extend(left);
        Ok(())
    }
}

fn unmirrored_frame(verdict: &Verdict, first_frame: u64) -> Option<UnmirroredFrame> {
    let MirrorOutcome::NotMirrored(reason) = verdict.outcome else { return None };
    Some(UnmirroredFrame {
        frame: first_frame + u64::from(verdict.frame),
        interface: verdict.interface,
        direction: verdict.interface.map(|_| verdict.direction),
        reason,
    })
}

/// Counts frames over all bursts, for sinks that number them.
#[derive(Debug, Default)]
pub(super) struct FrameCount {
    pub(super) first_of_burst: u64,
    next: u64,
}

impl FrameCount {
    /// Called for every burst, from `observe_verdicts`.
    pub(super) fn advance(&mut self, burst: &Burst<'_>) {
        self.first_of_burst = self.next;
        self.next += u64::try_from(burst.len()).unwrap_or_default();
    }
}

/// Evaluates all frames of a source with a table and returns the results in memory.
///
/// The source is a [`FrameSource`], a [`CaptureSource`](super::capture::CaptureSource) or your own.
/// Use a [`Worker`] directly to read its counters, to force a direction, or to keep the results
/// before a source fails.
///
/// # Errors
/// The error of the source. A [`FrameSource`] never fails.
pub fn mirror(table: &Arc<MirrorTable>, mut source: impl Source) -> io::Result<Collected> {
    let mut sink = CollectSink::default();
    match Worker::new(Arc::clone(table)).run(&mut source, &mut sink) {
        Ok(()) => Ok(sink.into_collected()),
        Err(StepError::Source(error) | StepError::Sink(error)) => Err(error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::dataplane::{CompiledSession, CompiledTarget, TableParts, TargetIndex};
    use crate::model::{
        Filter, FilterId, NetworkInterface, NetworkInterfaceId, SessionId, SessionNumber, TargetId,
        VirtualNetworkId,
    };

    /// One session that accepts everything. Its interface has no addresses.
    pub(in crate::io) fn table() -> Arc<MirrorTable> {
        let interface = NetworkInterface::new(NetworkInterfaceId::new("eni-1").unwrap());
        let id = TargetId::new("tmt-1").unwrap();
        let address = ([192, 0, 2, 10], 4789).into();
        let session = CompiledSession {
            id: SessionId::new("tms-1").unwrap(),
            number: SessionNumber::MIN,
            interface: InterfaceIndex::FIRST,
            target: TargetIndex::FIRST,
            filter: Arc::new(Filter::accept_all(FilterId::new("tmf-1").unwrap())),
            packet_length: None,
            rate_limit: None,
            virtual_network_id: VirtualNetworkId::new(42).unwrap(),
            source_address: [192, 0, 2, 1].into(),
        };
        Arc::new(MirrorTable::new(TableParts {
            interfaces: vec![Arc::new(interface)],
            targets: vec![CompiledTarget {
                id,
                address: Some(address),
                further_addresses: Vec::new(),
                gateway_endpoint: None,
                mtu: None,
                rate_limit: None,
            }],
            sessions: vec![session],
            ..TableParts::default()
        }))
    }

    /// A UDP datagram from 10.0.0.5 to 10.0.0.6, or an ARP frame.
    pub(in crate::io) fn frame(is_ip: bool) -> Vec<u8> {
        let mut bytes = vec![2; 12];
        bytes.extend(if is_ip { [8, 0] } else { [8, 6] });
        bytes.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 5, 10, 0, 0, 6]);
        bytes.extend([0x30, 0x39, 0x1f, 0x90, 0, 8, 0, 0]);
        bytes
    }

    #[test]
    fn every_frame_is_mirrored_or_has_a_reason() {
        let kinds: Vec<bool> = (0..3 * BURST_LEN + 5).map(|number| number % 3 == 0).collect();
        let collected =
            mirror(&table(), kinds.iter().copied().map(frame).collect::<FrameSource<_>>());
        let collected = collected.unwrap();
        for (number, is_ip) in (0..).zip(kinds) {
            let copies: Vec<_> = collected.copies_of(number).collect();
            let reasons: Vec<_> = collected.reasons_for(number).collect();
            if is_ip {
                assert_eq!((copies[0].inner.as_ref(), copies[0].outer.len()), (&*frame(true), 50));
            }
            assert_eq!(copies.len(), usize::from(is_ip));
            assert_eq!(reasons, vec![NotMirrored::NotIp; usize::from(!is_ip)]);
        }
    }

    #[test]
    fn copies_keep_timestamp_and_direction() {
        let sent = [MemoryFrame::new(frame(true)).at(7), MemoryFrame::new(frame(false)).at(8)];
        let sent = sent.map(|frame| frame.with_direction(Direction::Egress));
        let collected = mirror(&table(), FrameSource::from_frames(sent)).unwrap();
        assert_eq!(collected.mirrored[0].timestamp_ns, 7);
        assert_eq!(collected.not_mirrored[0].direction, Some(Direction::Egress));
        assert_eq!(collected.not_mirrored[0].interface, Some(InterfaceIndex::FIRST));
    }

    #[test]
    fn a_source_ends_and_can_be_rewound() {
        let mut source = FrameSource::new([frame(true), frame(true)]);
        for expected_len in [2, 0] {
            let mut burst = Burst::new();
            source.fill(&mut burst).unwrap();
            assert_eq!(burst.len(), expected_len);
        }
        source.rewind();
        assert_eq!(source.remaining(), 2);
    }
}
