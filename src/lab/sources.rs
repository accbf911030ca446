//! Sources of a play: frames with their direction, frames one by one, and length-prefixed frames.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::error::LabError;
use crate::dataplane::{BURST_LEN, Burst, Frame, MirrorTable, Source};
use crate::model::Direction;

/// Lends the frames of a capture with their direction at an interface.
pub(super) struct DirectedSource<'s> {
    pub(super) capture: &'s mut dyn Source,
    pub(super) table: Arc<MirrorTable>,
    pub(super) direction: Option<Direction>,
}

impl Source for DirectedSource<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.capture.fill(burst)?;
        for frame in burst.iter_mut() {
            let direction = self.direction.unwrap_or_else(|| self.table.direction_of(frame));
            frame.direction = Some(direction);
        }
        Ok(())
    }
}

/// Lends the frames of another source one by one. At a speed, a burst would be decided long before
/// its last frame is due, so changes of sessions would apply late.
pub(super) struct SingleFrameSource<'s> {
    inner: &'s mut dyn Source,
    waiting: VecDeque<OwnedFrame>,
    current: Option<OwnedFrame>,
}

/// The bytes of a frame, and its properties without bytes.
struct OwnedFrame {
    bytes: Vec<u8>,
    properties: Frame<'static>,
}

impl<'s> SingleFrameSource<'s> {
    pub(super) const fn new(inner: &'s mut dyn Source) -> Self {
        Self { inner, waiting: VecDeque::new(), current: None }
    }
}

impl OwnedFrame {
    fn new(frame: &Frame<'_>) -> Self {
        let bytes = [frame.bytes, frame.tail].concat();
        Self { bytes, properties: frame.without_bytes() }
    }
}

impl Source for SingleFrameSource<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        if self.waiting.is_empty() {
            let mut filled = Burst::new();
            self.inner.fill(&mut filled)?;
            self.waiting.extend(filled.iter().map(OwnedFrame::new));
        }
        self.current = self.waiting.pop_front();
        if let Some(OwnedFrame { bytes, properties }) = &self.current {
            burst.push(Frame { bytes, ..*properties });
        }
        Ok(())
    }
}

/// Ethernet frames in one buffer, each after its length in bytes (4 bytes, big-endian).
#[derive(Debug, Clone)]
pub struct PrefixedFrames {
    bytes: Bytes,
    next: usize,
}

impl PrefixedFrames {
    /// Checks that the buffer consists of complete frames.
    ///
    /// # Errors
    /// [`LabError`]: names the first byte that does not belong to a frame.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, LabError> {
        let bytes = bytes.into();
        let mut next = 0;
        while next < bytes.len() {
            let frame = frame_at(&bytes, next).ok_or_else(|| {
                let message = format!(
                    "body, byte {next}: expected frames that each follow their length in bytes (4 \
                     bytes, big-endian), or a capture as application/vnd.tcpdump.pcap"
                );
                LabError::invalid("InvalidBody", message)
            })?;
            next += 4 + frame.len();
        }
        Ok(Self { bytes, next: 0 })
    }
}

/// The frame whose length is at a position.
fn frame_at(bytes: &[u8], position: usize) -> Option<&[u8]> {
    let rest = bytes.get(position..)?;
    let len = usize::try_from(u32::from_be_bytes(*rest.first_chunk::<4>()?)).ok()?;
    rest.get(4..len.checked_add(4)?)
}

impl Source for PrefixedFrames {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        for _ in 0..BURST_LEN {
            let Some(frame) = frame_at(&self.bytes, self.next) else { break };
            self.next += 4 + frame.len();
            burst.push(Frame::new(frame));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_prefixed_frames_are_lent_in_order() {
        let mut frames =
            PrefixedFrames::new(Bytes::from_static(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c")).unwrap();
        let mut single = SingleFrameSource::new(&mut frames);
        for expected in [&b"ab"[..], b"", b"c"] {
            let mut burst = Burst::new();
            single.fill(&mut burst).unwrap();
            assert_eq!(burst.iter().map(|frame| frame.bytes).collect::<Vec<_>>(), [expected]);
        }
        let mut burst = Burst::new();
        single.fill(&mut burst).unwrap();
        assert!(burst.is_empty());
        for wrong in [&b"\0\0\0\x02a"[..], b"\0\0", b"\0\0\0\x01ab", b"\xff\xff\xff\xffa"] {
            let error = PrefixedFrames::new(Bytes::from_static(wrong)).unwrap_err();
            assert!(error.message.contains("expected frames"), "{error}");
        }
    }
}
