//! Measures mirroring from memory to memory: parsing and classifying alone, and the whole path with
//! encapsulation and copying, compared with memcpy. Frames come from the second-level cache (hot)
//! or from main memory (cold).
#![expect(
    unreachable_pub,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failed benchmark may panic, and its numbers are small"
)]

mod traffic;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use traffic::{Image, RingSink, Sizes, table};
use traffic_mirror::dataplane::{FlowKey, InterfaceIndex, Worker};
use traffic_mirror::io::capture::CaptureSource;
use traffic_mirror::model::Direction;

const SIZES: [(&str, Sizes); 4] = [
    ("64", Sizes::Of(64)),
    ("512", Sizes::Of(512)),
    ("1400", Sizes::Of(1400)),
    ("imix", Sizes::Imix),
];

/// The length in bytes of a capture that fits into the second-level cache.
const HOT_LEN: usize = 100_000;

/// The length in bytes of a capture that is several times longer than the last-level cache.
const COLD_LEN: usize = 256 * 1024 * 1024;

fn parts(criterion: &mut Criterion) {
    let image = Image::new(HOT_LEN, Sizes::Of(64));
    let frames: Vec<&[u8]> = image.iter().collect();
    let mut group = criterion.benchmark_group("part");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("parse", |b| {
        b.iter(|| {
            for frame in &frames {
                let _ = black_box(FlowKey::parse(black_box(frame)));
            }
        });
    });
    let table = table(3, 10);
    let keys: Vec<FlowKey> = frames.iter().map(|frame| FlowKey::parse(frame).unwrap()).collect();
    group.bench_function("classify", |b| {
        b.iter(|| {
            for key in &keys {
                black_box(table.decide(InterfaceIndex::FIRST, Direction::Ingress, black_box(key)));
            }
        });
    });
    group.finish();
}

fn whole_path(criterion: &mut Criterion, group_name: &str, image_len: usize) {
    let table = table(3, 10);
    let mut group = criterion.benchmark_group(group_name);
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for (label, sizes) in SIZES {
        let image = Image::new(image_len, sizes);
        group.throughput(Throughput::Elements(image.frames as u64));
        let mut destination = vec![1; image.bytes.len()];
        group.bench_function(format!("memcpy/{label}"), |b| {
            b.iter(|| black_box(&mut destination).copy_from_slice(black_box(&image.bytes)));
        });
        drop(destination);
        let mut source = CaptureSource::from_bytes("image", image.bytes).unwrap();
        let mut sink = RingSink::new();
        let mut worker = Worker::new(table.clone());
        group.bench_function(format!("mirror/{label}"), |b| {
            b.iter(|| {
                source.rewind().unwrap();
                worker.run(&mut source, &mut sink).unwrap();
                assert!(worker.counters().mirrored() > 0);
            });
        });
    }
    group.finish();
}

fn hot(criterion: &mut Criterion) {
    whole_path(criterion, "hot", HOT_LEN);
}

fn cold(criterion: &mut Criterion) {
    whole_path(criterion, "cold", COLD_LEN);
}

criterion_group!(benches, parts, hot, cold);
criterion_main!(benches);
