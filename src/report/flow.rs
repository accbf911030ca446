//! The flow of a frame (addresses, protocol, ports), as text and JSON.

use std::net::{Ipv4Addr, SocketAddr};

use etherparse::{ArpOperation, ArpPacketSlice, Ethernet2Slice, IpNumber};
use serde::Serialize;

use crate::dataplane::{FlowKey, Frame, Medium};

/// The flow of a frame. A frame that is not IP has only the description.
#[derive(Debug, Default, Serialize)]
pub(super) struct Flow {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_port: Option<u16>,
    /// The flow as text, such as `10.0.0.20:55524 > 10.0.0.5:80 TCP`.
    #[serde(skip)]
    pub(super) description: String,
}

impl Flow {
    /// Parses the frame with the parser of the data plane.
    pub(super) fn from_frame(frame: &Frame<'_>) -> Self {
        if frame.medium == Medium::Unsupported {
            return Self::from_description(format!(
                "{} bytes of another link type",
                frame.captured_len()
            ));
        }
        match FlowKey::parse(frame.bytes) {
            Ok(key) => Self::from_key(&key),
            Err(_) => Self::from_description(describe_ethernet(frame.bytes)),
        }
    }

    fn from_description(description: String) -> Self {
        Self { description, ..Self::default() }
    }

    fn from_key(key: &FlowKey) -> Self {
        let (source, destination, ports) = (key.source(), key.destination(), key.ports());
        let name = protocol_name(key.protocol());
        let description = match (ports, key.protocol()) {
            (Some((from, to)), _) => {
                let (from, to) = (SocketAddr::new(source, from), SocketAddr::new(destination, to));
                format!("{from} > {to} {name}")
            }
            // A later fragment, or a truncated frame. No rule with a port range matches it.
            (None, Some(6 | 17)) => format!("{source} > {destination} {name} without ports"),
            (None, _) => format!("{source} > {destination} {name}"),
        };
        Self {
            source: Some(source.to_string()),
            destination: Some(destination.to_string()),
            protocol: key.protocol(),
            source_port: ports.map(|ports| ports.0),
            destination_port: ports.map(|ports| ports.1),
            description,
        }
    }
}

fn protocol_name(protocol: Option<u8>) -> String {
    let Some(number) = protocol else { return "protocol unknown".to_owned() };
    IpNumber(number).keyword_str().map_or_else(|| format!("protocol {number}"), str::to_owned)
}

/// Describes a frame that is not IP or is malformed.
fn describe_ethernet(bytes: &[u8]) -> String {
    let Ok(ethernet) = Ethernet2Slice::from_slice_without_fcs(bytes) else {
        return format!("{} bytes, too short for Ethernet", bytes.len());
    };
    match ethernet.ether_type().0 {
        0x0806 => describe_arp(ethernet.payload_slice()).unwrap_or_else(|| "ARP".to_owned()),
        0x88cc => "LLDP".to_owned(),
        0x0800 => "IPv4, malformed".to_owned(),
        0x86dd => "IPv6, malformed".to_owned(),
        0x8100 | 0x88a8 | 0x9100 => "VLAN-tagged, not IP".to_owned(),
        length if length < 0x0600 => "802.3 LLC".to_owned(),
        other => format!("EtherType 0x{other:04x}"),
    }
}

/// Describes an ARP request or reply, such as `ARP 10.0.0.20 asks for 10.0.0.5`.
fn describe_arp(payload: &[u8]) -> Option<String> {
    let arp = ArpPacketSlice::from_slice(payload).ok()?;
    let verb = match arp.operation() {
        ArpOperation::REQUEST => "asks for",
        ArpOperation::REPLY => "answers",
        _ => return None,
    };
    let sender: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
    let target: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    Some(format!("ARP {} {verb} {}", Ipv4Addr::from(sender), Ipv4Addr::from(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(bytes: &[u8]) -> String {
        Flow::from_frame(&Frame::new(bytes)).description
    }

    fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
        [&[2; 12], &ether_type.to_be_bytes()[..], payload].concat()
    }

    #[test]
    fn packets_show_their_flow_and_later_fragments_no_ports() {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0, 99, 0, 53, 0, 8, 0, 0]);
        assert_eq!(description(&ethernet(0x0800, &packet)), "10.0.0.1:99 > 10.0.0.2:53 UDP");
        packet[7] = 1;
        assert_eq!(
            description(&ethernet(0x0800, &packet)),
            "10.0.0.1 > 10.0.0.2 UDP without ports"
        );
        packet[9] = 1;
        assert_eq!(description(&ethernet(0x0800, &packet)), "10.0.0.1 > 10.0.0.2 ICMP");
        packet[9] = 253;
        assert_eq!(description(&ethernet(0x0800, &packet)), "10.0.0.1 > 10.0.0.2 protocol 253");
    }

    #[test]
    fn frames_that_are_not_ip_show_their_protocol_name() {
        let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 2, 2, 2, 2, 2, 10, 0, 0, 1];
        arp.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        assert_eq!(description(&ethernet(0x0806, &arp)), "ARP 10.0.0.1 asks for 10.0.0.2");
        arp[7] = 2;
        assert_eq!(description(&ethernet(0x0806, &arp)), "ARP 10.0.0.1 answers 10.0.0.2");
        assert_eq!(description(&ethernet(0x0806, &arp[..20])), "ARP");
        assert_eq!(description(&ethernet(0x88cc, &[])), "LLDP");
        assert_eq!(description(&ethernet(0x0026, &[])), "802.3 LLC");
        assert_eq!(description(&ethernet(0x1234, &[])), "EtherType 0x1234");
        assert_eq!(description(&ethernet(0x8100, &[0, 5, 8, 6])), "VLAN-tagged, not IP");
        assert_eq!(description(&ethernet(0x0800, &[0x45])), "IPv4, malformed");
        assert_eq!(description(&[1; 5]), "5 bytes, too short for Ethernet");
        let foreign = Frame { medium: Medium::Unsupported, ..Frame::new(&[1; 5]) };
        assert_eq!(Flow::from_frame(&foreign).description, "5 bytes of another link type");
    }
}
