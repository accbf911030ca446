//! The source that reads one packet ring: it connects the ring reader, the offload repair, the
//! kernel filter, the wait and the statistics.

use std::io;

use super::filter::{FilterSockets, FilterState, KernelFilterController, TrafficSample};
use super::idle_strategy::IdleStrategy;
use super::options::RingOptions;
use super::ring_frames::RingFrames;
use super::ring_statistics::{ReaderProgress, RingStatistics};
use super::wake_socket::WakeSocket;
use super::waker::Waker;
use super::{LiveSource, SourceCounts};
use crate::dataplane::{Burst, InterfaceIndex, MirrorTable, Source};
use crate::io::sys::ring::{Ring, RingSocket};

/// Delivers the frames of one ring.
#[derive(Debug)]
pub struct RingSource {
    socket: RingSocket,
    frames: RingFrames,
    idle: IdleStrategy,
    filter_controller: KernelFilterController,
    statistics: RingStatistics,
    /// An error that occurred after the last frames were collected; the next call returns it.
    failure: Option<io::Error>,
}

impl RingSource {
    pub(super) fn new(
        ring: Ring,
        wake_socket: WakeSocket,
        waker: Waker,
        options: &RingOptions,
    ) -> Self {
        let (socket, memory) = ring.into_parts();
        Self {
            socket,
            frames: RingFrames::new(memory),
            idle: IdleStrategy::new(wake_socket, waker, options.busy_poll),
            filter_controller: KernelFilterController::new(options),
            statistics: RingStatistics::default(),
            failure: None,
        }
    }

    /// Disables truncation in the kernel after it truncated a frame that offload repair needs
    /// whole.
    #[inline]
    fn handle_overtruncated(&mut self) -> io::Result<()> {
        match self.frames.repair.take_overtruncated() {
            0 => Ok(()),
            frames => self.update_filter(|filter_controller, sockets| {
                filter_controller.disable_truncation(frames, sockets)
            }),
        }
    }

    fn update_filter(
        &mut self,
        change: impl FnOnce(&mut KernelFilterController, FilterSockets<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let sockets =
            FilterSockets { ring: self.socket.socket(), wake_socket: self.idle.wake_socket() };
        change(&mut self.filter_controller, sockets)?;
        self.frames.repair.expect_truncation(self.filter_controller.truncation_len());
        Ok(())
    }

    /// Reads the kernel's counters first and the reader's progress second. Frames that the kernel
    /// counted and the reader has not passed are then in flight.
    fn update_statistics(&mut self) -> ReaderProgress {
        let counted = self.socket.statistics();
        let slots = self.frames.reader.counts();
        let blocks = self.frames.reader.memory().geometry().blocks;
        let progress = ReaderProgress {
            passed: slots.frames + slots.malformed,
            empty: slots.empty,
            in_flight: self.frames.reader.in_flight(),
            blocks: slots.blocks,
            ring_blocks: u64::try_from(blocks).unwrap_or(u64::MAX),
        };
        // Without new counters there is nothing to compare.
        if let Ok(counted) = counted {
            self.statistics.add(counted, &progress);
        }
        progress
    }

    fn source_counts(&self, left_behind: u64) -> SourceCounts {
        let (slots, losses) = (self.frames.reader.counts(), self.frames.repair.losses());
        SourceCounts {
            frames: self.statistics.frames(),
            ring_full: self.statistics.ring_full() + losses.uncaptured + left_behind,
            unsupported_offload: slots.empty + slots.malformed + losses.header_errors,
            too_many_segments: losses.too_many_segments,
            overtruncated: self.filter_controller.state().overtruncated,
            delivered: self.frames.delivered(),
            super_frame_segments: self.frames.repair.super_frame_segments(),
            unaccounted: self.statistics.unaccounted(),
        }
    }
}

impl Source for RingSource {
    /// Waits at most two seconds for frames; returns at once after a wake-up.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.frames.collect();
        if self.frames.repair.len() == 0 {
            self.idle.wait(&self.frames.reader, &self.socket)?;
            self.frames.collect();
        }
        let first = self.frames.repair.frames().first();
        self.idle.record_burst(first.map(|first| first.timestamp_ns), self.frames.repair.len());
        // The frames are delivered before the error is returned: they were read already and would
        // be lost.
        self.failure = self.handle_overtruncated().err();
        self.frames.deliver(burst);
        Ok(())
    }
}

impl LiveSource for RingSource {
    fn counts(&mut self) -> SourceCounts {
        self.update_statistics();
        self.source_counts(0)
    }

    fn final_counts(&mut self) -> SourceCounts {
        let progress = self.update_statistics();
        let left_behind = self.statistics.finish(&progress) + self.frames.pending_segments();
        self.source_counts(left_behind)
    }

    fn memory_len(&self) -> usize {
        let geometry = self.frames.reader.memory().geometry();
        geometry.block_len * geometry.blocks
    }

    fn has_frames(&self) -> bool {
        self.frames.pending_segments() > 0 || self.frames.reader.in_flight() > 0
    }

    fn is_half_full(&mut self) -> bool {
        // The frames of these blocks were delivered.
        self.frames.reader.release();
        self.frames.reader.is_half_full()
    }

    fn set_table(&mut self, table: &MirrorTable, interface: InterfaceIndex) -> io::Result<()> {
        self.update_filter(|filter_controller, sockets| {
            filter_controller.set_table((table, interface), sockets)
        })
    }

    fn observe_traffic(&mut self, sample: &TrafficSample) -> io::Result<()> {
        self.update_filter(|filter_controller, sockets| {
            filter_controller.observe_traffic(sample, sockets)
        })
    }

    fn filter_state(&self) -> FilterState {
        self.filter_controller.state()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.filter_controller.take_warnings()
    }

    fn close(&mut self) -> io::Result<()> {
        self.update_filter(KernelFilterController::close)
    }
}
