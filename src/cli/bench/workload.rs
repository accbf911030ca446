//! What is measured: rules in sessions, and packets that meet them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::super::exit::Failure;
use super::super::sessions;
use super::BenchFlags;
use super::frames::build_frame;
use super::generate::{self, AddressFamily, GenerateFlags, Mix, RuleShape};
use crate::control::{CompileOptions, Registry, classbench, compile};
use crate::dataplane::{Burst, FlowKey, MirrorTable, Source};
use crate::io::capture::CaptureSource;
use crate::model::{
    Direction, Filter, FilterRule, InvalidValue, NetworkInterface, NetworkInterfaceId, Session,
    SessionNumber, Settings, Target, TargetId,
};

/// Rules and packets.
pub(super) struct Workload {
    /// What the rules are called in the report.
    pub(super) name: String,
    pub(super) generated: GeneratorSettings,
    pub(super) table: Arc<MirrorTable>,
    /// The interface of the table whose rules are asked.
    pub(super) interface: u32,
    pub(super) direction: Direction,
    pub(super) keys: Vec<FlowKey>,
    /// The same packets as Ethernet frames.
    pub(super) frames: Vec<Vec<u8>>,
}

/// By what generated rules and packets were drawn; nothing where they were not.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct GeneratorSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shape: Option<RuleShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) family: Option<AddressFamily>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mix: Option<Mix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flows: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) zipf: Option<f64>,
}

impl Workload {
    /// The filters of the interface's sessions, in the order of asking.
    pub(super) fn filters(&self) -> Vec<Arc<Filter>> {
        let sessions = self.table.sessions().iter();
        let own = sessions.filter(|session| session.interface == self.interface);
        own.map(|session| Arc::clone(&session.filter)).collect()
    }

    /// Whether the rules of one family are asked: that of the first packet.
    pub(super) fn is_ipv4(&self) -> bool {
        self.keys.first().is_none_or(|key| key.source().is_ipv4())
    }
}

/// Reads or generates rules, of which there shall be so many, and packets for them.
pub(super) fn read(flags: &BenchFlags, rules: Option<u32>) -> Result<Workload, Failure> {
    let mut generated = GeneratorSettings::default();
    let (name, registry) = match rules {
        Some(count) => generated_rules(flags, count, &mut generated)?,
        None => read_rules(flags)?,
    };
    let table = Arc::new(compile(&registry, &CompileOptions::default()));
    let interface = table.sessions().first().map(|session| session.interface);
    let interface =
        interface.ok_or_else(|| Failure::usage("rules: there is none, so nothing can be asked"))?;
    let rules = rules_of(&table, interface);
    // That of the first rule.
    let direction = rules.first().map_or(Direction::Ingress, |rule| rule.direction());
    let (keys, frames) = match read_packets(flags)? {
        Some(packets) => packets,
        None => {
            generated.record_packets(&flags.generate);
            with_frames(generate_headers(&rules, direction, &flags.generate))
        }
    };
    drop(rules);
    // Rules of one family are asked by packets of that family: the one of the first packet.
    let is_ipv4 = keys.first().is_none_or(|key| key.source().is_ipv4());
    let pairs = keys.into_iter().zip(frames).filter(|(key, _)| key.source().is_ipv4() == is_ipv4);
    let (keys, frames): Packets = pairs.unzip();
    if keys.is_empty() {
        return Err(Failure::usage("packets: there is none that is IP"));
    }
    Ok(Workload { name, generated, table, interface, direction, keys, frames })
}

/// Rules by shape, family and seed, and what they are called.
fn generated_rules(
    flags: &BenchFlags,
    count: u32,
    generated: &mut GeneratorSettings,
) -> Result<(String, Registry), Failure> {
    let (shape, family) = (flags.generate.shape(), flags.generate.family());
    let seed = flags.generate.seed();
    (generated.shape, generated.family, generated.seed) = (Some(shape), Some(family), Some(seed));
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let rules = generate::rules(count, shape, family, seed).map_err(Failure::failed)?;
    Ok((
        format!("{shape} {family} seed {seed}"),
        single_interface_registry(&rules, flags.sessions)?,
    ))
}

