//! Runs one stage of the data plane over packets, without the others.

use std::hint::black_box;
use std::io;

use super::stage::Stage;
use super::workload::Workload;
use crate::dataplane::{
    Answer, BURST_LEN, Burst, Copies, Drops, FlowKey, Frame, InnerBytes, MAX_INNER_OVER_IPV4,
    MAX_OUTER_LEN, OuterTemplate, RuleSet, Sink, Source, StepError, Worker,
};

/// Some of the packets: their headers, and the same packets as frames.
#[derive(Clone, Copy)]
pub(super) struct PacketShare<'a> {
    pub(super) keys: &'a [FlowKey],
    pub(super) frames: &'a [Vec<u8>],
}

impl<'a> PacketShare<'a> {
    /// The first packets of a workload in `parts` shares of equal length; the last may be shorter.
    pub(super) fn of(workload: &'a Workload, packets: usize, parts: usize) -> Vec<Self> {
        let each = packets.div_ceil(parts.max(1)).max(1);
        let keys = workload.keys.get(..packets).unwrap_or(&workload.keys).chunks(each);
        let frames = workload.frames.get(..packets).unwrap_or(&workload.frames).chunks(each);
        keys.zip(frames).map(|(keys, frames)| PacketShare { keys, frames }).collect()
    }

    /// The share that consists of one packet; empty if there is none at the index.
    fn packet(self, index: usize) -> Self {
        let range = index..index.saturating_add(1);
        let keys = self.keys.get(range.clone()).unwrap_or_default();
        Self { keys, frames: self.frames.get(range).unwrap_or_default() }
    }
}

/// Runs the stages over its packets; everything that they need is allocated before the clock runs.
pub(super) struct StageRunner<'a> {
    packets: PacketShare<'a>,
    rules: &'a RuleSet,
    template: OuterTemplate,
    answers: Vec<Answer>,
    worker: Worker,
    buffer: RingBuffer,
}

impl<'a> StageRunner<'a> {
    pub(super) fn new(
        packets: PacketShare<'a>,
        rules: &'a RuleSet,
        worker: Worker,
        template: OuterTemplate,
    ) -> Self {
        let answers = vec![Answer::NONE; packets.keys.len()];
        let buffer = RingBuffer { bytes: vec![0; RingBuffer::LEN], at: 0 };
        Self { packets, rules, template, answers, worker, buffer }
    }

    /// Sends all packets through a stage once.
    pub(super) fn run_stage(&mut self, stage: Stage) -> Result<(), StepError> {
        self.run(stage, self.packets)
    }

    /// Sends one packet through a stage.
    pub(super) fn run_packet(&mut self, stage: Stage, index: usize) -> Result<(), StepError> {
        self.run(stage, self.packets.packet(index))
    }

    fn run(&mut self, stage: Stage, packets: PacketShare<'_>) -> Result<(), StepError> {
        match stage {
            Stage::Parse => packets.frames.iter().for_each(|frame| {
                let _ = black_box(FlowKey::parse(black_box(frame)));
            }),
            Stage::Classify => {
                let bursts = packets.keys.chunks(BURST_LEN);
                for (keys, answers) in bursts.zip(self.answers.chunks_mut(BURST_LEN)) {
                    self.rules.classify(black_box(keys), answers);
                }
            }
            Stage::Wrap => {
                let mut place = [0; MAX_OUTER_LEN];
                for frame in packets.frames {
                    let inner = black_box(truncate(frame));
                    self.template.write_outer_header(InnerBytes::from(inner), (5, 0), &mut place);
                    black_box(&place);
                }
            }
            Stage::Send => packets.frames.iter().for_each(|frame| {
                let inner = truncate(frame);
                let template = &self.template;
                self.buffer.put(inner, |place| {
                    template.write_outer_header(InnerBytes::from(inner), (5, 0), place)
                });
            }),
            Stage::Whole => {
                let mut frames = FrameSlices(packets.frames);
                self.worker.run(&mut frames, &mut self.buffer)?;
            }
        }
        Ok(())
    }

    /// The number of packets.
    pub(super) const fn packets(&self) -> usize {
        self.packets.keys.len()
    }

    /// The number of packets that a session mirrors.
    pub(super) fn taken(&mut self) -> usize {
        self.rules.classify(self.packets.keys, &mut self.answers);
        self.answers.iter().filter(|answer| **answer != Answer::NONE).count()
    }
}

/// The part of a frame that fits into a datagram.
fn truncate(frame: &[u8]) -> &[u8] {
    let max_len = usize::try_from(MAX_INNER_OVER_IPV4).unwrap_or(usize::MAX);
    frame.get(..max_len).unwrap_or(frame)
}

/// A source of frames in memory.
struct FrameSlices<'f>(&'f [Vec<u8>]);

impl Source for FrameSlices<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        let (first, rest) = self.0.split_at(self.0.len().min(BURST_LEN));
        self.0 = rest;
        burst.extend(first.iter().map(|frame| Frame::new(frame)));
        Ok(())
    }
}

/// A buffer that is overwritten from the start when it is full, and stays in the processor's cache.
struct RingBuffer {
    bytes: Vec<u8>,
    at: usize,
}

impl RingBuffer {
    const LEN: usize = 256 * 1024;

    fn put(&mut self, inner: &[u8], outer: impl FnOnce(&mut [u8; MAX_OUTER_LEN]) -> usize) {
        if self.at + MAX_OUTER_LEN + inner.len() > self.bytes.len() {
            self.at = 0;
        }
        let Some(place) = self.bytes.get_mut(self.at..) else { return };
        let Some(outer_len) = place.first_chunk_mut().map(outer) else { return };
        if let Some(place) = place.get_mut(outer_len..outer_len + inner.len()) {
            place.copy_from_slice(inner);
        }
        self.at += outer_len + inner.len();
    }
}

impl Sink for RingBuffer {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            self.put(copy.inner().head, |place| copy.write_outer(place));
        }
        Ok(())
    }
}
