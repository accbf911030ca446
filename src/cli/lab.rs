//! `lab`: the EC2 endpoint without live interfaces, for tests without root.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::Args;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::exit::{Exit, Failure};
use super::impair::ImpairFlags;
use super::parameters::ParameterFlags;
use super::run::parse_account_id;
use super::sessions::read_config;
use super::target_flags::TargetFlags;
use super::{listen_address, number, signals, terminal};
use crate::control::Registry;
use crate::control::account::DEFAULT_OWNER;
use crate::ec2::Upstream;
use crate::http::HostNames;
use crate::io::StopFlag;
use crate::io::capture::CaptureSource;
use crate::lab::{Lab, LabEvent, LabOptions, serve};
use crate::model::{NetworkInterface, NetworkInterfaceId, non_host_address_kind};

/// Serve the EC2 API of traffic mirroring without live interfaces, root or AWS.
///
/// Clients create sessions by the EC2 API, play captures through network interfaces by the API below
/// /_traffic-mirror/v1/, and fetch the copies of a target as bytes. Requests with any signature are
/// accepted. When it is ready, the first line on standard output is: listening on http://ADDR:PORT
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror lab --network-interface eni-0a1b2c3d4e5f60718=10.0.0.5
  traffic-mirror lab --listen 127.0.0.1:0 --config mirror.toml --seed 7
  curl --data-binary @in.pcap http://127.0.0.1:4566/_traffic-mirror/v1/network-interfaces/ENI/frames
  curl http://127.0.0.1:4566/_traffic-mirror/v1/targets/TMT/copies > copies.pcap")]
pub(super) struct LabFlags {
    /// Address and TCP port. The system chooses the port if it is 0.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4566",
          value_parser = listen_address::parse)]
    listen: SocketAddr,

    /// Configuration file, as for replay. May be given several times; the files are read as one.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Create a network interface with an address, such as eni-0a1b2c3d4e5f60718=10.0.0.5, or with a
    /// capture that is played through it, such as eni-0a1b2c3d4e5f60718=pcap:trace.pcap. May be
    /// given several times.
    #[arg(long, value_name = "ENI=ADDRESS|ENI=pcap:FILE")]
    network_interface: Vec<String>,

    /// Forward requests that are not for traffic mirroring to another emulator of AWS, such as
    /// http://127.0.0.1:5000, and show its network interfaces and account id.
    #[arg(long, value_name = "URL", value_parser = parse_upstream)]
    upstream: Option<String>,

    /// Persist the resources that clients create in this file. Without it they are kept in memory
    /// and lost on exit.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Seed of all ids and network identifiers, which are then the same in each run.
    #[arg(long, value_name = "N", value_parser = number::at_least(0))]
    seed: Option<u64>,

    /// Account (12 digits) that owns all resources.
    #[arg(long, value_name = "ID", default_value = DEFAULT_OWNER, value_parser = parse_account_id)]
    account_id: String,

    #[command(flatten)]
    parameters: ParameterFlags,

    #[command(flatten)]
    targets: TargetFlags,

    #[command(flatten)]
    impair: ImpairFlags,

    /// Accept this name in the Host header besides localhost. May be given several times.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Allow --listen with an address that is not loopback, for example in a container. Every host
    /// that reaches it can then use the laboratory, and read captures that this user can read.
    #[arg(long)]
    allow_remote: bool,

    /// End when standard input is closed. A program that starts the laboratory with a pipe as
    /// standard input thereby ends it, even if that program is killed.
    #[arg(long)]
    end_with_stdin: bool,
}

pub(super) fn run(flags: &LabFlags) -> Result<Exit, Failure> {
    if !flags.listen.ip().is_loopback() && !flags.allow_remote {
        return Err(Failure::usage(format_args!(
            "--listen `{}`: expected a loopback address such as 127.0.0.1:4566, or --allow-remote beside \
             it, because requests with any signature are accepted",
            flags.listen
        )));
    }
    let stop = StopFlag::new();
    signals::stop_on_signals_and_hang_up(&stop)?;
    let mut hosts = HostNames::default();
    for name in &flags.allow_host {
        let allowed = hosts.allow(name);
        allowed.map_err(|error| Failure::usage(format_args!("--allow-host {error}")))?;
    }
    let report = |event: LabEvent| match event {
        LabEvent::TargetAddressKnown { .. } => terminal::notice(&event.to_string()),
        _ => terminal::warn(&event.to_string()),
    };
    let lab = Lab::with_events(options(flags)?, report).map_err(|error| match &flags.state {
        Some(path) => Failure::failed(format_args!("--state `{}`: {error}", path.display())),
        None => Failure::failed(error),
    })?;
    let report = |event: crate::http::Event| terminal::warn(&event.to_string());
    let listen = flags.listen;
    let server = serve(listen, &lab, hosts, report)
        .map_err(|error| Failure::failed(format_args!("--listen `{listen}`: {error}")))?;
    announce(server.address())?;
    let waited = wait_for_end(&stop, flags.end_with_stdin);
    lab.stop();
    drop(server);
    waited.map_err(|error| Failure::failed(format_args!("waiting for signals: {error}")))?;
    Ok(Exit::Done)
}

