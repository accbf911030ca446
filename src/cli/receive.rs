//! `receive`: the collector. Decapsulates VXLAN, writes the inner frames and counts them by virtual
//! network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::outputs::{check_output_name, is_pcapng, open_output};
use super::replay::ReportFormat;
use super::report_table::table_with_columns;
use super::{listen_address, number, signals, terminal};
use crate::io::StopFlag;
use crate::io::clock::Stopwatch;
use crate::io::receive::{FrameConsumer, InnerFrame, ReceiveCounters, TrafficCount, VxlanReceiver};
use crate::io::record::{OutputFile, PcapWriter, Precision};
use crate::model::{InvalidValue, VXLAN_PORT};

/// Receive mirrored traffic: read VXLAN from UDP, count it and write the inner frames.
///
/// Accepts every VXLAN datagram, from any sender and for any virtual network. Other datagrams are
/// counted by reason. Ends at SIGINT (Ctrl-C), SIGTERM, SIGHUP or after --count frames. The output
/// is called FILE.partial (or FILE.partial-XXXXXX, if this name exists) until the end and is then
/// renamed to FILE. It keeps the first name if the process is killed, if a second signal more than
/// 1 s after the first ends it at once, or if the disk is full.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  Be the target of a mirror, and print the frames of each virtual network at the end:
    traffic-mirror receive
  Write the first 1000 frames:
    traffic-mirror receive --listen 192.0.2.10 --count 1000 --write frames.pcap
  Show the frames as they arrive:
    traffic-mirror receive --write - | tcpdump -n -r -
  Receive over IPv4 and IPv6 on another port, and print the report as JSON:
    traffic-mirror receive --listen [::]:14789 --format json")]
pub(super) struct ReceiveFlags {
    /// Address and port to listen on. The port defaults to 4789; `[::]` accepts IPv6 and IPv4.
    #[arg(long, value_name = "ADDRESS[:PORT]", default_value = "0.0.0.0:4789")]
    listen: String,

    /// Write the inner frames to FILE as pcap with nanosecond timestamps; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// End after N frames.
    #[arg(long, value_name = "N", value_parser = number::at_least(1))]
    count: Option<u64>,

    /// Format of the report. `table` prints it to standard error; `json` also prints one JSON
    /// object to standard output.
    #[arg(long = "format", visible_alias = "report", value_name = "FORMAT", value_enum,
        default_value_t = ReportFormat::Table)]
    report: ReportFormat,
}

pub(super) fn run(flags: &ReceiveFlags) -> Result<Exit, Failure> {
    let address = parse_listen_address(&flags.listen).map_err(Failure::usage)?;
    check(flags)?;
    let stop = StopFlag::new();
    let mut receiver =
        VxlanReceiver::bind(address).map_err(|error| bind_failure(address, &error))?;
    let file = open_output(flags.write.as_deref(), &stop, create_file)?;
    let mut sink = FrameSink { file };
    let bound = receiver.local_address().unwrap_or(address);
    terminal::write_stderr(&format!("traffic-mirror: listening on {bound}\n"));

    let stopwatch = Stopwatch::start();
    let ended = receiver.run(flags.count, &stop, &mut sink);
    let written = sink.commit();
    let report = ReceiveReport::new(receiver.counters(), stopwatch.elapsed());
    let mut exit = Exit::Done;
    for error in ended.err().into_iter().chain(written.err()) {
        terminal::error(&error.to_string());
        exit = Exit::Failed;
    }
    terminal::write_stderr(&report.table());
    if flags.report == ReportFormat::Json {
        let mut out = terminal::stdout();
        let printed = out.write_all(report.json().as_bytes()).and_then(|()| out.flush());
        printed.map_err(|error| Failure::failed(format_args!("standard output: {error}")))?;
    }
    Ok(exit)
}

/// Rejects options that conflict.
fn check(flags: &ReceiveFlags) -> Result<(), Failure> {
    let Some(path) = &flags.write else { return Ok(()) };
    if path.as_os_str() == "-" && flags.report == ReportFormat::Json {
        return Err(Failure::usage("--write `-`: the JSON report already uses standard output"));
    }
    if is_pcapng(path) {
        return Err(Failure::usage(format_args!(
            "--write `{}`: expected an ending such as .pcap, because received frames are written \
             as pcap",
            path.display()
        )));
    }
    check_output_name(path, &[])
}

/// Reads `0.0.0.0`, `0.0.0.0:4789`, `::`, `[::]:4789`, `localhost` or `localhost:4789`; port 0
/// selects a free port.
fn parse_listen_address(text: &str) -> Result<SocketAddr, InvalidValue> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, VXLAN_PORT));
    }
    let with_port = format!("{text}:{VXLAN_PORT}");
    let parsed = listen_address::parse(text).or_else(|_| listen_address::parse(&with_port));
    parsed.map_err(|_| {
        let expected =
            "an address of this host such as 0.0.0.0, 192.0.2.10:4789, [::]:4789 or localhost";
        InvalidValue::new("--listen", text, expected)
    })
}

fn bind_failure(address: SocketAddr, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "; another collector or a vxlan device uses this port",
        io::ErrorKind::AddrNotAvailable => "; this host does not have this address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        _ => "",
    };
    Failure::failed(format_args!("listening on {address}: {error}{why}"))
}

/// Creates the file of received frames. An incomplete file is kept, because its frames cannot be
/// received again.
fn create_file(path: &Path) -> io::Result<PcapWriter<OutputFile>> {
    let mut file = PcapWriter::new(OutputFile::create_keeping_partial(path)?, Precision::Nano)?;
    // The reader of a pipe waits for the file header, so it is written at once.
    file.flush()?;
    if let Some(partial) = file.inner_mut().partial_path() {
        signals::set_partial_file(partial);
    }
    Ok(file)
}

