//! A running worker allocates no memory, for any number of frames.

use std::io;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{BURST_LEN, Burst, Copies, Drops, Frame, Sink, Source, Worker};

/// Lends the same frames for `bursts` bursts.
struct RepeatedFrames<'f> {
    frames: &'f [Vec<u8>],
    bursts: usize,
}

impl Source for RepeatedFrames<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        if self.bursts > 0 {
            self.bursts -= 1;
            burst.extend(self.frames.iter().cycle().take(BURST_LEN).map(|frame| Frame::new(frame)));
        }
        Ok(())
    }
}

/// Reads every byte of the headers and of the heads of the copies, and stores none.
#[derive(Default)]
struct SummingSink(u64);

impl Sink for SummingSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            let bytes =
                copy.outer().iter().chain(copy.inner().head).copied().map(u64::from).sum::<u64>();
            self.0 = self.0.wrapping_add(bytes);
        }
        Ok(())
    }
}

fn udp_frame(last: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 32, 0, 0, 0, 0];
    frame.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, last, 0x9c, 0x40, 0, 80, 0, 12, 0, 0]);
    frame.extend([1, 2, 3, 4]);
    frame
}

#[test]
fn a_running_worker_allocates_nothing() {
    let registry = Registry::accept_all(([192, 0, 2, 10], 4789).into(), None, None);
    let table = Arc::new(compile(&registry, &CompileOptions::default()));
    let frames: Vec<Vec<u8>> = (0..=u8::MAX).map(udp_frame).collect();
    let mut worker = Worker::new(table);
    let mut sink = SummingSink::default();
    for bursts in [1, 1_000, 16_000] {
        let mut source = RepeatedFrames { frames: &frames, bursts };
        let counted = allocation_counter::measure(|| worker.run(&mut source, &mut sink).unwrap());
        assert_eq!(counted.count_total, 0, "{bursts} bursts");
    }
    assert!(worker.counters().is_balanced());
    assert_eq!(worker.counters().mirrored(), 17_001 * u64::try_from(BURST_LEN).unwrap());
}
