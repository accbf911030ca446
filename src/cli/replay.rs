//! `replay`: mirrors captures to a file, to the targets, or to both.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::impair::ImpairFlags;
use super::inputs;
use super::outputs::{
    FileSink, OutputOptions, Outputs, SendOrder, check_output_name, is_pcapng, open_output,
    precision_for,
};
use super::pipeline::{ParallelFile, Pipeline};
use super::progress::ProgressDisplay;
use super::report_table::{delivery_errors, report_table};
use super::sandbox::{CaptureFiles, SandboxFlags};
use super::sessions::SessionFlags;
use super::{number, terminal};
use crate::dataplane::{DropCause, MirrorTable, StepError};
use crate::io::StopFlag;
use crate::io::capture::CaptureSource;
use crate::io::clock::Stopwatch;
use crate::io::pace::{MaxGap, Speed};
use crate::io::record::OutputFile;
use crate::model::InvalidValue;
use crate::report::MirrorReport;

/// The largest number of threads. The reader keeps the pages of their chunks in memory.
const MAX_WORKERS: u16 = 64;

/// Mirror captures: read pcap or pcapng, write or send the encapsulated copies.
///
/// The output is byte-identical from run to run. At the end, a table on standard error shows how
/// many frames were received, mirrored, not mirrored (by reason) and dropped (by cause). Without
/// --write and --send, the copies are only counted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  Mirror everything to one collector, and write what would arrive there:
    traffic-mirror replay in.pcap --target 192.0.2.10 --virtual-network-id 42 --write out.pcap
  Use the sessions of a file; each copy has a comment with its session and rule (Wireshark):
    traffic-mirror replay in.pcap --config mirror.toml --write out.pcapng
  Use the sessions of an AWS account:
    traffic-mirror replay in.pcap --config describe.json --config addresses.toml --write out.pcap
  Send the copies to the collectors, at the speed of the capture or at another speed:
    traffic-mirror replay in.pcap --config mirror.toml --send
    traffic-mirror replay in.pcap --config mirror.toml --send --speed 50kpps --loop 10
  Print the report as JSON:
    zcat in.pcap.gz | traffic-mirror replay - --config mirror.toml --format json")]
pub(super) struct ReplayFlags {
    /// Captures to mirror: pcap or pcapng, plain, gzip or zstd; `-` is standard input.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,

    #[command(flatten)]
    sessions: SessionFlags,

    /// Write the encapsulated frames to FILE: pcapng if it ends in .pcapng or .ntar, otherwise
    /// pcap; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Send each copy as UDP to its target.
    #[arg(long)]
    send: bool,

    /// With --send: order of the copies. `arrival` keeps the order of all frames, `flow` keeps the
    /// order within each flow only.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = SendOrder::Arrival,
        requires = "send")]
    order: SendOrder,

    /// Speed: max (default without --send), original (default with --send), or a value such as 2x,
    /// 50kpps or 1Gbps. Rates count the packets and bits of the copies, as Ethernet frames.
    #[arg(long, value_name = "SPEED", value_parser = parse_speed)]
    speed: Option<Speed>,

    /// With --speed original or a multiple such as 2x: let no gap between two frames take longer
    /// than DURATION, such as 500ms or 2s.
    #[arg(long, value_name = "DURATION", value_parser = parse_max_gap)]
    max_gap: Option<MaxGap>,

    #[command(flatten)]
    impair: ImpairFlags,

    /// Replay all inputs N times, one pass after the other.
    #[arg(long = "loop", value_name = "N", default_value_t = 1, value_parser = number::at_least(1))]
    passes: u64,

    /// Threads that mirror a capture to a pcap file [default: the number of processors, at most 64].
    /// The file is the same with any number. Copies to a pipe, a pcapng file or a target, and copies
    /// with --impair, use one thread.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    workers: Option<u16>,

    #[command(flatten)]
    sandbox: SandboxFlags,

    /// Format of the report. `table` prints it to standard error; `json` also prints one JSON
    /// object to standard output.
    #[arg(long = "format", visible_alias = "report", value_name = "FORMAT", value_enum,
        default_value_t = ReportFormat::Table)]
    report: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Table,
    Json,
}

