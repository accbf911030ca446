//! `check`: validates configuration and prints it in normal form.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::parameters::ParameterFlags;
use super::target_flags::TargetFlags;
use super::{sessions, terminal};
use crate::control::{CompileOptions, Registry, compile, kernel_fit, render, with_network_ids};
use crate::dataplane::kernel::DoesNotFit;
use crate::dataplane::{EngineStats, MirrorTable};
use crate::model::NetworkInterfaceId;

/// Validate configuration and print it as it was understood.
///
/// Prints all errors of all files at once, each with file, line, field, value and the expected
/// value. The output is a valid configuration with the same meaning. Comments at its end say which
/// tier `run --tier auto` chooses for each interface, as far as the configuration tells.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror check --config mirror.toml
  aws ec2 describe-traffic-mirror-sessions > sessions.json
  aws ec2 describe-traffic-mirror-filters > filters.json
  traffic-mirror check --config sessions.json --config filters.json --config addresses.toml")]
pub(super) struct CheckFlags {
    /// Configuration file: TOML (.toml), output of the AWS CLI or of `terraform show -json` (.json),
    /// or a CloudFormation template (.yaml, .yml, .template, .json). `-` is standard input. The
    /// format of standard input, and of other names, is recognised by the content. May be given
    /// several times; the files are read as one.
    #[arg(long, value_name = "FILE", required = true)]
    config: Vec<PathBuf>,

    #[command(flatten)]
    parameters: ParameterFlags,

    /// Append comments with the cost of the compiled rules: engine, look-ups for each packet,
    /// memory.
    #[arg(long)]
    stats: bool,

    #[command(flatten)]
    targets: TargetFlags,
}

pub(super) fn run(flags: &CheckFlags) -> Result<Exit, Failure> {
    let registry = sessions::read_config(&flags.config, &flags.targets, &flags.parameters)?;
    let mut out = terminal::stdout();
    let mut text = render::to_toml(&registry);
    text += &tiers(registry.clone());
    if flags.stats {
        text += &stats(&compile(&registry, &CompileOptions::default()));
    }
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// One line for each interface that has a session: the tier that `run --tier auto` chooses.
fn tiers(registry: Registry) -> String {
    let options = CompileOptions::default();
    let registry = with_network_ids(registry, options.seed);
    let line = |(id, fit): (&NetworkInterfaceId, Result<(), DoesNotFit>)| match fit {
        Ok(()) => format!("# {id}: kernel tier with --tier auto\n"),
        Err(reason) => format!("# {id}: ring tier with --tier auto: {reason}\n"),
    };
    kernel_fit(&registry, &options).map(line).collect()
}

/// One line for each interface, direction and address family that has rules.
fn stats(table: &MirrorTable) -> String {
    let mut text = String::new();
    for (interface, direction, is_ipv4, stats) in table.engine_stats() {
        let interface = table.interface(interface);
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
