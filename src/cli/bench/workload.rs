//! What is measured: rules in sessions, and packets that meet them.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::super::exit::Failure;
use super::super::sessions;
use super::BenchFlags;
use crate::control::{CompileOptions, Registry, classbench, compile};
use crate::dataplane::{BURST_LEN, Burst, FlowKey, MirrorTable, Source};
use crate::io::capture::CaptureSource;
use crate::model::{
    CidrBlock, Direction, Filter, FilterRule, Invalid, NetworkInterface, NetworkInterfaceId,
    PortRange, Session, SessionNumber, Settings, Target, TargetId,
};

/// Rules and packets.
pub(super) struct Workload {
    /// What the rules are called in the report.
    pub(super) name: String,
    pub(super) table: Arc<MirrorTable>,
    /// The interface of the table whose rules are asked.
    pub(super) interface: u32,
    pub(super) direction: Direction,
    pub(super) keys: Vec<FlowKey>,
    /// The same packets as Ethernet frames.
    pub(super) frames: Vec<Vec<u8>>,
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

pub(super) fn read(flags: &BenchFlags) -> Result<Workload, Failure> {
    let (name, registry) = match &flags.classbench {
        Some(path) => {
            let rules = classbench::rules(&text(path)?).map_err(|bad| in_file(path, &bad))?;
            (path.display().to_string(), classbench_registry(&rules, flags.sessions)?)
        }
        None => {
            let names = flags.config.iter().map(|path| path.display().to_string());
            (names.collect::<Vec<_>>().join(" "), sessions::read(&flags.config)?)
        }
    };
    let table = Arc::new(compile(&registry, &CompileOptions::default()));
    let interface = table.sessions().first().map(|session| session.interface);
    let interface =
        interface.ok_or_else(|| Failure::usage("rules: there is none, so nothing can be asked"))?;
    let direction = direction(&table, interface);
    let (keys, frames) = packets(flags, &table, interface)?;
    // Rules of one family are asked by packets of that family: the one of the first packet.
    let is_ipv4 = keys.first().is_none_or(|key| key.source().is_ipv4());
    let pairs = keys.into_iter().zip(frames).filter(|(key, _)| key.source().is_ipv4() == is_ipv4);
    let (keys, frames): Packets = pairs.unzip();
    if keys.is_empty() {
        return Err(Failure::usage("packets: there is none that is IP"));
    }
    Ok(Workload { name, table, interface, direction, keys, frames })
}

/// That of the first rule.
fn direction(table: &MirrorTable, interface: u32) -> Direction {
    let own = table.sessions().iter().filter(|session| session.interface == interface);
    let mut rules = own.flat_map(|session| session.filter.all_rules());
    rules.next().map_or(Direction::Ingress, FilterRule::direction)
}

fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| in_file(path, &error))
}

fn in_file(path: &Path, what: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {what}", path.display()))
}

/// Each filter in a session of its own, all on one interface that owns every packet.
fn classbench_registry(rules: &[FilterRule], sessions: u32) -> Result<Registry, Failure> {
    let refused = |invalid: Invalid| Failure::usage(invalid);
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

fn packets(flags: &BenchFlags, table: &MirrorTable, interface: u32) -> Result<Packets, Failure> {
    if let Some(path) = &flags.capture {
        return captured(path);
    }
    let keys = match &flags.trace {
        Some(path) => classbench::trace(&text(path)?).map_err(|bad| in_file(path, &bad))?,
        None => corners(table, interface),
    };
    let frames = keys.iter().map(frame).collect();
    Ok((keys, frames))
}

fn captured(path: &Path) -> Result<Packets, Failure> {
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

/// Packets at the lowest and highest corner of what each rule matches, in an order that jumps.
fn corners(table: &MirrorTable, interface: u32) -> Vec<FlowKey> {
    let own = table.sessions().iter().filter(|session| session.interface == interface);
    let rules: Vec<&FilterRule> = own.flat_map(|session| session.filter.all_rules()).collect();
    let len = rules.len().max(1);
    let places = (0..len.max(BURST_LEN)).map(|place| place * 7919 % len);
    let two = places.filter_map(|place| rules.get(place)).flat_map(|rule| {
        let protocol = rule.protocol().map_or(6, |protocol| protocol.0);
        [false, true].map(|is_high| {
            let port = |ports: Option<PortRange>| match ports {
                None => 1024,
                Some(ports) if is_high => ports.to_port(),
                Some(ports) => ports.from_port(),
            };
            let end = |block: CidrBlock| if is_high { block.last() } else { block.network() };
            let ports = (port(rule.source_ports()), port(rule.destination_ports()));
            FlowKey::new(end(rule.source()), end(rule.destination()), protocol, Some(ports))
        })
    });
    two.collect()
}

/// A frame of 64 bytes and more that has these headers.
fn frame(key: &FlowKey) -> Vec<u8> {
    let (source_port, destination_port) = key.ports().unwrap_or_default();
    let mut transport = Vec::with_capacity(24);
    transport.extend(source_port.to_be_bytes());
    transport.extend(destination_port.to_be_bytes());
    transport.resize(26, 0);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match (key.source(), key.destination()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend([0x08, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64]);
            frame.extend([key.protocol().unwrap_or_default(), 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (source, destination) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 26]);
            frame.extend([key.protocol().unwrap_or_default(), 64]);
            for address in [source, destination] {
                if let IpAddr::V6(v6) = address {
                    frame.extend(v6.octets());
                }
            }
        }
    }
    frame.extend(transport);
    frame
}
