//! The rules and packets that a benchmark measures, read or generated.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::error::BenchError;
use super::frames::build_frame;
use super::generate::{self, AddressFamily, Mix, PacketOptions, RuleShape};
use super::options::{BenchOptions, PacketSource, RuleSource};
use crate::control::{CompileOptions, Registry, classbench, compile};
use crate::dataplane::{Burst, FlowKey, InterfaceIndex, MirrorTable, Source};
use crate::io::capture::CaptureSource;
use crate::model::{
    Direction, Filter, FilterRule, InvalidValue, NetworkInterface, NetworkInterfaceId, Session,
    SessionNumber, Settings, Target, TargetId,
};

/// Rules and packets.
pub(super) struct Workload {
    /// The name of the rules in the report.
    pub(super) name: String,
    pub(super) generated: GeneratorSettings,
    pub(super) table: Arc<MirrorTable>,
    /// The interface in the table whose rules are measured.
    pub(super) interface: InterfaceIndex,
    pub(super) direction: Direction,
    pub(super) keys: Vec<FlowKey>,
    /// The same packets as Ethernet frames.
    pub(super) frames: Vec<Vec<u8>>,
}

/// The settings of generated rules and packets; a setting that was not used is absent.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct GeneratorSettings {
    /// The shape of generated rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<RuleShape>,
    /// The address family of generated rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<AddressFamily>,
    /// The seed of generated rules and packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The mix of generated packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// The number of flows of generated packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<usize>,
    /// The exponent of Zipf's law by which generated packets are distributed over the flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zipf: Option<f64>,
}

type Packets = (Vec<FlowKey>, Vec<Vec<u8>>);

impl Workload {
    /// Reads or generates rules (`count` of them, if they are generated) and packets for them.
    pub(super) fn new(options: &BenchOptions, count: Option<u32>) -> Result<Self, BenchError> {
        let mut generated = GeneratorSettings::default();
        let (name, table) = table(options, count, &mut generated)?;
        let interface = table.sessions().first().map(|session| session.interface);
        let interface = interface.ok_or(BenchError::NoRules)?;
        let rules = rules_of(&table, interface);
        // The direction of the first rule; rules of the other direction are not measured.
        let direction = rules.first().map_or(Direction::Ingress, |rule| rule.direction());
        let (keys, frames) = match &options.packets {
            PacketSource::Capture(path) => read_capture(path)?,
            PacketSource::Trace(path) => {
                with_frames(classbench::trace(&read_text(path)?).map_err(file_error(path))?)
            }
            PacketSource::Generated(packets) => {
                generated.record_packets(packets);
                with_frames(generate_headers(&rules, direction, packets))
            }
        };
        drop(rules);
        // The rules of one address family are measured: that of the first packet.
        let is_ipv4 = keys.first().is_none_or(|key| key.source().is_ipv4());
        let pairs = keys.into_iter().zip(frames);
        let pairs = pairs.filter(|(key, _)| key.source().is_ipv4() == is_ipv4);
        let (keys, frames): Packets = pairs.unzip();
        if keys.is_empty() {
            return Err(BenchError::NoPackets);
        }
        Ok(Self { name, generated, table, interface, direction, keys, frames })
    }

    /// The filters of the interface's sessions, in the order of evaluation.
    pub(super) fn filters(&self) -> Vec<Arc<Filter>> {
        let sessions = self.table.sessions().iter();
        let own = sessions.filter(|session| session.interface == self.interface);
        own.map(|session| Arc::clone(&session.filter)).collect()
    }

    /// The address family of the packets and of the rules that are measured.
    pub(super) fn is_ipv4(&self) -> bool {
        self.keys.first().is_none_or(|key| key.source().is_ipv4())
    }
}

impl GeneratorSettings {
    const fn record_packets(&mut self, options: &PacketOptions) {
        self.seed = Some(options.seed);
        self.mix = Some(options.mix);
        self.flows = Some(options.flows);
        self.zipf = Some(options.zipf);
    }
}

