//! A test that asserts which traffic a configuration mirrors, and why it does not mirror the rest.

#![expect(clippy::print_stdout, reason = "main says how to run the tests")]

fn main() {
    println!("these are tests: cargo test --example assert_on_mirrored_traffic");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use traffic_mirror::control::config::{self, Text};
    use traffic_mirror::control::{CompileOptions, compile};
    use traffic_mirror::dataplane::{MirrorTable, NotMirrored};
    use traffic_mirror::io::memory::{FrameSource, mirror};

    /// A web server whose HTTP is mirrored, except requests of the monitoring host.
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

    /// A TCP segment with 20 bytes of payload: 74 bytes.
    fn tcp(from: [u8; 4], to: [u8; 4], to_port: u16) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0]);
        frame.extend(from);
        frame.extend(to);
        frame.extend([0xc0, 0]);
        frame.extend(to_port.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
        frame.extend([b'x'; 20]);
        frame
    }

    #[test]
    fn http_is_mirrored_truncated_with_the_virtual_network_id() {
        let (table, sent) = (table(), tcp(CLIENT, SERVER, 80));
        let collected = mirror(&table, FrameSource::new([&sent])).unwrap();

        let [copy] = &collected.mirrored[..] else { panic!("{collected:?}") };
        assert_eq!(copy.inner, sent[..54]);
        assert_eq!(copy.outer[36..38], 4789_u16.to_be_bytes(), "UDP destination port");
        assert_eq!(copy.outer[46..49], [0, 0, 42], "VXLAN network identifier");
        assert_eq!(table.sessions()[0].id.as_str(), "tms-http");
        assert_eq!(table.sessions()[0].filter.all_rules()[1].number().value(), 20);
        assert_eq!((copy.session, copy.rule), (0, 1));
    }

    #[test]
    fn traffic_that_no_rule_accepts_is_not_mirrored_with_a_reason() {
        let stranger = tcp(CLIENT, MONITORING, 80);
        let sent = [tcp(MONITORING, SERVER, 80), tcp(CLIENT, SERVER, 22), stranger];
        let collected = mirror(&table(), FrameSource::new(sent)).unwrap();

        assert!(collected.mirrored.is_empty());
        let reasons: Vec<_> = collected.not_mirrored.iter().map(|left| left.reason).collect();
        let (no_session, no_interface) =
            (NotMirrored::NoSessionMatched, NotMirrored::NoNetworkInterface);
        assert_eq!(reasons, [no_session, no_session, no_interface]);
    }

    #[test]
    fn responses_are_not_mirrored_without_an_egress_rule() {
        let collected = mirror(&table(), FrameSource::new([tcp(SERVER, CLIENT, 80)])).unwrap();
        assert_eq!(collected.reasons_for(0).collect::<Vec<_>>(), [NotMirrored::NoSessionMatched]);
    }
}
