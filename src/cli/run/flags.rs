//! What is typed after `run`.

use std::net::SocketAddr;
use std::sync::OnceLock;

use clap::{Args, ValueEnum};

use super::endpoint_flags::EndpointFlags;
use crate::cli::exit::Failure;
use crate::cli::listen_address;
use crate::cli::outputs::SendOrder;
use crate::cli::replay::ReportFormat;
use crate::cli::sandbox::SandboxFlags;
use crate::cli::sessions::SessionFlags;
use crate::http::HostNames;
use crate::io::live::{KernelFilter, RingOptions, SocketMark};
use crate::io::udp::{EgressMode, Segmentation, UdpOptions};
use crate::runtime::{CaptureMethod, InterfaceNamespace, MetricsOptions, Options, RingSize};

/// Mirror live interfaces until SIGINT or SIGTERM.
///
/// The frames of each network interface (its `device`) go through its sessions, and the copies
/// leave as UDP. Offloads may stay on: super-frames are cut and checksums finished as a network
/// card would. Own copies and copies of copies are never mirrored, and no copy is fragmented.
/// SIGHUP reads the configuration again; an interface that goes away is waited for. A second SIGINT
/// or SIGTERM more than a second after the first ends the run at once, without a report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  All of one interface to one collector:
    sudo traffic-mirror run --interface eth0 --target 192.0.2.10 --virtual-network-id 42
  The sessions of a file, whose network interfaces name their device:
    sudo traffic-mirror run --config mirror.toml
  Read the file again, and end with a report:
    sudo kill -HUP PID
    sudo kill -TERM PID
  As little latency as there can be, for a core:
    sudo traffic-mirror run --config mirror.toml --busy-poll --cpus 3")]
pub(in crate::cli) struct RunFlags {
    #[command(flatten)]
    pub(super) sessions: SessionFlags,

    /// The device to mirror: with --target, or of the only network interface of a configuration.
    #[arg(long, short, value_name = "DEVICE")]
    pub(super) interface: Option<String>,

    /// How frames are captured.
    #[arg(long, value_name = "WAY", value_enum, default_value_t = CaptureFlag::Ring)]
    pub(super) capture: CaptureFlag,

    /// Threads for each interface; a flow always goes to the same one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) workers: u16,

    /// Processors that the threads are pinned to, in turn, as in 0,2,3.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) cpus: Vec<u16>,

    /// Memory for frames that wait, for each thread of each interface: KiB, MiB or GiB. auto shares
    /// 1/16 of the memory (or of the limit of the memory cgroup), at most 320 MiB, among all threads:
    /// 1 MiB to 64 MiB each. Larger rings survive longer stalls: the ring overflows when its bytes
    /// are used up. Rings that need more than half of the memory are refused.
    #[arg(long, value_name = "SIZE", default_value = "auto", value_parser = parse_ring_size)]
    pub(super) ring_size: RingSize,

    /// Never sleep: a core for each thread, for the least latency.
    #[arg(long)]
    pub(super) busy_poll: bool,

    /// When the kernel drops frames that no session can want, before they are counted: auto does
    /// so while many more come than are mirrored. With never, they are not cut to PacketLength
    /// there either.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = KernelFilterMode::Auto)]
    pub(super) kernel_filter: KernelFilterMode,

    /// Order of the copies to each target: `arrival` keeps the order of all frames. `flow` keeps it
    /// within each flow only and saves CPU time where frames of many flows alternate.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = SendOrder::Arrival)]
    order: SendOrder,

    /// How copies are given to the kernel: `auto` sends complete Ethernet frames where the next
    /// hop is known, past the firewall of this host; `ip` sends IP packets, which it filters.
    #[arg(long, value_name = "MODE", value_enum, default_value_t = SendMode::Auto)]
    egress: SendMode,

    /// Whether consecutive copies of one flow and length leave as one message that the kernel or
    /// the network card cuts (UDP segmentation offload).
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Gso::Auto)]
    gso: Gso,

    /// The device that copies leave by, whatever the routes say.
    #[arg(long, value_name = "DEVICE")]
    pub(super) bind_device: Option<String>,

    /// The mark (SO_MARK) of the copies, by which the kernel's filter recognises them. By default
    /// a number that no other mirror of the network namespace uses, within the bits 0x30ff.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    mark: Option<u32>,

    /// The mark that is chosen where none was given.
    #[arg(skip)]
    own_mark: OnceLock<SocketMark>,

    /// The network namespace of the interfaces: a name of `ip netns`, or a path. It is entered once,
    /// at start. Copies are sent from where the program was started.
    #[arg(long, value_name = "NAME")]
    pub(super) netns: Option<String>,

    /// Show Prometheus metrics at http://ADDR:PORT/metrics, and /healthz.
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address::parse)]
    pub(super) metrics: Option<SocketAddr>,

    /// With --ec2-endpoint or --metrics: a host name that clients may use for this host, besides
    /// localhost, loopback addresses and the address that they connect to. Requests with another
    /// Host header are refused, because a web page may have caused them. May be repeated.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    #[command(flatten)]
    pub(super) endpoint: EndpointFlags,

    #[command(flatten)]
    pub(super) sandbox: SandboxFlags,

    /// How diagnostics are written: for people, or one JSON object a line.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogFormat::Text)]
    pub(super) log: LogFormat,

    /// How the report is printed at the end: a table on standard error, and as JSON on standard
    /// output too.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = ReportFormat::Table)]
    pub(super) report: ReportFormat,
}

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line: timestamp, level, message.
    Json,
}