/// Rules out of files, and what these are called.
fn read_rules(flags: &BenchFlags) -> Result<(String, Registry), Failure> {
    if let Some(path) = &flags.classbench {
        let rules = classbench::rules(&text(path)?).map_err(|bad| file_failure(path, &bad))?;
        return Ok((
            path.display().to_string(),
            single_interface_registry(&rules, flags.sessions)?,
        ));
    }
    let names = flags.config.iter().map(|path| path.display().to_string());
    Ok((names.collect::<Vec<_>>().join(" "), sessions::read_config(&flags.config)?))
}

/// Packets out of a file, where one is named.
fn read_packets(flags: &BenchFlags) -> Result<Option<Packets>, Failure> {
    if let Some(path) = &flags.capture {
        return read_capture(path).map(Some);
    }
    let Some(path) = &flags.trace else { return Ok(None) };
    let keys = classbench::trace(&text(path)?).map_err(|bad| file_failure(path, &bad))?;
    Ok(Some(with_frames(keys)))
}

impl GeneratorSettings {
    /// Packets were drawn too.
    fn record_packets(&mut self, flags: &GenerateFlags) {
        let options = flags.packet_options();
        self.seed = Some(options.seed);
        self.mix = Some(options.mix);
        self.flows = Some(options.flows);
        self.zipf = Some(options.zipf);
    }
}

/// Of all sessions of an interface, in the order of asking.
fn rules_of(table: &MirrorTable, interface: u32) -> Vec<&FilterRule> {
    let own = table.sessions().iter().filter(|session| session.interface == interface);
    own.flat_map(|session| session.filter.all_rules()).collect()
}

/// Headers for the rules of a direction, of the family of the first.
fn generate_headers(
    rules: &[&FilterRule],
    direction: Direction,
    flags: &GenerateFlags,
) -> Vec<FlowKey> {
    let is_ipv4 = rules.first().is_none_or(|rule| rule.source().is_ipv4());
    let matching = rules.iter().filter(|rule| rule.direction() == direction);
    let matching: Vec<&FilterRule> =
        matching.filter(|rule| rule.source().is_ipv4() == is_ipv4).copied().collect();
    generate::headers(&matching, is_ipv4, &flags.packet_options())
}

fn with_frames(keys: Vec<FlowKey>) -> Packets {
    let frames = keys.iter().map(build_frame).collect();
    (keys, frames)
}

fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| file_failure(path, &error))
}

fn file_failure(path: &Path, what: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {what}", path.display()))
}

/// Each filter in a session of its own, all on one interface that owns every packet.
fn single_interface_registry(rules: &[FilterRule], sessions: u32) -> Result<Registry, Failure> {
    let refused = |invalid: InvalidValue| Failure::usage(invalid);
    let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
    let mut registry = Registry::new(Settings { aws_exclusions: false, ..Settings::default() });
    let interface = NetworkInterfaceId::new("eni-bench").map_err(refused)?;
    let target = TargetId::new("tmt-bench").map_err(refused)?;
    registry.add_network_interface(NetworkInterface::new(interface.clone())).map_err(refused)?;
    let address = SocketAddr::from(([192, 0, 2, 10], 4789));
    registry.add_target(Target::at(target.clone(), address)).map_err(refused)?;
    for (number, filter) in (1_i64..).zip(classbench::filters(rules, sessions).map_err(refused)?) {
        let number = SessionNumber::new(number).map_err(refused)?;
        let filter_id = filter.id().clone();
        registry.add_filter(filter).map_err(refused)?;
        let session = Session::new(interface.clone(), number, filter_id, target.clone());
        registry.add_session(session).map_err(refused)?;
    }
    Ok(registry)
}

type Packets = (Vec<FlowKey>, Vec<Vec<u8>>);

fn read_capture(path: &Path) -> Result<Packets, Failure> {
    let mut source = CaptureSource::open(path).map_err(Failure::failed)?;
    let (mut keys, mut frames) = (Vec::new(), Vec::new());
    loop {
        let mut burst = Burst::new();
        source.fill(&mut burst).map_err(Failure::failed)?;
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
