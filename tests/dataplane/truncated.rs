//! Which copies count as truncated: those that are shorter than the captured frame or, if a live
//! source truncated the frame, shorter than the frame on the wire.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::io;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{Burst, Copies, DropCause, Drops, Frame, Sink, Source, Worker};
use traffic_mirror::model::PacketLength;

/// Lends one frame once.
struct OneFrame<'f>(Option<Frame<'f>>);

impl Source for OneFrame<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        burst.extend(self.0.take());
        Ok(())
    }
}

/// Sends all copies, none, or truncated ones.
enum SinkBehaviour {
    All,
    Nothing,
    ThirtyBytes,
}

impl Sink for SinkBehaviour {
    fn send(&mut self, _copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        match self {
            Self::All => {}
            Self::Nothing => drops.push(0, DropCause::NoBuffers),
            Self::ThirtyBytes => drops.cut(0, 30),
        }
        Ok(())
    }
}

/// The number of truncated copies, and of copies truncated to the MTU, of a frame with 60 captured
/// bytes of 1,000 and a session with this PacketLength.
fn truncated_counts(length: Option<i64>, is_cut: bool, mut behaviour: SinkBehaviour) -> (u64, u64) {
    let length = length.map(|length| PacketLength::new(length).unwrap());
    let registry = Registry::accept_all(([192, 0, 2, 10], 4789).into(), None, length);
    let mut worker = Worker::new(Arc::new(compile(&registry, &CompileOptions::default())));
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 3, 0xda, 0, 0, 0, 0];
    bytes.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 80, 3, 0xc6, 0, 0]);
    bytes.resize(60, 0);
    let frame = Frame { wire_len: 1_000, is_cut, ..Frame::new(&bytes) };
    worker.run(&mut OneFrame(Some(frame)), &mut behaviour).unwrap();
    assert!(worker.counters().is_balanced());
    let session = worker.counters().sessions[0];
    (session.truncated, session.truncated_to_mtu)
}

#[test]
fn truncation_of_a_capture_is_measured_from_the_captured_length() {
    assert_eq!(truncated_counts(Some(60), false, SinkBehaviour::All), (0, 0));
    assert_eq!(truncated_counts(Some(59), false, SinkBehaviour::All), (1, 0));
    assert_eq!(truncated_counts(None, false, SinkBehaviour::All), (0, 0));
}

#[test]
fn truncation_of_a_live_frame_is_measured_from_the_wire_length() {
    assert_eq!(truncated_counts(Some(60), true, SinkBehaviour::All), (1, 0));
    assert_eq!(truncated_counts(Some(50), true, SinkBehaviour::All), (1, 0));
    assert_eq!(truncated_counts(Some(60), true, SinkBehaviour::Nothing), (0, 0));
    assert_eq!(truncated_counts(Some(60), true, SinkBehaviour::ThirtyBytes), (1, 1));
}
