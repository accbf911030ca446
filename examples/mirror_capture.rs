//! Mirrors a capture file with the sessions of a configuration file, and prints each copy.
//!
//! `cargo run --example mirror_capture -- pcaps/quickstart/input.pcap pcaps/quickstart/mirror.toml`

#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, compile, config};
use traffic_mirror::dataplane::{Copies, DropCause, Drops, NotMirrored, Sink, Worker};
use traffic_mirror::io::capture::CaptureSource;

/// Prints the session and the lengths of each copy. The inner bytes are borrowed from the mapped
/// file.
struct PrintSink;

impl Sink for PrintSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            println!(
                "{} ns: {} mirrors {} bytes behind an outer header of {} bytes",
                copy.frame().timestamp_ns,
                copy.session_id(),
                copy.inner().len(),
                copy.outer().len()
            );
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [capture, configuration] = arguments.as_slice() else {
        return Err("expected CAPTURE CONFIGURATION: the names of two files".into());
    };

    let (registry, warnings) = config::read_files(&[configuration]).into_result()?;
    for warning in warnings {
        println!("warning: {warning}");
    }
    let table = Arc::new(compile(&registry, &CompileOptions::default()));
    let mut source = CaptureSource::open(Path::new(capture))?;
    let mut worker = Worker::new(table);
    worker.run(&mut source, &mut PrintSink)?;

    let counters = worker.counters();
    println!("{} received, {} mirrored", counters.received, counters.mirrored());
    for reason in NotMirrored::ALL.into_iter().filter(|one| counters.not_mirrored(*one) > 0) {
        println!("{} not mirrored: {}", counters.not_mirrored(reason), reason.label());
    }
    for cause in DropCause::ALL.into_iter().filter(|one| counters.dropped(*one) > 0) {
        println!("{} dropped: {}", counters.dropped(cause), cause.label());
    }
    Ok(())
}