/// Parses a speed. The error does not contain the option and the value, which clap adds.
fn parse_speed(text: &str) -> Result<Speed, String> {
    text.parse().map_err(|invalid: InvalidValue| format!("expected {}", invalid.expected))
}

/// Parses the longest gap. The error does not contain the option and the value, which clap adds.
fn parse_max_gap(text: &str) -> Result<MaxGap, String> {
    text.parse().map_err(|invalid: InvalidValue| format!("expected {}", invalid.expected))
}

/// A replay with all names resolved and all files open.
struct ReplayPlan {
    table: Arc<MirrorTable>,
    sources: Vec<CaptureSource>,
    pipeline: Pipeline,
    passes: u64,
    /// Set by SIGINT, SIGTERM or SIGHUP.
    stop: StopFlag,
}

pub(super) fn run(flags: &ReplayFlags) -> Result<Exit, Failure> {
    let mut plan = plan(flags)?;
    let stopwatch = Stopwatch::start();
    let mut errors = Vec::new();
    let replayed = replay_captures(&mut plan, &mut errors);
    let counters = plan.pipeline.counters();
    let target_reports = plan.pipeline.target_reports();
    let warnings = plan.pipeline.take_warnings();
    let written = replayed.and_then(|()| plan.pipeline.commit());
    let lost = written.err().map(|error| {
        errors.push(error.to_string());
        drop_cause(&error)
    });
    plan.sources.iter_mut().for_each(inputs::warn);
    warnings.iter().for_each(|warning| terminal::warn(warning));
    errors.iter().for_each(|error| terminal::error(error));
    let mut report = MirrorReport::new(&plan.table, &counters, stopwatch.elapsed());
    report.add_delivery_errors(target_reports.iter().map(delivery_errors));
    report.set_impaired(plan.pipeline.impairment_counts());
    let is_to_file = flags.write.as_deref().is_some_and(OutputFile::is_atomic);
    let only_to_file = !flags.send && is_to_file;
    if let (Some(cause), true) = (lost, only_to_file) {
        report.count_all_as_dropped(cause);
    }
    print_report(&report, flags.report)?;
    Ok(if errors.is_empty() { Exit::Done } else { Exit::Failed })
}

/// The drop cause of all copies of an output that failed.
fn drop_cause(error: &io::Error) -> DropCause {
    match error.kind() {
        io::ErrorKind::Interrupted => DropCause::Interrupted,
        _ => DropCause::OutputFailed,
    }
}

pub(super) fn print_report(report: &MirrorReport, format: ReportFormat) -> Result<(), Failure> {
    terminal::write_stderr(&report_table(report));
    if format == ReportFormat::Table {
        return Ok(());
    }
    let mut out = terminal::stdout();
    let printed = out.write_all(report.json().as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| Failure::failed(format_args!("standard output: {error}")))
}

fn plan(flags: &ReplayFlags) -> Result<ReplayPlan, Failure> {
    check(flags)?;
    flags.sandbox.enter_for_captures(&CaptureFiles {
        inputs: &flags.inputs,
        configs: flags.sessions.files(),
        output: flags.write.as_deref().filter(|path| path.as_os_str() != "-"),
        sends: flags.send,
    });
    inputs::check_standard_input(&flags.inputs, &flags.sessions)?;
    let table = flags.sessions.table()?;
    let stop = StopFlag::new();
    let sources = inputs::open(&flags.inputs, &stop)?;
    let pipeline = open_pipeline(flags, &table, &sources, &stop)?;
    Ok(ReplayPlan { table, sources, pipeline, passes: flags.passes, stop })
}

