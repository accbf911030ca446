//! The flags of `bench`, and the options of the library that follow from them.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::super::exit::Failure;
use super::super::sessions;
use super::super::target_flags::TargetFlags;
use super::compare::CompareFlags;
use super::generate_flags::GenerateFlags;
use super::output::BenchFormat;
use super::sweep::{self, Sweep};
use crate::bench::{BenchOptions, EngineChoice, PacketSource, RuleSource, Stage};

/// Measure what rules and packets cost on this machine, stage by stage.
///
/// Without options, 10, 100 and 1,000 rules and packets for them are generated and measured. Rules
/// can also come from a configuration or a ClassBench file, and packets from a capture or a
/// ClassBench trace. Everything except the times is the same in each run. Nothing is sent.
///
/// Times are nanoseconds per packet. `min`, `median` and `p99` are averages of whole rounds;
/// latency is the time of packets that are processed one by one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = ArgGroup::new("origin").args(["classbench", "config", "count_of_rules"]))]
#[command(after_help = "Examples:
  traffic-mirror bench
  traffic-mirror bench --config mirror.toml --capture traffic.pcap --format json
  traffic-mirror bench --rules 10000 --shape fw --family ipv6 --mix hit=50,miss=50
  traffic-mirror bench --classbench acl1_10k --trace acl1_10k_trace
  traffic-mirror bench --classbench acl1_1k --sessions 10 --engine forest --stages classify
  traffic-mirror bench --sweep rules=1,10,100,1000,10000 --sweep workers=1,2 --format json
  traffic-mirror bench --sweep rules=1,10,100,1000 --engine linear,auto --plot bench.svg
  traffic-mirror bench compare before.json after.json")]
pub(in super::super) struct BenchFlags {
    #[command(subcommand)]
    pub(super) command: Option<BenchCommand>,

    /// Rules in the format of ClassBench, the first with the highest priority; all accept.
    #[arg(long, value_name = "FILE")]
    classbench: Option<PathBuf>,

    /// Configuration; the rules of its first network interface that has sessions are measured.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    #[command(flatten)]
    generate: GenerateFlags,

    /// Distribute the rules of --classbench or --rules over N sessions.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "config",
        value_parser = clap::value_parser!(u32).range(1..=32_766))]
    sessions: u32,

    /// Packets: headers in the format of a ClassBench trace.
    #[arg(long, value_name = "FILE", conflicts_with = "capture")]
    trace: Option<PathBuf>,

    /// Packets: a capture, pcap or pcapng.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// Rule engine to measure; may be given several times [default: auto, and linear too in a sweep
    /// over up to 10,000 rules].
    #[arg(long, value_name = "ENGINE", value_delimiter = ',')]
    engine: Vec<EngineFlag>,

    /// Measure once for each value: rules=N,N,... generates N rules, workers=N,N,... is --workers
    /// N. Both together measure every combination [default: rules=10,100,1000 if no rules are
    /// given].
    #[arg(long, value_name = "WHAT=LIST", value_parser = Sweep::parse)]
    sweep: Vec<Sweep>,

    /// Divide the packets among N threads, each with its own worker and buffer [default: 1].
    #[arg(long, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(sweep::MAX_WORKERS)))]
    workers: Option<u32>,

    /// Stage to measure; may be given several times.
    #[arg(long, value_name = "STAGE", value_delimiter = ',', default_values_t = StageFlag::ALL)]
    stages: Vec<StageFlag>,

    /// How often each stage is measured.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,

    /// Format of the output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: BenchFormat,

    /// Draw nanoseconds per packet against the number of rules as SVG, with a line for each engine.
    #[arg(long, value_name = "FILE")]
    pub(super) plot: Option<PathBuf>,

    /// Write an HTML page: summary, picture and all measurements.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    Compare(CompareFlags),
}

/// Rule engine.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum EngineFlag {
    /// Select the engine by the number and overlap of the rules.
    Auto,
    /// Compare rule by rule: the baseline.
    Linear,
    /// One bit for each rule, in words.
    Words,
    /// Tables of equivalence classes.
    Classes,
    /// Decision trees that cut the address space.
    Forest,
}

