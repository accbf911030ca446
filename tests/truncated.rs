//! Which copies count as truncated: shorter than what was captured, or, where a live source cut
//! the frame beforehand, than what was on the wire.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::io;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{Burst, Copies, DropCause, Drops, Frame, Sink, Source, Worker};
use traffic_mirror::model::PacketLength;

/// Lends one frame, once.
struct One<'f>(Option<Frame<'f>>);

impl Source for One<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        burst.extend(self.0.take());
        Ok(())
    }
}

/// Takes nothing, or cuts all.
enum Takes {
    All,
    Nothing,
    ThirtyBytes,
}

impl Sink for Takes {
    fn send(&mut self, _copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        match self {
            Self::All => {}
            Self::Nothing => drops.push(0, DropCause::NoBuffers),
            Self::ThirtyBytes => drops.cut(0, 30),
        }
        Ok(())
    }
}

/// A frame of 60 captured bytes out of 1,000, at a session with that PacketLength: how many
/// copies are truncated, and how many of them to the MTU.
fn counted(length: Option<i64>, is_cut: bool, mut takes: Takes) -> (u64, u64) {
    let length = length.map(|length| PacketLength::new(length).unwrap());
    let registry = Registry::accept_all(([192, 0, 2, 10], 4789).into(), None, length);
    let mut worker = Worker::new(Arc::new(compile(&registry, &CompileOptions::default())));
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 3, 0xda, 0, 0, 0, 0];
    bytes.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 80, 3, 0xc6, 0, 0]);
    bytes.resize(60, 0);
    let frame = Frame { wire_len: 1_000, is_cut, ..Frame::new(&bytes) };
    worker.run(&mut One(Some(frame)), &mut takes).unwrap();
    assert!(worker.counters().add_up());
    let session = worker.counters().sessions[0];
    (session.truncated, session.truncated_to_mtu)
}

#[test]
fn a_capture_is_measured_by_what_was_captured() {
    assert_eq!(counted(Some(60), false, Takes::All), (0, 0));
    assert_eq!(counted(Some(59), false, Takes::All), (1, 0));
    assert_eq!(counted(None, false, Takes::All), (0, 0));
}

#[test]
fn a_frame_that_was_cut_beforehand_is_measured_by_what_was_on_the_wire() {
    assert_eq!(counted(Some(60), true, Takes::All), (1, 0));
    assert_eq!(counted(Some(50), true, Takes::All), (1, 0));
    assert_eq!(counted(Some(60), true, Takes::Nothing), (0, 0));
    assert_eq!(counted(Some(60), true, Takes::ThirtyBytes), (1, 1));
}
