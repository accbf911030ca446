//! The sessions of a command: those of configuration files, or the one that `--target` defines.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args, ValueEnum};

use super::exit::Failure;
use super::parameters::ParameterFlags;
use super::target_flags::TargetFlags;
use super::{number, terminal};
use crate::control::account::TargetResolver;
use crate::control::config::{ParameterValues, Problem};
use crate::control::{CompileOptions, Registry, compile, config};
use crate::dataplane::MirrorTable;
use crate::io::capture::CaptureSource;
use crate::model::{
    Direction, InvalidValue, PacketLength, VXLAN_PORT, VirtualNetworkId, parse_target_address,
};

/// The flags that define sessions.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("sessions").args(["config", "target"]).required(true))]
pub(super) struct SessionFlags {
    /// Configuration file: TOML (.toml), output of the AWS CLI or of `terraform show -json` (.json),
    /// or a CloudFormation template (.yaml, .yml, .template, .json). `-` is standard input. The
    /// format of standard input, and of other names, is recognised by the content. May be given
    /// several times; the files are read as one.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    #[command(flatten)]
    parameters: ParameterFlags,

    /// Without --config: mirror everything to this address. The port defaults to 4789; write an
    /// IPv6 address with a port as [2001:db8::1]:4789.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    target: Option<String>,

    /// With --target: VXLAN network identifier, 0 to 16777215 [default: generated from --seed]
    #[arg(
        long,
        visible_alias = "vni",
        value_name = "N",
        requires = "target",
        conflicts_with = "config"
    )]
    virtual_network_id: Option<String>,

    /// With --target: truncate each copy to the first N bytes of the frame, 1 to 8500.
    #[arg(long, value_name = "N", requires = "target", conflicts_with = "config")]
    packet_length: Option<String>,

    /// Direction of every frame [default: determined by the MAC address, the IP address or the
    /// pcapng flags of each frame, otherwise ingress]
    #[arg(long, value_name = "DIRECTION", value_enum)]
    direction: Option<DirectionFlag>,

    /// Seed for the VXLAN network identifiers of sessions that have none, and for injected faults.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number::at_least(0))]
    seed: u64,

    /// Outer source address of the copies of network interfaces that have no address [default:
    /// 192.0.2.1 or 2001:db8::1 in a capture; `run`: the kernel selects it]
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,

    #[command(flatten)]
    targets: TargetFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DirectionFlag {
    Ingress,
    Egress,
}

impl SessionFlags {
    /// The value of `--direction`.
    pub(super) fn direction(&self) -> Option<Direction> {
        self.direction.map(|typed| match typed {
            DirectionFlag::Ingress => Direction::Ingress,
            DirectionFlag::Egress => Direction::Egress,
        })
    }

    /// Reads, checks and compiles the sessions.
    pub(super) fn table(&self) -> Result<Arc<MirrorTable>, Failure> {
        let registry = self.registry()?;
        self.check_source(&registry)?;
        Ok(Arc::new(compile(&registry, &self.options())))
    }

    /// Reads and checks the sessions.
    pub(super) fn registry(&self) -> Result<Registry, Failure> {
        match &self.target {
            Some(target) => {
                self.targets.check_unused()?;
                self.parameters.check_unused()?;
                self.accept_all_registry(target)
            }
            None => read_config(&self.config, &self.targets, &self.parameters),
        }
    }

    /// Reads and checks the sessions of a live mirror, which reports targets without an address
    /// itself. If it `has_account`, the account resolves the addresses of targets too.
    pub(super) fn live_registry(&self, has_account: bool) -> Result<Registry, Failure> {
        if let Some(target) = &self.target {
            if !has_account {
                self.targets.check_unused()?;
            }
            return self.accept_all_registry(target);
        }
        let mut config = read_files(&self.config, &self.parameters.values()?)?;
        if has_account {
            config.warnings.retain(|warning| warning.target_without_address().is_none());
        } else {
            unresolved_targets(&mut config, &self.targets.resolver()?)?;
        }
        print_warnings(&config.warnings);
        Ok(config.registry)
    }

    /// The flags that give addresses to targets.
    pub(super) const fn targets(&self) -> &TargetFlags {
        &self.targets
    }

    /// Rejects `--source` if no target has an address of its family, since no copy could use it.
    pub(super) fn check_source(&self, registry: &Registry) -> Result<(), Failure> {
        let Some(source) = self.source else { return Ok(()) };
        let mut addresses =
            registry.targets().iter().flat_map(|target| registry.target_addresses(target));
        let is_unknown = registry.targets_without_address().next().is_some();
        if is_unknown || addresses.any(|address| address.is_ipv4() == source.is_ipv4()) {
            return Ok(());
        }
        let (own, other) = if source.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        Err(Failure::usage(format_args!(
            "--source `{source}`: expected an {other} address: no target has an {own} address"
        )))
    }

    /// The value of `--source`.
    pub(super) const fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The options of compilation.
    pub(super) fn options(&self) -> CompileOptions {
        CompileOptions { seed: self.seed, source_address: self.source, ..CompileOptions::default() }
    }

