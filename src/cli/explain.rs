//! `explain`: prints which session and rule mirrored each frame, or why it was not mirrored.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::sandbox::{CaptureFiles, SandboxFlags};
use super::sessions::SessionFlags;
use super::{inputs, terminal};
use crate::dataplane::{Burst, Copies, Drops, MirrorTable, Sink, StepError, Verdict, Worker};
use crate::io::StopFlag;
use crate::report::{ExplainFormat, ExplainLine};

/// Show for each frame which session and rule mirrored it, or why it was not mirrored.
///
/// Prints one line per frame and network interface: number, time (seconds since 1970, UTC), flow,
/// direction and the decision.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror explain in.pcap --config mirror.toml
  traffic-mirror explain in.pcap --config mirror.toml --format json | jq 'select(.reason)'
  traffic-mirror explain in.pcap --target 192.0.2.10 | head")]
pub(super) struct ExplainFlags {
    /// Captures to explain: pcap or pcapng, plain, gzip or zstd; `-` is standard input.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,

    #[command(flatten)]
    sessions: SessionFlags,

    /// Format of the output: lines of text, or one JSON object per line.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = FormatFlag::Text)]
    format: FormatFlag,

    #[command(flatten)]
    sandbox: SandboxFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatFlag {
    Text,
    #[value(alias = "ndjson")]
    Json,
}

pub(super) fn run(flags: &ExplainFlags) -> Result<Exit, Failure> {
    if let Some(source) = flags.sessions.source() {
        return Err(Failure::usage(format_args!(
            "--source `{source}`: expected no --source: explain prints no outer headers"
        )));
    }
    flags.sandbox.enter_for_captures(&CaptureFiles {
        inputs: &flags.inputs,
        configs: &flags.sessions.files(),
        output: None,
        sends: false,
    });
    inputs::check_standard_input(&flags.inputs, &flags.sessions)?;
    let table = flags.sessions.table()?;
    let mut sources = inputs::open(&flags.inputs, &StopFlag::new())?;
    let mut worker = Worker::new(Arc::clone(&table)).with_direction(flags.sessions.direction());
    let format = match flags.format {
        FormatFlag::Text => ExplainFormat::Text,
        FormatFlag::Json => ExplainFormat::Json,
    };
    let mut sink = ExplainSink { table, format, out: terminal::stdout(), frames: 0 };
    let mut exit = Exit::Done;
    for source in &mut sources {
        match worker.run(source, &mut sink) {
            Ok(()) => {}
            Err(StepError::Source(error)) => {
                terminal::error(&error.to_string());
                exit = Exit::Failed;
            }
            Err(StepError::Sink(error)) => return ignore_broken_pipe(Err(error)).map(|_| exit),
        }
        inputs::warn(source);
    }
    Ok(exit)
}

/// Prints the worker's verdicts and ignores the copies.
struct ExplainSink<W> {
    table: Arc<MirrorTable>,
    format: ExplainFormat,
    out: W,
    /// The number of frames of earlier bursts.
    frames: u64,
}

impl<W: Write> Sink for ExplainSink<W> {
    fn send(&mut self, _copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        for verdict in verdicts {
            if let Some(frame) = burst.get(usize::from(verdict.frame)) {
                let number = self.frames + u64::from(verdict.frame) + 1;
                let line = ExplainLine::new(&self.table, number, frame, verdict);
                self.out.write_all(line.format_line(self.format).as_bytes())?;
            }
        }
        self.frames += u64::try_from(burst.len()).unwrap_or_default();
        // A frame that arrives through a pipe is printed at once, not when the buffer is full.
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
