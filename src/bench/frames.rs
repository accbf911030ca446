//! Ethernet frames for generated headers.

use std::net::IpAddr;

use crate::dataplane::FlowKey;

/// A frame with these headers and 22 zero bytes after the ports: 60 bytes over IPv4, 80 over IPv6.
/// Checksums are zero.
pub(super) fn build_frame(key: &FlowKey) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_made_from_a_flow_key_parses_to_that_key() {
        for (source, destination) in [("10.1.2.3", "192.0.2.9"), ("2001:db8::1", "3fff::2")] {
            let [source, destination] = [source, destination].map(|text| text.parse().unwrap());
            for (protocol, ports) in [(6, Some((1, 65_535))), (17, Some((53, 7))), (89, None)] {
                let key = FlowKey::new(source, destination, protocol, ports);
                assert_eq!(FlowKey::parse(&build_frame(&key)), Ok(key));
            }
        }
    }
}
