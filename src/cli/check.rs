//! `check`: validates configuration and prints it as it was understood.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::{sessions, terminal};
use crate::control::{CompileOptions, compile, render};
use crate::dataplane::{EngineStats, MirrorTable};

/// Validate configuration and print it as it was understood.
///
/// All errors of all files are printed at once, each with file, line, field, value and what would
/// be right. What is printed reads back the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror check --config mirror.toml
  aws ec2 describe-traffic-mirror-sessions > sessions.json
  aws ec2 describe-traffic-mirror-filters > filters.json
  traffic-mirror check --config sessions.json --config filters.json --config addresses.toml")]
pub(super) struct CheckFlags {
    /// Configuration: TOML, what the AWS CLI or `terraform show -json` prints (.json), CloudFormation
    /// templates (.yaml, .yml, .template, .json); several are read as one.
    #[arg(long, value_name = "FILE", required = true)]
    config: Vec<PathBuf>,

    /// Say behind it, as comments, what the compiled rules cost: engine, depth, memory.
    #[arg(long)]
    stats: bool,
}

pub(super) fn run(flags: &CheckFlags) -> Result<Exit, Failure> {
    let registry = sessions::read_config(&flags.config)?;
    let mut out = terminal::stdout();
    let mut text = render::to_toml(&registry);
    if flags.stats {
        text += &stats(&compile(&registry, &CompileOptions::default()));
    }
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// A line for each interface, direction and family that has rules.
fn stats(table: &MirrorTable) -> String {
    let mut text = String::new();
    for (interface, direction, is_ipv4, stats) in table.engine_stats() {
        let interface = usize::try_from(interface).ok().and_then(|at| table.interfaces().get(at));
        let interface = interface.map(|one| one.id().to_string()).unwrap_or_default();
        let family = if is_ipv4 { "IPv4" } else { "IPv6" };
        let EngineStats { engine, rules, bytes, depth, changed: _ } = stats;
        let _ = writeln!(
            text,
            "# {interface} {direction} {family}: {rules} rules, {}, at most {depth} look-ups a \
             packet, {bytes} bytes",
            engine.label()
        );
    }
    text
}
