//! Builds two sessions in code, mirrors frames from memory, and receives the copies in its own sink.
//!
//! `cargo run --example sessions_in_code`

#![expect(clippy::print_stdout, reason = "an example prints its results")]

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

/// Session 1 mirrors ingress HTTPS. Session 2 mirrors the first 34 bytes of all other IP packets:
/// their Ethernet and IPv4 headers.
fn registry() -> Result<Registry, Box<dyn Error>> {
    let mut registry = Registry::new(Settings::default());

    let interface_id = NetworkInterfaceId::new("eni-web")?;
    let mut interface = NetworkInterface::new(interface_id.clone());
    interface.private_ip_addresses = vec!["10.0.0.5".parse()?];
    registry.add_network_interface(interface)?;

    let target_id = TargetId::new("tmt-collector")?;
    registry.add_target(Target::at(target_id.clone(), "192.0.2.10:4789".parse()?))?;

    let https_id = FilterId::new("tmf-https")?;
    let mut https_filter = Filter::new(https_id.clone());
    https_filter.push_rule(https_rule()?)?;
    registry.add_filter(https_filter)?;
    let all_id = FilterId::new("tmf-all")?;
    registry.add_filter(Filter::accept_all(all_id.clone()))?;

    let number = SessionNumber::new(1)?;
    registry.add_session(Session::new(
        interface_id.clone(),
        number,
        https_id,
        target_id.clone(),
    ))?;
    let mut truncating = Session::new(interface_id, SessionNumber::new(2)?, all_id, target_id);
    truncating.packet_length = Some(PacketLength::new(34)?);
    registry.add_session(truncating)?;
    Ok(registry)
}

fn https_rule() -> Result<FilterRule, InvalidValue> {
    let (source, destination) = (CidrBlock::any_ipv4(), CidrBlock::any_ipv4());
    let number = RuleNumber::new(100)?;
    FilterRule::new(Direction::Ingress, number, RuleAction::Accept, source, destination)?
        .with_protocol(Protocol::TCP)?
        .with_destination_ports(PortRange::new("destination_port_range", 443, 443)?)
}

/// A TCP segment from 10.0.0.9 to 10.0.0.5 if `ether_type` is 0x0800, or a frame that is not IP.
fn frame(destination_port: u16, ether_type: u16) -> Vec<u8> {
    let mut bytes = vec![2; 12]; // both MAC addresses
    bytes.extend(ether_type.to_be_bytes());
    bytes.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 0, 0, 5]);
    bytes.extend([0xc0, 0]); // source port
    bytes.extend(destination_port.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]); // flag SYN
    bytes
}

/// Prints each copy, which it borrows. Use `io::memory::CollectSink` to store copies.
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
                println!("frame {} is not mirrored: {}", verdict.frame, reason.label());
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The sessions have no VirtualNetworkId. One seed always gives them the same numbers.
    let options = CompileOptions { seed: 7, ..CompileOptions::default() };
    let table = Arc::new(compile(&registry()?, &options));
    for session in table.sessions() {
        println!("session {}: VNI {}", session.number, session.virtual_network_id);
    }

    let frames = [frame(443, 0x0800), frame(80, 0x0800), frame(0, 0x0806)];
    let mut source = FrameSource::from_frames(frames.iter().map(MemoryFrame::new));
    let mut worker = Worker::new(table);
    worker.run(&mut source, &mut PrintSink)?;
    let counters = worker.counters();
    println!("{} frames received, {} mirrored", counters.frames, counters.mirrored());
    Ok(())
}