/// Writes the frames to the file, if one is given.
struct FrameSink {
    file: Option<PcapWriter<OutputFile>>,
}

impl FrameSink {
    /// Runs an operation on the file. After an error nothing more is written, and the error names
    /// the file that contains the earlier frames.
    fn attempt(
        &mut self,
        operation: impl FnOnce(&mut PcapWriter<OutputFile>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let Err(error) = operation(file) else { return Ok(()) };
        let error = with_partial(error, file.inner_mut().partial_path());
        self.file = None;
        Err(error)
    }

    /// Renames the file to its final name, unless writing it failed.
    fn commit(mut self) -> io::Result<()> {
        self.attempt(PcapWriter::flush)?;
        let Some(file) = self.file else { return Ok(()) };
        let file = file.into_inner();
        let partial = file.partial_path().map(Path::to_path_buf);
        file.commit().map_err(|error| with_partial(error, partial.as_deref()))?;
        signals::clear_partial_file();
        Ok(())
    }
}

/// Adds the name of the incomplete file to an error of writing it.
fn with_partial(error: io::Error, partial: Option<&Path>) -> io::Error {
    let Some(partial) = partial else { return error };
    let partial = partial.display();
    io::Error::new(error.kind(), format!("{error}; the frames written before are in {partial}"))
}

impl FrameConsumer for FrameSink {
    fn consume(&mut self, frame: &InnerFrame<'_>) -> io::Result<()> {
        self.attempt(|file| file.write_record(frame.timestamp_ns, frame.bytes))
    }

    fn on_idle(&mut self) -> io::Result<()> {
        self.attempt(PcapWriter::flush)
    }
}

/// The report of the received frames. Bytes are those of the inner frames.
#[derive(Debug, Serialize)]
struct ReceiveReport {
    received: u64,
    received_bytes: u64,
    dropped: BTreeMap<&'static str, u64>,
    not_vxlan: BTreeMap<&'static str, u64>,
    virtual_networks: Vec<NetworkReport>,
    /// The sum over the networks for which there is no separate count.
    #[serde(skip_serializing_if = "Option::is_none")]
    further_virtual_networks: Option<AmountReport>,
    elapsed_ns: u64,
}

#[derive(Debug, Serialize)]
struct NetworkReport {
    virtual_network_id: u32,
    #[serde(flatten)]
    amount: AmountReport,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct AmountReport {
    received: u64,
    received_bytes: u64,
}

impl From<TrafficCount> for AmountReport {
    fn from(amount: TrafficCount) -> Self {
        Self { received: amount.frames, received_bytes: amount.bytes }
    }
}

impl ReceiveReport {
    fn new(counters: &ReceiveCounters, elapsed: Duration) -> Self {
        let dropped = [("socket_buffer", counters.dropped)];
        let network = |(id, amount): (&crate::model::VirtualNetworkId, &TrafficCount)| {
            NetworkReport { virtual_network_id: id.value(), amount: (*amount).into() }
        };
        let further = Some(counters.other_networks).filter(|amount| amount.frames > 0);
        Self {
            received: counters.received.frames,
            received_bytes: counters.received.bytes,
            dropped: dropped.into_iter().filter(|(_, count)| *count > 0).collect(),
            not_vxlan: counters
                .not_vxlan
                .iter()
                .map(|(reason, count)| (reason.label(), *count))
                .collect(),
            virtual_networks: counters.networks.iter().map(network).collect(),
            further_virtual_networks: further.map(Into::into),
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    fn json(&self) -> String {
        serde_json::to_string(self).map(|text| text + "\n").unwrap_or_default()
    }

    fn table(&self) -> String {
        let mut table = table_with_columns(&["virtual network", "received", "bytes"]);
        let mut row = |name: String, received: u64, bytes: String| {
            table.add_row([name, received.to_string(), bytes]);
        };
        for one in &self.virtual_networks {
            let amount = one.amount;
            let name = one.virtual_network_id.to_string();
            row(name, amount.received, amount.received_bytes.to_string());
        }
        if let Some(amount) = self.further_virtual_networks {
            row("all others".to_owned(), amount.received, amount.received_bytes.to_string());
        }
        row("all".to_owned(), self.received, self.received_bytes.to_string());
        for (reason, count) in &self.not_vxlan {
            row(format!("not VXLAN: {reason}"), *count, String::new());
        }
        for (cause, count) in &self.dropped {
            row(format!("dropped: {cause}"), *count, String::new());
        }
        let seconds = Duration::from_nanos(self.elapsed_ns).as_secs_f64();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}\n\n{seconds:.3} s", table.trim_fmt());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_listen_address_is_optional() {
        for (text, address) in [
            ("0.0.0.0", "0.0.0.0:4789"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("::", "[::]:4789"),
            ("[::1]", "[::1]:4789"),
            ("[::]:1", "[::]:1"),
            ("localhost", "127.0.0.1:4789"),
            ("localhost:1", "127.0.0.1:1"),
        ] {
            assert_eq!(parse_listen_address(text).unwrap().to_string(), address);
        }
        for wrong in ["example.com", "localhost:x", ":1", ""] {
            let refused = parse_listen_address(wrong).unwrap_err().to_string();
            let start = format!("--listen `{wrong}`: expected an address");
            assert!(refused.starts_with(&start), "{refused}");
        }
    }
}
