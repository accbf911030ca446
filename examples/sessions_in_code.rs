//! Builds two sessions in code, pushes frames from memory, and receives copies in its own sink.
//!
//! `cargo run --example sessions_in_code`

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::error::Error;
use std::io;
use std::sync::Arc;

use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{Burst, Copies, Drops, MirrorOutcome, Sink, Verdict, Worker};
use traffic_mirror::io::memory::{FrameSource, MemoryFrame};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, InvalidValue, NetworkInterface,
    NetworkInterfaceId, PacketLength, PortRange, Protocol, RuleAction, RuleNumber, Session,
    SessionNumber, Settings, Target, TargetId,
};

/// Ingress HTTPS goes to one session; the first bytes of all other packets go to another.
fn registry() -> Result<Registry, Box<dyn Error>> {
    let mut registry = Registry::new(Settings::default());

    let interface = NetworkInterfaceId::new("eni-web")?;
    let mut web = NetworkInterface::new(interface.clone());
    web.private_ip_addresses = vec!["10.0.0.5".parse()?];
    registry.add_network_interface(web)?;

    let target = TargetId::new("tmt-collector")?;
    registry.add_target(Target::at(target.clone(), "192.0.2.10:4789".parse()?))?;

    let https = FilterId::new("tmf-https")?;
    let mut filter = Filter::new(https.clone());
    filter.push_rule(https_rule()?)?;
    registry.add_filter(filter)?;
    let all = FilterId::new("tmf-all")?;
    registry.add_filter(Filter::accept_all(all.clone()))?;

    let first = SessionNumber::new(1)?;
    registry.add_session(Session::new(interface.clone(), first, https, target.clone()))?;
    let mut rest = Session::new(interface, SessionNumber::new(2)?, all, target);
    rest.packet_length = Some(PacketLength::new(34)?);
    registry.add_session(rest)?;
    Ok(registry)
}

fn https_rule() -> Result<FilterRule, InvalidValue> {
    let (from, to) = (CidrBlock::any_ipv4(), CidrBlock::any_ipv4());
    let number = RuleNumber::new(100)?;
    FilterRule::new(Direction::Ingress, number, RuleAction::Accept, from, to)?
        .with_protocol(Protocol::TCP)?
        .with_destination_ports(PortRange::new("destination_port_range", 443, 443)?)
}

/// A TCP segment to 10.0.0.5, or a frame that is not IP.
fn frame(to_port: u16, ether_type: u16) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    bytes.extend(ether_type.to_be_bytes());
    bytes.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 0, 0, 5]);
    bytes.extend([0xc0, 0]);
    bytes.extend(to_port.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Receives each copy as a borrowed pair. `io::memory::CollectSink` stores copies.
struct PrintSink;

impl Sink for PrintSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            let (outer, inner) = (copy.outer(), copy.inner().to_vec());
            let (session, outer_len, inner_len) = (copy.session_id(), outer.len(), inner.len());
            println!("{session}: outer header {outer_len} bytes, inner {inner_len} bytes");
        }
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, _burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        for verdict in verdicts {
            if let MirrorOutcome::NotMirrored(reason) = verdict.outcome {
                println!("frame {} stayed behind: {}", verdict.frame, reason.label());
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The sessions have no VirtualNetworkId: they are computed from the seed, always the same.
    let options = CompileOptions { seed: 7, ..CompileOptions::default() };
    let table = Arc::new(compile(&registry()?, &options));
    for session in table.sessions() {
        println!("session {}: VNI {}", session.number, session.virtual_network_id);
    }

    let frames = [frame(443, 0x0800), frame(80, 0x0800), frame(0, 0x0806)];
    let mut source = FrameSource::from_frames(frames.iter().map(MemoryFrame::new));
    let mut worker = Worker::new(table);
    worker.run(&mut source, &mut PrintSink)?;
    println!("{} frames in, {} copies out", worker.counters().frames, worker.counters().mirrored());
    Ok(())
}