/// How frames are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CaptureFlag {
    /// By packet rings, offloads repaired.
    Ring,
    /// By pnet, one frame at a time and as they come: portable, slow, one thread, no repair.
    Pnet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SendMode {
    /// Complete frames where the next hop is known, otherwise IP packets.
    Auto,
    /// IP packets.
    Ip,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Gso {
    /// Where they are cut before anybody sees them: not over virtual devices that hand them on.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// When the kernel drops frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KernelFilterMode {
    /// While more than 50,000 frames a second come and less than half of them are mirrored.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl RunFlags {
    /// Sessions from the command line or files, or an endpoint that takes them.
    pub(super) fn check_complete(&self) -> Result<(), Failure> {
        if self.sessions.has_sessions() || self.endpoint.ec2_endpoint.is_some() {
            return Ok(());
        }
        Err(Failure::usage(
            "expected --config FILE, --target ADDRESS or --ec2-endpoint ADDR:PORT; for more \
             information, try '--help'",
        ))
    }

    /// The names that clients may use for this host.
    pub(super) fn host_names(&self) -> Result<HostNames, Failure> {
        let serves = self.metrics.is_some() || self.endpoint.ec2_endpoint.is_some();
        if let Some(name) = self.allow_host.first().filter(|_| !serves) {
            return Err(Failure::usage(format_args!(
                "--allow-host `{name}`: expected --ec2-endpoint or --metrics with it, which serve \
                 HTTP"
            )));
        }
        let mut hosts = HostNames::default();
        for name in &self.allow_host {
            hosts.allow(name).map_err(|why| Failure::usage(format_args!("--allow-host {why}")))?;
        }
        Ok(hosts)
    }

    /// The mark of the copies. Without `--mark` it is chosen when it is first wanted, and stays.
    pub(super) fn mark(&self) -> u32 {
        self.mark.unwrap_or_else(|| self.own_mark.get_or_init(SocketMark::choose).value())
    }

    /// The options of live mirroring.
    pub(super) fn options(&self, namespace: InterfaceNamespace, hosts: HostNames) -> Options {
        Options {
            capture: match self.capture {
                CaptureFlag::Ring => CaptureMethod::Ring,
                CaptureFlag::Pnet => CaptureMethod::Pnet,
            },
            workers: self.workers,
            cpus: self.cpus.clone(),
            ring_size: self.ring_size,
            ring: self.ring_options(),
            udp: self.udp_options(),
            namespace,
            compile: self.sessions.options(),
            metrics: self.metrics.map(|address| MetricsOptions { address, hosts }),
        }
    }

    fn ring_options(&self) -> RingOptions {
        RingOptions {
            busy_poll: self.busy_poll,
            mark: Some(self.mark()),
            kernel_filter: match self.kernel_filter {
                KernelFilterMode::Auto => KernelFilter::Auto,
                KernelFilterMode::Always => KernelFilter::Always,
                KernelFilterMode::Never => KernelFilter::Never,
            },
            ..RingOptions::default()
        }
    }

    fn udp_options(&self) -> UdpOptions {
        UdpOptions {
            segmentation: match self.gso {
                Gso::Auto => Segmentation::Auto,
                Gso::On => Segmentation::Always,
                Gso::Off => Segmentation::Never,
            },
            order: self.order.into(),
            egress: match self.egress {
                SendMode::Auto => EgressMode::Auto,
                SendMode::Ip => EgressMode::IpPackets,
            },
            sheds_load: true,
            mark: Some(self.mark()),
            device: self.bind_device.clone(),
        }
    }
}

/// `auto`, or `64MiB`, `1GiB`, `512KiB`, or bytes.
fn parse_ring_size(text: &str) -> Result<RingSize, String> {
    if text == "auto" {
        return Ok(RingSize::Auto);
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let read = units.iter().find_map(|(unit, shift)| {
        let number = text.strip_suffix(unit)?.trim_end().parse::<usize>().ok()?;
        number.checked_mul(1 << shift)
    });
    let sound = read.filter(|len| (RingSize::MIN..=RingSize::MAX).contains(len));
    let size = sound.map(RingSize::Fixed);
    size.ok_or_else(|| "expected auto, or 512KiB to 4GiB, as in 64MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_with_units() {
        assert_eq!(parse_ring_size("auto"), Ok(RingSize::Auto));
        assert_eq!(parse_ring_size("32MiB"), Ok(RingSize::Fixed(32 << 20)));
        assert_eq!(parse_ring_size("1 GiB"), Ok(RingSize::Fixed(1 << 30)));
        assert_eq!(parse_ring_size("1048576"), Ok(RingSize::Fixed(1 << 20)));
        for wrong in ["", "MiB", "1KiB", "5GiB", "x", "-1MiB", "1.5MiB", "99999999999999999999GiB"]
        {
            assert!(parse_ring_size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(RingSize::Fixed(512 << 10).to_string(), "512KiB");
    }
}
