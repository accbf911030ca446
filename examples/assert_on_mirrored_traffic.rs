//! Tests that assert which traffic a configuration mirrors, and why it does not mirror the rest.
//!
//! `cargo test --example assert_on_mirrored_traffic`

#![expect(clippy::print_stdout, reason = "main prints how to run the tests")]

fn main() {
    println!("run these tests with: cargo test --example assert_on_mirrored_traffic");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use traffic_mirror::control::config::{self, Text};
    use traffic_mirror::control::{CompileOptions, compile};
    use traffic_mirror::dataplane::{
        AcceptedBy, MirrorTable, NotMirrored, RuleIndex, SessionIndex,
    };
    use traffic_mirror::io::memory::{FrameSource, mirror};

    /// Mirrors the HTTP requests that a web server receives, except those of the monitoring host.
    /// PacketLength 54 is Ethernet, IPv4 and TCP headers (14 + 20 + 20 bytes) without payload.
    const CONFIGURATION: &str = r#"
        [[network_interface]]
        network_interface_id = "eni-web"
        private_ip_addresses = ["10.0.0.5"]

        [[traffic_mirror_target]]
        traffic_mirror_target_id = "tmt-ids"
        address = "192.0.2.10"

        [[traffic_mirror_filter]]
        traffic_mirror_filter_id = "tmf-http"

        [[traffic_mirror_filter.rule]]
        traffic_direction = "ingress"
        rule_number = 10
        rule_action = "reject"
        source_cidr_block = "10.0.9.9/32"
        destination_cidr_block = "0.0.0.0/0"

        [[traffic_mirror_filter.rule]]
        traffic_direction = "ingress"
        rule_number = 20
        rule_action = "accept"
        protocol = 6
        destination_port_range = { from_port = 80, to_port = 80 }
        source_cidr_block = "0.0.0.0/0"
        destination_cidr_block = "0.0.0.0/0"

        [[traffic_mirror_session]]
        traffic_mirror_session_id = "tms-http"
        network_interface_id = "eni-web"
        traffic_mirror_target_id = "tmt-ids"
        traffic_mirror_filter_id = "tmf-http"
        session_number = 1
        packet_length = 54
        virtual_network_id = 42
    "#;

    const CLIENT: [u8; 4] = [10, 0, 0, 9];
    const MONITORING: [u8; 4] = [10, 0, 9, 9];
    const SERVER: [u8; 4] = [10, 0, 0, 5];

    fn table() -> Arc<MirrorTable> {
        let texts = [Text::new("mirror.toml", CONFIGURATION)];
        let (registry, warnings) = config::read_texts(&texts).into_result().unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        Arc::new(compile(&registry, &CompileOptions::default()))
    }

    /// A frame of 74 bytes: Ethernet, IPv4, TCP from port 49152, and 20 bytes of payload.
    fn tcp_frame(source: [u8; 4], destination: [u8; 4], destination_port: u16) -> Vec<u8> {
        let mut frame = vec![2; 12]; // both MAC addresses
        frame.extend([0x08, 0x00]); // EtherType: IPv4
        frame.extend([0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0]); // total length 60, TTL 64, TCP
        frame.extend(source);
        frame.extend(destination);
        frame.extend([0xc0, 0]); // source port
        frame.extend(destination_port.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]); // flags PSH, ACK
        frame.extend([b'x'; 20]);
        frame
    }

    #[test]
    fn http_is_mirrored_truncated_with_the_virtual_network_id() {
        let (table, frame) = (table(), tcp_frame(CLIENT, SERVER, 80));
        let collected = mirror(&table, FrameSource::new([&frame])).unwrap();

        let [copy] = &collected.mirrored[..] else { panic!("{collected:?}") };
        assert_eq!(copy.inner, frame[..54]);
        assert_eq!(copy.outer[36..38], 4789_u16.to_be_bytes(), "UDP destination port");
        assert_eq!(copy.outer[46..49], [0, 0, 42], "VXLAN network identifier");
        assert_eq!(table.sessions()[0].id.as_str(), "tms-http");
        assert_eq!(table.sessions()[0].filter.all_rules()[1].number().value(), 20);
        assert_eq!(copy.session, SessionIndex::FIRST);
        assert_eq!(copy.accepted_by, AcceptedBy::Rule(RuleIndex::new(1)));
    }

    #[test]
    fn traffic_that_no_rule_accepts_is_not_mirrored_with_a_reason() {
        let of_other_hosts = tcp_frame(CLIENT, MONITORING, 80);
        let frames =
            [tcp_frame(MONITORING, SERVER, 80), tcp_frame(CLIENT, SERVER, 22), of_other_hosts];
        let collected = mirror(&table(), FrameSource::new(frames)).unwrap();

        assert!(collected.mirrored.is_empty());
        let reasons: Vec<_> = collected.not_mirrored.iter().map(|frame| frame.reason).collect();
        let (no_session, no_interface) =
            (NotMirrored::NoSessionMatched, NotMirrored::NoNetworkInterface);
        assert_eq!(reasons, [no_session, no_session, no_interface]);
    }

    #[test]
    fn responses_are_not_mirrored_without_an_egress_rule() {
        let frames = [tcp_frame(SERVER, CLIENT, 80)];
        let collected = mirror(&table(), FrameSource::new(frames)).unwrap();
        assert_eq!(collected.reasons_for(0).collect::<Vec<_>>(), [NotMirrored::NoSessionMatched]);
    }
}
