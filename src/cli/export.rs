//! `export`: prints resources in a format that another tool reads.

use std::io::Write;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::target_flags::TargetFlags;
use super::{sessions, terminal};
use crate::control::account::{Account, Quotas, TargetResolver};
use crate::control::{Registry, render};
use crate::io::store::Store;
use crate::model::CidrBlock;

/// Print the resources of configuration files, or of the state of an EC2 endpoint, as TOML, AWS
/// JSON or Terraform.
///
/// --config reads the TOML output back with the same meaning. AWS JSON does not contain devices,
/// MTUs, rate limits and settings, which the EC2 API does not have. AWS JSON and Terraform have no
/// field for the address of a target; there the tag mirror:address contains it. The state file can
/// be read while `run` uses it.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("from").required(true).multiple(true))]
#[command(after_help = "Examples:
  traffic-mirror export --state mirror.state > mirror.toml
  traffic-mirror export --state mirror.state --format terraform > mirror.tf
  traffic-mirror export --config template.yaml --config addresses.toml --format aws-json")]
pub(super) struct ExportFlags {
    /// Configuration file, as for `check`. May be given several times; the files are read as one.
    #[arg(long, value_name = "FILE", group = "from")]
    config: Vec<PathBuf>,

    /// State file of `run --state`.
    #[arg(long, value_name = "FILE", group = "from")]
    state: Option<PathBuf>,

    /// Format of the output.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ExportFormat::Toml)]
    format: ExportFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExportFormat {
    /// The configuration file of this program.
    Toml,
    /// The output of the EC2 API's describe calls, in one object.
    AwsJson,
    /// Resources of Terraform's AWS provider, with import blocks for existing resources.
    Terraform,
}

pub(super) fn run(flags: &ExportFlags) -> Result<Exit, Failure> {
    let mut registry = match &*flags.config {
        [] => Registry::default(),
        files => sessions::read_config(files, &TargetFlags::default())?,
    };
    if let Some(path) = &flags.state {
        let failed = |why: &dyn std::fmt::Display| Failure::failed(format_args!("--state: {why}"));
        let records = Store::read_copy(path).map_err(|error| failed(&error))?;
        // --allow-target of `run` does not apply: export prints all addresses.
        let mut resolver = TargetResolver::default();
        resolver.allow(CidrBlock::any_ipv4());
        resolver.allow(CidrBlock::any_ipv6());
        let mut account = Account::new(registry, Quotas::default(), resolver, || 0);
        account.restore(records).map_err(|refused| failed(&refused))?;
        registry = account.registry().clone();
    }
    let text = match flags.format {
        ExportFormat::Toml => render::to_toml(&registry),
        ExportFormat::AwsJson => render::to_aws_json(&registry),
        ExportFormat::Terraform => render::to_terraform(&registry),
    };
    let mut out = terminal::stdout();
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}
