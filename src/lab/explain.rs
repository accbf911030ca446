//! Answers what would happen to one packet, without playing it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Lab;
use super::error::LabError;
use super::sources::DirectedSource;
use crate::dataplane::{Burst, Copies, Drops, InterfaceIndex, MirrorTable, Sink, Verdict, Worker};
use crate::io::memory::FrameSource;
use crate::model::{Direction, NetworkInterfaceId};
use crate::report::{ExplainFormat, ExplainLine};

/// A packet whose way is explained.
#[derive(Debug, Clone)]
pub struct ExplainRequest {
    /// The interface.
    pub network_interface_id: NetworkInterfaceId,
    /// The direction. By default, addresses decide.
    pub direction: Option<Direction>,
    /// The Ethernet frame.
    pub frame: Vec<u8>,
}

impl Lab {
    /// The decision on a frame, as a JSON object. Nothing is counted or stored.
    ///
    /// # Errors
    /// [`LabError`]: the interface does not exist.
    pub fn explain(&self, request: &ExplainRequest) -> Result<String, LabError> {
        let table = self.table_for_play(&request.network_interface_id)?;
        let mut frame = FrameSource::new([&request.frame]);
        let (capture, direction) = (&mut frame, request.direction);
        let mut source = DirectedSource { capture, table: Arc::clone(&table), direction };
        let mut sink = DecisionSink { table: Arc::clone(&table), line: String::new() };
        let mut worker = Worker::new(table).with_interface(InterfaceIndex::FIRST);
        worker.run(&mut source, &mut sink).map_err(LabError::failed)?;
        Ok(sink.line)
    }
}

/// Formats the decision on the last frame, and ignores its copy.
struct DecisionSink {
    table: Arc<MirrorTable>,
    line: String,
}

impl Sink for DecisionSink {
    fn send(&mut self, _copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        for verdict in verdicts {
            if let Some(frame) = burst.get(usize::from(verdict.frame)) {
                let line = ExplainLine::new(&self.table, 1, frame, verdict);
                line.format_line(ExplainFormat::Json).trim_end().clone_into(&mut self.line);
            }
        }
        Ok(())
    }
}

/// Builds a frame of a flow, such as `tcp 10.0.0.6:40000 > 10.0.0.5:443` or
/// `icmp 10.0.0.6 > 10.0.0.5`. The protocol is a name or a number.
pub(super) fn frame_of_flow(text: &str) -> Result<Vec<u8>, LabError> {
    parse_flow(text).ok_or_else(|| {
        let message = format!(
            "flow `{text}`: expected a protocol (tcp, udp, icmp, icmpv6 or a number), a source and a \
             destination, such as `tcp 10.0.0.6:40000 > 10.0.0.5:443`"
        );
        LabError::invalid("InvalidFlow", message)
    })
}

fn parse_flow(text: &str) -> Option<Vec<u8>> {
    let (protocol, ends) = text.trim().split_once(char::is_whitespace)?;
    let (source, destination) = ends.split_once('>')?;
    let protocol = match &*protocol.to_ascii_lowercase() {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "icmpv6" => 58,
        number => number.parse().ok()?,
    };
    let (source, destination) = (parse_end(source)?, parse_end(destination)?);
    let payload = transport_header(protocol, source.1.unwrap_or(0), destination.1.unwrap_or(0));
    let len = u16::try_from(payload.len()).ok()?;
    let mut frame = vec![2; 12];
    match (source.0, destination.0) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((len + 20).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(len.to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        _ => return None,
    }
    frame.extend(payload);
    Some(frame)
}

/// The header after the IP header; eight zero bytes for other protocols than TCP and UDP.
fn transport_header(protocol: u8, source_port: u16, destination_port: u16) -> Vec<u8> {
    let ports = [source_port.to_be_bytes(), destination_port.to_be_bytes()].concat();
    match protocol {
        6 => [&*ports, &[0; 8], &[0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]].concat(),
        17 => [&*ports, &[0, 8, 0, 0]].concat(),
        _ => vec![0; 8],
    }
}

/// An address with or without a port.
fn parse_end(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.trim();
    match text.parse::<IpAddr>() {
        Ok(address) => Some((address, None)),
        Err(_) => {
            let with_port: SocketAddr = text.parse().ok()?;
            Some((with_port.ip(), Some(with_port.port())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::FlowKey;

    #[test]
    fn flows_become_frames_with_these_addresses_and_ports() {
        let key = |text| FlowKey::parse(&frame_of_flow(text).unwrap()).unwrap();
        let tcp = key("tcp 10.0.0.6:40000 > 10.0.0.5:443");
        assert_eq!((tcp.protocol(), tcp.ports()), (Some(6), Some((40_000, 443))));
        assert_eq!(tcp.source(), "10.0.0.6".parse::<IpAddr>().unwrap());
        let udp = key("UDP [2001:db8::1]:53 > [2001:db8::2]:5353");
        assert_eq!((udp.protocol(), udp.ports()), (Some(17), Some((53, 5353))));
        assert_eq!(key("icmp 10.0.0.6 > 10.0.0.5").protocol(), Some(1));
        assert_eq!(key("47 10.0.0.6 > 10.0.0.5").protocol(), Some(47));
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for text in
            ["", "tcp", "tcp 10.0.0.6", "tcp 10.0.0.6 > fd00::1", "x 10.0.0.1 > 10.0.0.2", "tcp > "]
        {
            let error = frame_of_flow(text).unwrap_err();
            assert!(error.message.contains(text) && error.message.contains("expected"), "{error}");
        }
    }
}