/// The compiled rules, and their name in the report.
fn table(
    options: &BenchOptions,
    count: Option<u32>,
    generated: &mut GeneratorSettings,
) -> Result<(String, Arc<MirrorTable>), BenchError> {
    let compiled = |registry: &Registry| Arc::new(compile(registry, &CompileOptions::default()));
    let (name, rules) = match &options.rules {
        RuleSource::Registry { name, registry } => return Ok((name.clone(), compiled(registry))),
        RuleSource::ClassBench(path) => {
            let rules = classbench::rules(&read_text(path)?).map_err(file_error(path))?;
            (path.display().to_string(), rules)
        }
        RuleSource::Generated { shape, family, seed, .. } => {
            generated.shape = Some(*shape);
            generated.family = Some(*family);
            generated.seed = Some(*seed);
            let count = usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX);
            let rules = generate::rules(count, *shape, *family, *seed)?;
            (format!("{shape} {family} seed {seed}"), rules)
        }
    };
    Ok((name, compiled(&single_interface_registry(&rules, options.sessions)?)))
}

/// The rules of all sessions of an interface, in the order of evaluation.
fn rules_of(table: &MirrorTable, interface: InterfaceIndex) -> Vec<&FilterRule> {
    let own = table.sessions().iter().filter(|session| session.interface == interface);
    own.flat_map(|session| session.filter.all_rules()).collect()
}

/// Headers for the rules of a direction that have the address family of the first rule.
fn generate_headers(
    rules: &[&FilterRule],
    direction: Direction,
    options: &PacketOptions,
) -> Vec<FlowKey> {
    let is_ipv4 = rules.first().is_none_or(|rule| rule.source().is_ipv4());
    let matching = rules.iter().filter(|rule| rule.direction() == direction);
    let matching: Vec<&FilterRule> =
        matching.filter(|rule| rule.source().is_ipv4() == is_ipv4).copied().collect();
    generate::headers(&matching, is_ipv4, options)
}

fn with_frames(keys: Vec<FlowKey>) -> Packets {
    let frames = keys.iter().map(build_frame).collect();
    (keys, frames)
}

fn read_text(path: &Path) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(file_error(path))
}

fn file_error<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> BenchError {
    move |error| BenchError::File { path: path.to_owned(), reason: error.to_string() }
}

/// One session for each filter, all on one interface that owns every packet.
fn single_interface_registry(
    rules: &[FilterRule],
    sessions: u32,
) -> Result<Registry, InvalidValue> {
    let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
    let mut registry = Registry::new(Settings { aws_exclusions: false, ..Settings::default() });
    let interface = NetworkInterfaceId::new("eni-bench")?;
    let target = TargetId::new("tmt-bench")?;
    registry.add_network_interface(NetworkInterface::new(interface.clone()))?;
    let address = SocketAddr::from(([192, 0, 2, 10], 4789));
    registry.add_target(Target::at(target.clone(), address))?;
    for (number, filter) in (1_i64..).zip(classbench::filters(rules, sessions)?) {
        let number = SessionNumber::new(number)?;
        let filter_id = filter.id().clone();
        registry.add_filter(filter)?;
        let session = Session::new(interface.clone(), number, filter_id, target.clone());
        registry.add_session(session)?;
    }
    Ok(registry)
}

fn read_capture(path: &Path) -> Result<Packets, BenchError> {
    let mut source = CaptureSource::open(path).map_err(BenchError::failed)?;
    let (mut keys, mut frames) = (Vec::new(), Vec::new());
    loop {
        let mut burst = Burst::new();
        source.fill(&mut burst).map_err(BenchError::failed)?;
        if burst.is_empty() {
            return Ok((keys, frames));
        }
        for frame in &burst {
            if let Ok(key) = FlowKey::parse(frame.bytes) {
                keys.push(key);
                frames.push(frame.bytes.to_vec());
            }
        }
    }
}