/// Returns at the first signal that requests the end, or when standard input is closed.
fn wait_for_end(stop: &StopFlag, ends_with_stdin: bool) -> io::Result<()> {
    let closed = Arc::new(Notify::new());
    if ends_with_stdin {
        let notify = Arc::clone(&closed);
        thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            // An input that cannot be read is closed too.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            notify.notify_one();
        })?;
    }
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let [mut interrupt, mut terminate, mut hang_up] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        let signals = (interrupt.as_mut(), terminate.as_mut(), hang_up.as_mut());
        let (Ok(interrupt), Ok(terminate), Ok(hang_up)) = signals else {
            return Err(io::Error::other("the system refuses signal handlers"));
        };
        // The flag is not set if SIGHUP is ignored. It is set before the streams exist if the signal
        // was early.
        while !stop.is_set() {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
                () = closed.notified() => break,
            }
        }
        Ok(())
    })
}

/// Prints the line that programs wait for.
fn announce(address: SocketAddr) -> Result<(), Failure> {
    let mut out = terminal::stdout();
    let printed = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
    printed.map_err(|error| Failure::failed(format_args!("standard output: {error}")))
}

/// The error does not contain the option, which clap adds.
fn parse_upstream(text: &str) -> Result<String, String> {
    Upstream::new(text).map(|_| text.to_owned())
}

fn options(flags: &LabFlags) -> Result<LabOptions, Failure> {
    let mut registry = match flags.config.is_empty() {
        true => Registry::default(),
        false => read_config(&flags.config, &flags.targets, &flags.parameters)?,
    };
    for text in &flags.network_interface {
        add_network_interface(&mut registry, text)?;
    }
    Ok(LabOptions {
        registry,
        account_id: flags.account_id.clone(),
        state: flags.state.clone(),
        upstream: flags.upstream.clone(),
        seed: flags.seed,
        targets: flags.targets.resolver()?,
        impairments: flags.impair.impairments(),
        ..LabOptions::default()
    })
}

/// Adds the network interface of `eni-...=10.0.0.5` or `eni-...=pcap:trace.pcap`. Several addresses
/// of one interface are separated by commas.
fn add_network_interface(registry: &mut Registry, text: &str) -> Result<(), Failure> {
    let wrong = |expected: &str| {
        Failure::usage(format_args!("--network-interface `{text}`: expected {expected}"))
    };
    let pair = text.split_once('=');
    let (id, value) = pair.ok_or_else(|| {
        wrong("an id and an address or capture, as in eni-0a1b2c3d4e5f60718=10.0.0.5")
    })?;
    let id = NetworkInterfaceId::new(id)
        .map_err(|error| Failure::usage(format_args!("--network-interface `{text}`: {error}")))?;
    let (mut addresses, mut capture) = (Vec::new(), None);
    if let Some(path) = value.strip_prefix("pcap:") {
        let opened = CaptureSource::open(path.as_ref());
        opened.map_err(|error| {
            Failure::usage(format_args!("--network-interface `{text}`: {error}"))
        })?;
        capture = Some(path.into());
    } else {
        let parsed = value.split(',').map(|one| one.trim().parse::<IpAddr>());
        addresses = parsed
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("IP addresses separated by commas, or pcap:FILE, after `=`"))?;
    }
    for address in &addresses {
        if let Some(kind) = non_host_address_kind(*address) {
            return Err(wrong(&format!("the address of an interface, but {address} is {kind}")));
        }
    }
    if let Some(known) = registry.network_interface_mut(&id) {
        // The option adds to an interface of a file.
        if !addresses.is_empty() {
            known.private_ip_addresses = addresses;
        }
        known.capture = capture.or_else(|| known.capture.take());
        return Ok(());
    }
    let mut interface = NetworkInterface::new(id);
    interface.private_ip_addresses = addresses;
    interface.capture = capture;
    registry.add_network_interface(interface).map_err(Failure::usage)
}
