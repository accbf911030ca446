//! The flags of `run`, and their conversion to the options of live mirroring.

use std::net::SocketAddr;
use std::sync::OnceLock;

use clap::{Args, ValueEnum};

use super::endpoint_flags::EndpointFlags;
use crate::cli::exit::Failure;
use crate::cli::impair::ImpairFlags;
use crate::cli::listen_address;
use crate::cli::outputs::SendOrder;
use crate::cli::replay::ReportFormat;
use crate::cli::sandbox::SandboxFlags;
use crate::cli::sessions::SessionFlags;
use crate::http::HostNames;
use crate::io::live::{KernelFilter, RingOptions, SocketMark};
use crate::io::udp::{EgressMode, Segmentation, UdpOptions};
use crate::runtime::{CaptureMethod, InterfaceNamespace, MetricsOptions, Options, RingSize, Tier};

// The headings of `run --help`.
const CAPTURE: &str = "Capture";
const COPIES: &str = "Copies";
const MONITORING: &str = "Monitoring and output";

/// Mirror live interfaces until SIGINT or SIGTERM.
///
/// Evaluates the sessions of each network interface (its `device`) for every frame, and sends the
/// copies as UDP. Offloads may stay on: super-frames are segmented and checksums completed as a
/// network card does. Copies are not mirrored again, and no copy is fragmented. SIGHUP reloads the
/// configuration. If an interface disappears, `run` waits until it reappears. A second SIGINT or
/// SIGTERM more than 1 s after the first ends the run at once, without a report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  Mirror everything on one interface to one collector:
    sudo traffic-mirror run --interface eth0 --target 192.0.2.10 --virtual-network-id 42
  Use the sessions of a file, whose network interfaces name their device:
    sudo traffic-mirror run --config mirror.toml
  Let AWS clients create the sessions of eth0 (use the printed credentials file):
    sudo traffic-mirror run --ec2-endpoint 127.0.0.1:4566 \\
      --network-interface eni-0a1b2c3d4e5f60718=eth0 --state /var/lib/mirror.state
    aws ec2 describe-traffic-mirror-sessions --endpoint-url http://127.0.0.1:4566
  Reload the file, and end with a report:
    sudo kill -HUP PID
    sudo kill -TERM PID
  Get the lowest latency, at the cost of one processor core:
    sudo traffic-mirror run --config mirror.toml --busy-poll --cpus 3")]
pub(in crate::cli) struct RunFlags {
    #[command(flatten, next_help_heading = "Sessions")]
    pub(super) sessions: SessionFlags,

    /// Device to mirror, with --target or with a configuration whose sessions have one network
    /// interface.
    #[arg(help_heading = "Sessions", long, short, value_name = "DEVICE")]
    pub(super) interface: Option<String>,

    /// Capture method.
    #[arg(help_heading = CAPTURE, long, value_name = "METHOD", value_enum, default_value_t = CaptureFlag::Ring)]
    pub(super) capture: CaptureFlag,

    /// Tier that mirrors the interfaces. `ring`: frames go through a packet ring to a thread.
    /// `kernel`: an eBPF program copies the frames in the kernel, with the lowest latency and CPU
    /// time for each small packet; sessions that do not fit are an error. `auto`: `kernel` for each
    /// interface whose sessions fit, otherwise `ring`. See docs/kernel-tier.md.
    #[arg(help_heading = CAPTURE, long, value_name = "TIER", value_enum, default_value_t = TierFlag::Ring)]
    pub(super) tier: TierFlag,

    /// Threads for each interface. All frames of a flow go to the same thread.
    #[arg(help_heading = CAPTURE, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) workers: u16,

    /// Processors to which the threads are pinned in turn, for example 0,2,3.
    #[arg(help_heading = CAPTURE, long, value_name = "LIST", value_delimiter = ',')]
    pub(super) cpus: Vec<u16>,

    /// Ring memory for each thread of each interface, with the unit KiB, MiB or GiB. `auto` divides
    /// 1/16 of the memory (or of the limit of the memory cgroup), at most 320 MiB, among all
    /// threads: 1 MiB to 64 MiB each. A larger ring can buffer a longer stall before frames are
    /// dropped. Rings that need more than half of the memory are rejected.
    #[arg(help_heading = CAPTURE, long, value_name = "SIZE", default_value = "auto", value_parser = parse_ring_size)]
    pub(super) ring_size: RingSize,

    /// Poll the rings without sleeping. Gives the lowest latency; each thread uses a whole core.
    #[arg(help_heading = CAPTURE, long)]
    pub(super) busy_poll: bool,

    /// When the kernel drops frames that no session can match. It does not count them. `never` also
    /// disables truncation to PacketLength in the kernel.
    #[arg(help_heading = CAPTURE, long, value_name = "WHEN", value_enum, default_value_t = KernelFilterMode::Auto)]
    pub(super) kernel_filter: KernelFilterMode,

    /// Order of the copies to each target: `arrival` keeps the order of all frames. `flow` keeps it
    /// within each flow only and saves CPU time where frames of many flows alternate.
    #[arg(help_heading = COPIES, long, value_name = "ORDER", value_enum, default_value_t = SendOrder::Arrival)]
    order: SendOrder,

    /// How copies are sent. `auto` sends complete Ethernet frames if the next hop is known; they
    /// bypass the firewall of this host. `ip` sends IP packets, which the firewall filters.
    #[arg(help_heading = COPIES, long, value_name = "MODE", value_enum, default_value_t = SendMode::Auto)]
    pub(super) egress: SendMode,

    /// When to pass consecutive copies of one flow and length to the kernel as one message, which
    /// the kernel or the network card segments (UDP segmentation offload).
    #[arg(help_heading = COPIES, long, value_name = "WHEN", value_enum, default_value_t = Gso::Auto)]
    gso: Gso,