/// Opens the outputs, and selects one thread or several.
fn open_pipeline(
    flags: &ReplayFlags,
    table: &Arc<MirrorTable>,
    sources: &[CaptureSource],
    stop: &StopFlag,
) -> Result<Pipeline, Failure> {
    let direction = flags.sessions.direction();
    let options = output_options(flags);
    let is_direct = options.speed == Speed::Max && options.impairments.0.is_none();
    let to_pcap = |path: &PathBuf| OutputFile::is_atomic(path) && !is_pcapng(path);
    let workers = match &flags.write {
        Some(path) if !flags.send && is_direct && to_pcap(path) => workers(flags),
        _ => 1,
    };
    if workers > 1 {
        let create = |path: &Path| ParallelFile::create(path, precision_for(path, sources));
        if let Some(file) = open_output(flags.write.as_deref(), stop, create)? {
            return Pipeline::parallel(table, direction, workers, file).map_err(Failure::failed);
        }
    }
    let create = |path: &Path| FileSink::create(path, precision_for(path, sources));
    let file = open_output(flags.write.as_deref(), stop, create)?;
    let outputs = Outputs::new(file, &options, stop.clone());
    Ok(Pipeline::serial(table, direction, outputs))
}

fn output_options(flags: &ReplayFlags) -> OutputOptions {
    OutputOptions {
        send: flags.send.then_some(flags.order),
        speed: speed(flags),
        max_gap: flags.max_gap,
        impairments: (flags.impair.impairments(), flags.sessions.options().seed),
    }
}

fn speed(flags: &ReplayFlags) -> Speed {
    let default_speed = if flags.send { Speed::ORIGINAL } else { Speed::Max };
    flags.speed.unwrap_or(default_speed)
}

fn workers(flags: &ReplayFlags) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    flags.workers.map_or_else(processors, usize::from).min(usize::from(MAX_WORKERS))
}

/// Rejects options that conflict.
fn check(flags: &ReplayFlags) -> Result<(), Failure> {
    if flags.passes > 1 && flags.inputs.iter().any(|input| input.as_os_str() == "-") {
        let passes = flags.passes;
        return Err(Failure::usage(format_args!(
            "--loop `{passes}`: expected 1, because standard input can be read only once"
        )));
    }
    if let (Some(max_gap), false) = (flags.max_gap, matches!(speed(flags), Speed::Recorded(_))) {
        return Err(Failure::usage(format_args!(
            "--max-gap `{max_gap}`: expected --speed original, or a multiple of it such as 2x, \
             beside it"
        )));
    }
    let Some(path) = &flags.write else { return Ok(()) };
    if path.as_os_str() == "-" && flags.report == ReportFormat::Json {
        return Err(Failure::usage("--write `-`: the JSON report already uses standard output"));
    }
    check_output_name(path, &flags.inputs)
}

/// Mirrors every capture, once per pass. An error in a capture ends that capture for this pass; the
/// next capture follows.
fn replay_captures(plan: &mut ReplayPlan, errors: &mut Vec<String>) -> io::Result<()> {
    let mut progress = ProgressDisplay::new(&plan.sources, plan.passes);
    // An error that occurs in each pass is reported once.
    let mut add_error = |error: String| {
        if !errors.contains(&error) {
            errors.push(error);
        }
    };
    for pass in 0..plan.passes {
        let mut is_any_read = false;
        for source in &mut plan.sources {
            if plan.stop.is_set() {
                return Err(interrupted());
            }
            if pass > 0
                && let Err(error) = source.rewind()
            {
                add_error(error.to_string());
                progress.finish_capture(source);
                continue;
            }
            is_any_read = true;
            match plan.pipeline.mirror(source, &plan.stop, &progress) {
                // The output failed before the signal, unless the signal itself ended its wait.
                Err(StepError::Sink(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error);
                }
                _ if plan.stop.is_set() => return Err(interrupted()),
                Err(StepError::Sink(error)) => return Err(error),
                Err(StepError::Source(error)) => add_error(error.to_string()),
                Ok(()) => {}
            }
            progress.finish_capture(source);
        }
        if !is_any_read {
            break;
        }
    }
    plan.pipeline.flush()
}

/// The error of a replay that a signal ended. An incomplete file is not kept.
fn interrupted() -> io::Error {
    let what = "interrupted by a signal before the end; the incomplete output file is removed";
    io::Error::new(io::ErrorKind::Interrupted, what)
}
