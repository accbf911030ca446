//! Which sessions a command works with: from configuration, or one that the command line implies.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args, ValueEnum};

use super::exit::Failure;
use super::terminal;
use crate::control::{CompileOptions, Registry, compile, config};
use crate::dataplane::MirrorTable;
use crate::model::{Direction, PacketLength, VXLAN_PORT, VirtualNetworkId, parse_target_address};

/// What was typed about sessions.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("sessions").args(["config", "target"]).required(true))]
pub(super) struct SessionFlags {
    /// Configuration: TOML, what the AWS CLI or `terraform show -json` prints (.json), CloudFormation
    /// templates (.yaml, .yml, .template, .json); several are read as one.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Without --config: mirror everything to this address (port 4789 if left out).
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    target: Option<String>,

    /// With --target: the VXLAN network identifier, 0 to 16777215 [default: drawn from the seed]
    #[arg(
        long,
        value_name = "N",
        requires = "target",
        conflicts_with = "config",
        allow_negative_numbers = true
    )]
    virtual_network_id: Option<i64>,

    /// With --target: copy only the first N bytes of a frame, 1 to 8500.
    #[arg(
        long,
        value_name = "N",
        requires = "target",
        conflicts_with = "config",
        allow_negative_numbers = true
    )]
    packet_length: Option<i64>,

    /// Take every frame as inbound or outbound, whatever its addresses say.
    #[arg(long, value_name = "DIRECTION", value_enum)]
    direction: Option<DirectionFlag>,

    /// Network identifiers that nobody chose are drawn from this number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Outer source address where the network interface has none.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DirectionFlag {
    Ingress,
    Egress,
}

impl SessionFlags {
    /// The direction that was forced.
    pub(super) fn direction(&self) -> Option<Direction> {
        self.direction.map(|typed| match typed {
            DirectionFlag::Ingress => Direction::Ingress,
            DirectionFlag::Egress => Direction::Egress,
        })
    }

    /// Reads, checks and compiles what was typed.
    pub(super) fn table(&self) -> Result<Arc<MirrorTable>, Failure> {
        let registry = self.registry()?;
        self.check_source(&registry)?;
        Ok(Arc::new(compile(&registry, &self.options())))
    }

    /// Reads and checks what was typed.
    pub(super) fn registry(&self) -> Result<Registry, Failure> {
        match &self.target {
            Some(target) => self.accept_all_registry(target),
            None => read_config(&self.config),
        }
    }

    /// Refuses `--source` if no target has an address of its family, since no copy could use it.
    pub(super) fn check_source(&self, registry: &Registry) -> Result<(), Failure> {
        let Some(source) = self.source else { return Ok(()) };
        let mut addresses =
            registry.targets().iter().flat_map(|target| registry.target_addresses(target));
        if addresses.any(|address| address.is_ipv4() == source.is_ipv4()) {
            return Ok(());
        }
        let (own, other) = if source.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        Err(Failure::usage(format_args!(
            "--source `{source}`: expected an {other} address: no target has an {own} address"
        )))
    }

    /// The outer source address that was typed.
    pub(super) const fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// How it is compiled.
    pub(super) fn options(&self) -> CompileOptions {
        CompileOptions { seed: self.seed, source_address: self.source, ..CompileOptions::default() }
    }

    /// The configuration files.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.config
    }

    /// Whether any were typed.
    pub(super) const fn has_sessions(&self) -> bool {
        self.target.is_some() || self.has_config_files()
    }

    /// Whether the sessions are those of files, which can be read again.
    pub(super) const fn has_config_files(&self) -> bool {
        !self.config.is_empty()
    }

    /// One session with an accept-all filter in both directions.
    fn accept_all_registry(&self, target: &str) -> Result<Registry, Failure> {
        let target =
            parse_target_address("--target", target, VXLAN_PORT).map_err(Failure::usage)?;
        let vni = self.virtual_network_id.map(VirtualNetworkId::new).transpose();
        let length = self.packet_length.map(PacketLength::new).transpose();
        let vni = vni.map_err(for_option("--virtual-network-id"))?;
        let length = length.map_err(for_option("--packet-length"))?;
        Ok(Registry::accept_all(target, vni, length))
    }
}

fn for_option(option: &'static str) -> impl Fn(crate::model::InvalidValue) -> Failure {
    move |mut invalid| {
        invalid.field = option;
        Failure::usage(invalid)
    }
}

/// Reads configuration files as one; says what is odd, fails with all that is wrong.
pub(super) fn read_config<P: AsRef<Path>>(files: &[P]) -> Result<Registry, Failure> {
    let (registry, warnings) = config::read_files(files).into_result().map_err(Failure::usage)?;
    for warning in &warnings {
        terminal::warn(&warning.to_string());
    }
    Ok(registry)
}