    /// The files from which the sessions are read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.config.iter().cloned().chain(self.parameters.files()).collect()
    }

    /// Whether `--target` or `--config` was given.
    pub(super) const fn has_sessions(&self) -> bool {
        self.has_target() || self.has_config_files()
    }

    /// Whether `--target` was given.
    pub(super) const fn has_target(&self) -> bool {
        self.target.is_some()
    }

    /// Whether `--config` was given.
    pub(super) const fn has_config_files(&self) -> bool {
        !self.config.is_empty()
    }

    /// Whether a configuration is read from standard input, which is possible only once.
    pub(super) fn uses_standard_input(&self) -> bool {
        self.config.iter().any(|path| is_standard_input(path))
    }

    /// One session with an accept-all filter in both directions.
    fn accept_all_registry(&self, target: &str) -> Result<Registry, Failure> {
        note_missing_brackets(target);
        let target =
            parse_target_address("--target", target, VXLAN_PORT).map_err(Failure::usage)?;
        let vni = self.virtual_network_id.as_deref();
        let vni = vni.map(|text| ranged("--virtual-network-id", text, VirtualNetworkId::new));
        let length = self.packet_length.as_deref();
        let length = length.map(|text| ranged("--packet-length", text, PacketLength::new));
        let (vni, length) = (vni.transpose()?, length.transpose()?);
        Ok(Registry::accept_all(target, vni, length))
    }
}

/// Prints a note if the last group of an IPv6 address looks like a port: `2001:db8::1:4789` is one
/// address, and its port is the default.
fn note_missing_brackets(target: &str) {
    let Some((address, group)) = target.rsplit_once(':') else { return };
    let looks_like_port = group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_digit());
    let are_addresses = [target, address].iter().all(|text| text.parse::<Ipv6Addr>().is_ok());
    if looks_like_port && are_addresses {
        terminal::notice(&format!(
            "--target `{target}`: read as an IPv6 address without a port; write [{address}]:{group} \
             for port {group} of {address}, or [{target}]:{VXLAN_PORT} to confirm this address"
        ));
    }
}

/// Parses a number in a range. The error names the option and the range, for text that is not a
/// number too.
fn ranged<T>(
    option: &'static str,
    text: &str,
    new: impl Fn(i64) -> Result<T, InvalidValue>,
) -> Result<T, Failure> {
    // No range contains the largest number.
    new(text.parse().unwrap_or(i64::MAX))
        .map_err(|invalid| Failure::usage(InvalidValue::new(option, text, invalid.expected)))
}

/// Resources of files, and warnings about them.
struct FileResources {
    registry: Registry,
    warnings: Vec<Problem>,
}

/// Reads configuration files as one, with values for infrastructure code, and sets the addresses that
/// the flags give to targets. Prints the warnings; fails with all errors.
pub(super) fn read_config<P: AsRef<Path>>(
    files: &[P],
    targets: &TargetFlags,
    parameters: &ParameterFlags,
) -> Result<Registry, Failure> {
    let resolver = targets.resolver()?;
    let mut config = read_files(files, &parameters.values()?)?;
    let unresolved = unresolved_targets(&mut config, &resolver)?;
    print_warnings(&config.warnings);
    print_warnings(&unresolved);
    Ok(config.registry)
}

/// Sets the addresses that the flags give to targets. Returns the warnings about the targets that
/// still have no address.
///
/// # Errors
/// One for each of these targets with `--strict-targets`.
fn unresolved_targets(
    config: &mut FileResources,
    resolver: &TargetResolver,
) -> Result<Vec<Problem>, Failure> {
    let warnings = std::mem::take(&mut config.warnings);
    let (mut unresolved, others): (Vec<Problem>, Vec<Problem>) =
        warnings.into_iter().partition(|one| one.target_without_address().is_some());
    config.warnings = others;
    unresolved.retain(|warning| {
        let target = warning.target_without_address();
        let Some(target) = target.and_then(|id| config.registry.target_mut(id)) else {
            return true;
        };
        target.set_addresses(resolver.addresses_of(&target.kind));
        target.address.is_none()
    });
    if !resolver.is_strict() || unresolved.is_empty() {
        return Ok(unresolved);
    }
    let lines: Vec<String> =
        unresolved.iter().map(|one| format!("--strict-targets: {one}")).collect();
    Err(Failure::usage(lines.join("\n")))
}

fn print_warnings(warnings: &[Problem]) {
    warnings.iter().for_each(|warning| terminal::warn(&warning.to_string()));
}

fn read_files<P: AsRef<Path>>(
    files: &[P],
    values: &ParameterValues,
) -> Result<FileResources, Failure> {
    if files.iter().filter(|path| is_standard_input(path.as_ref())).count() > 1 {
        return Err(Failure::usage(
            "--config `-`: expected at most once, because standard input can be read only once",
        ));
    }
    let mut read = config::read_files_with(files, values);
    if !read.problems.is_empty() {
        // What was not read often explains the errors.
        print_warnings(&std::mem::take(&mut read.warnings));
    }
    let read = read.into_result();
    let (registry, warnings) = read.map_err(|error| match captures_among(files) {
        captures if captures.is_empty() => Failure::usage(error),
        captures => Failure::usage(captures.join("\n")),
    })?;
    Ok(FileResources { registry, warnings })
}

/// An error for each file that is a capture. Pipes are skipped, because they cannot be read again.
fn captures_among<P: AsRef<Path>>(files: &[P]) -> Vec<String> {
    let paths = files.iter().map(AsRef::as_ref).filter(|path| path.is_file());
    let captures = paths.filter(|path| CaptureSource::open(path).is_ok());
    let error = |path: &Path| {
        format!(
            "--config `{}`: expected a configuration, but this is a capture; a capture is an INPUT \
             of replay or explain",
            path.display()
        )
    };
    captures.map(error).collect()
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}