    /// Send the copies through this device, independent of the routes.
    #[arg(help_heading = COPIES, long, value_name = "DEVICE")]
    pub(super) bind_device: Option<String>,

    #[command(flatten, next_help_heading = COPIES)]
    pub(super) impair: ImpairFlags,

    /// Mark (SO_MARK) of the copies, by which the kernel filter recognises them [default: a number
    /// within the bits 0x30ff that no other mirror in the network namespace uses]
    #[arg(help_heading = COPIES, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    mark: Option<u32>,

    /// The mark that is chosen without `--mark`.
    #[arg(skip)]
    own_mark: OnceLock<SocketMark>,

    /// Network namespace of the interfaces: a name of `ip netns`, or a path. It is entered once, at
    /// start. Copies are sent from the namespace in which the program was started.
    #[arg(help_heading = CAPTURE, long, value_name = "NAME")]
    pub(super) netns: Option<String>,

    /// Serve Prometheus metrics at http://ADDR:PORT/metrics, and /healthz.
    #[arg(help_heading = MONITORING, long, value_name = "ADDR:PORT", value_parser = listen_address::parse)]
    pub(super) metrics: Option<SocketAddr>,

    /// With --ec2-endpoint or --metrics: accept this host name in the Host header, besides
    /// localhost, loopback addresses and the address of the connection. Other requests are
    /// rejected, because a web page may have caused them. May be given several times.
    #[arg(help_heading = MONITORING, long, value_name = "NAME")]
    allow_host: Vec<String>,

    #[command(flatten, next_help_heading = "EC2 endpoint (with --ec2-endpoint)")]
    pub(super) endpoint: EndpointFlags,

    #[command(flatten)]
    pub(super) sandbox: SandboxFlags,

    /// Format of diagnostics: lines of text, or one JSON object per line.
    #[arg(help_heading = MONITORING, long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(super) log: LogFormat,

    /// Format of the report at the end. `table` prints it to standard error; `json` also prints one
    /// JSON object to standard output.
    #[arg(help_heading = MONITORING, long = "format", visible_alias = "report",
        value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Table)]
    pub(super) report: ReportFormat,
}

/// The format of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines of text with the time, except in the journal of systemd.
    Text,
    /// One JSON object per line: timestamp, level, message.
    Json,
}

/// The capture method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CaptureFlag {
    /// Packet rings (TPACKET_V3), with repair of offloaded frames.
    Ring,
    /// The Rust library pnet, one frame at a time: portable, slow, one thread, no repair of
    /// offloads.
    Pnet,
}

/// The tier that mirrors the interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TierFlag {
    /// An eBPF program in the kernel. It needs Linux 6.6, and CAP_BPF, CAP_NET_ADMIN and
    /// CAP_PERFMON.
    Kernel,
    /// Packet rings.
    Ring,
    /// The kernel tier where the sessions fit, packet rings elsewhere.
    Auto,
}

/// How copies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SendMode {
    /// Ethernet frames if the next hop is known, otherwise IP packets.
    Auto,
    /// IP packets.
    Ip,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Gso {
    /// Where the message is segmented before it reaches a receiver; not over virtual devices.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// When the kernel drops frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KernelFilterMode {
    /// Under high load: from above 50,000 frames/s until below 10,000 frames/s, while fewer than
    /// half of the frames are mirrored.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl RunFlags {
    /// Checks that the command line names sessions, or an endpoint through which clients create
    /// them.
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
                "--allow-host `{name}`: expected --ec2-endpoint or --metrics beside it, which \
                 serve HTTP"
            )));
        }
        let mut hosts = HostNames::default();
        for name in &self.allow_host {
            hosts.allow(name).map_err(|why| Failure::usage(format_args!("--allow-host {why}")))?;
        }
        Ok(hosts)
    }

    /// The mark of the copies. Without `--mark` it is chosen at the first call and does not change.
    pub(super) fn mark(&self) -> u32 {
        self.mark.unwrap_or_else(|| self.own_mark.get_or_init(SocketMark::choose).value())
    }

    /// The tier that mirrors the interfaces.
    pub(super) const fn tier(&self) -> Tier {
        match self.tier {
            TierFlag::Kernel => Tier::Kernel,
            TierFlag::Ring => Tier::Ring,
            TierFlag::Auto => Tier::Auto,
        }
    }

    /// The options of live mirroring.
    pub(super) fn options(&self, namespace: InterfaceNamespace, hosts: HostNames) -> Options {
        Options {
            tier: self.tier(),
            capture: match self.capture {
                CaptureFlag::Ring => CaptureMethod::Ring,
                CaptureFlag::Pnet => CaptureMethod::Pnet,
            },
            workers: self.workers,
            cpus: self.cpus.clone(),
            ring_size: self.ring_size,
            ring: self.ring_options(),
            udp: self.udp_options(),
            impairments: self.impair.impairments(),
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

/// Parses `auto`, a size such as `512KiB`, `64MiB` or `1GiB`, or a number of bytes.
fn parse_ring_size(text: &str) -> Result<RingSize, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(RingSize::Auto);
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let read = units.iter().find_map(|(unit, shift)| {
        let number = text.strip_suffix(unit)?.trim_end().parse::<usize>().ok()?;
        number.checked_mul(1 << shift)
    });
    let permitted = read.filter(|len| (RingSize::MIN..=RingSize::MAX).contains(len));
    let size = permitted.map(RingSize::Fixed);
    size.ok_or_else(|| "expected auto, or 512KiB to 4GiB, as in 64MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_with_units() {
        assert_eq!(parse_ring_size("auto"), Ok(RingSize::Auto));
        assert_eq!(parse_ring_size("AUTO"), Ok(RingSize::Auto));
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