/// Stage of the data plane.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StageFlag {
    /// Read addresses, protocol and ports from the headers.
    Parse,
    /// Evaluate the rules.
    Classify,
    /// Write the outer headers.
    Wrap,
    /// Write outer headers and inner bytes to a buffer, as for a socket.
    Send,
    /// From frames to the buffer, with the counters.
    Whole,
}

impl EngineFlag {
    const fn choice(self) -> EngineChoice {
        match self {
            Self::Auto => EngineChoice::Auto,
            Self::Linear => EngineChoice::Linear,
            Self::Words => EngineChoice::BitVector,
            Self::Classes => EngineChoice::CrossProduct,
            Self::Forest => EngineChoice::CutForest,
        }
    }
}

impl StageFlag {
    const ALL: [Self; 5] = [Self::Parse, Self::Classify, Self::Wrap, Self::Send, Self::Whole];

    const fn stage(self) -> Stage {
        match self {
            Self::Parse => Stage::Parse,
            Self::Classify => Stage::Classify,
            Self::Wrap => Stage::Wrap,
            Self::Send => Stage::Send,
            Self::Whole => Stage::Whole,
        }
    }
}

impl std::fmt::Display for StageFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.stage().label())
    }
}

impl BenchFlags {
    /// The options of the library.
    ///
    /// # Errors
    /// [`Failure`] if flags contradict each other or a configuration is invalid.
    pub(super) fn options(&self) -> Result<BenchOptions, Failure> {
        self.check_seed()?;
        let lists = sweep::lists(&self.sweep)?;
        let workers = match (lists.workers, self.workers) {
            (Some(_), Some(number)) => {
                let what = "--sweep workers has the numbers of workers already; omit one of them";
                return Err(Failure::usage(format!("--workers {number}: {what}")));
            }
            (Some(workers), None) => workers,
            (None, number) => vec![number.unwrap_or(1)],
        };
        let is_default = lists.rules.is_none() && !self.has_rules();
        Ok(BenchOptions {
            rules: self.rule_source(lists.rules)?,
            sessions: self.sessions,
            packets: self.packet_source(),
            engines: self.engine.iter().map(|engine| engine.choice()).collect(),
            is_sweep: is_default || !self.sweep.is_empty(),
            workers,
            stages: self.stages.iter().map(|stage| stage.stage()).collect(),
            rounds: self.rounds,
        })
    }

    fn has_rules(&self) -> bool {
        self.reads_rules() || self.generate.rules.is_some()
    }

    fn reads_rules(&self) -> bool {
        self.classbench.is_some() || !self.config.is_empty()
    }

    fn check_seed(&self) -> Result<(), Failure> {
        let reads_packets = self.trace.is_some() || self.capture.is_some();
        match self.generate.seed {
            Some(seed) if self.reads_rules() && reads_packets => Err(Failure::usage(format!(
                "--seed {seed}: expected no --seed: rules and packets are both read from files"
            ))),
            _ => Ok(()),
        }
    }

    /// `swept` are the numbers of rules of --sweep.
    fn rule_source(&self, swept: Option<Vec<u32>>) -> Result<RuleSource, Failure> {
        if swept.is_some() && self.has_rules() {
            let what = "generates the rules; omit --rules, --classbench and --config";
            return Err(Failure::usage(format!("--sweep rules: {what}")));
        }
        if let Some(path) = &self.classbench {
            return Ok(RuleSource::ClassBench(path.clone()));
        }
        if !self.config.is_empty() {
            let names = self.config.iter().map(|path| path.display().to_string());
            let name = names.collect::<Vec<_>>().join(" ");
            let registry = Box::new(sessions::read_config(&self.config, &TargetFlags::default())?);
            return Ok(RuleSource::Registry { name, registry });
        }
        let counts = swept.or_else(|| self.generate.rules.map(|count| vec![count]));
        let counts = counts.unwrap_or_else(|| RuleSource::DEFAULT_COUNTS.to_vec());
        Ok(self.generate.rule_source(counts))
    }

    fn packet_source(&self) -> PacketSource {
        match (&self.capture, &self.trace) {
            (Some(path), _) => PacketSource::Capture(path.clone()),
            (None, Some(path)) => PacketSource::Trace(path.clone()),
            (None, None) => PacketSource::Generated(self.generate.packet_options()),
        }
    }
}
