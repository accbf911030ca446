//! Values that are accepted with a warning.

use crate::{EXAMPLE_CONFIG, read_toml, warning_lines};

#[test]
fn host_bits_are_cleared_as_ec2_does() {
    let text = EXAMPLE_CONFIG.replace("10.0.0.0/8", "10.1.2.3/8");
    let outcome = read_toml(&text);
    assert_eq!(
        warning_lines(&outcome),
        "m.toml:28:26: destination_cidr_block `10.1.2.3/8`: using 10.0.0.0/8: \
         host bits are cleared, as EC2 does"
    );
    let registry = outcome.registry.unwrap();
    assert_eq!(registry.filters()[0].all_rules()[0].destination().to_string(), "10.0.0.0/8");
}

/// Two mirrored interfaces; `more` has the fields of the second one.
fn two_interfaces(more: &str) -> String {
    format!(
        "{EXAMPLE_CONFIG}
[[network_interface]]
network_interface_id = \"db\"
{more}

[[traffic_mirror_session]]
network_interface_id = \"db\"
traffic_mirror_target_id = \"tmt-0a1b2c3d4e5f60718\"
traffic_mirror_filter_id = \"tmf-0a1b2c3d4e5f60718\"
session_number = 1
"
    )
}

#[test]
fn one_of_several_interfaces_without_addresses_is_a_warning() {
    assert_eq!(
        warning_lines(&read_toml(&two_interfaces(""))),
        "m.toml:43:1: the network interface `db` has neither mac_address nor \
         private_ip_addresses: no replayed frame is attributed to it\n\
         m.toml:47:1: the network interface `db` has no IPv4 source address for \
         copies to `tmt-0a1b2c3d4e5f60718`"
    );
    assert_eq!(warning_lines(&read_toml(&two_interfaces("device = \"eth1\""))), "");
    assert_eq!(
        warning_lines(&read_toml(&two_interfaces("private_ip_addresses = [\"2001:db8::5\"]"))),
        "m.toml:47:1: the network interface `db` has no IPv4 source address for \
         copies to `tmt-0a1b2c3d4e5f60718`"
    );
}

#[test]
fn two_interfaces_with_one_address_are_a_warning() {
    let text = two_interfaces("private_ip_addresses = [\"10.0.0.5\"]");
    assert_eq!(
        warning_lines(&read_toml(&text)),
        "m.toml:43:1: the network interfaces `eni-0a1b2c3d4e5f60718` and `db` both have 10.0.0.5: \
         a frame with this address belongs to both"
    );
}

#[test]
fn unused_resources_are_warnings() {
    let text = format!(
        "{EXAMPLE_CONFIG}
[[network_interface]]
network_interface_id = \"db\"
[[traffic_mirror_target]]
traffic_mirror_target_id = \"spare\"
address = \"192.0.2.99\"
[[traffic_mirror_filter]]
traffic_mirror_filter_id = \"none\"
"
    );
    assert_eq!(
        warning_lines(&read_toml(&text)),
        "m.toml:43:1: no session mirrors the network interface `db`\n\
         m.toml:45:1: no session uses the target `spare`\n\
         m.toml:48:1: no session uses the filter `none`"
    );
}

#[test]
fn a_filter_without_rules_is_a_warning() {
    let (before, rest) = EXAMPLE_CONFIG.split_once("[[traffic_mirror_filter.rule]]").unwrap();
    let (_, after) = rest.split_once("[[traffic_mirror_session]]").unwrap();
    let text = format!("{before}[[traffic_mirror_session]]{after}");
    assert_eq!(warning_lines(&read_toml(&text)), "");
    let text = text.replace("network_services = [\"amazon-dns\"]", "");
    assert_eq!(
        warning_lines(&read_toml(&text)),
        "m.toml:17:1: the filter `tmf-0a1b2c3d4e5f60718` has no rules: it mirrors nothing"
    );
}

#[test]
fn a_target_that_names_a_resource_without_an_address_is_a_warning() {
    for (name, parts) in [
        ("network_load_balancer_arn = \"arn:x\"", ["load balancer `arn:x`", "--load-balancer"]),
        (
            "gateway_load_balancer_endpoint_id = \"vpce-1\"",
            ["endpoint `vpce-1`", "--gwlb-endpoint"],
        ),
        (
            "network_interface_id = \"eni-x\"",
            ["interface `eni-x`", "[[network_interface]] `eni-x`"],
        ),
    ] {
        let text = EXAMPLE_CONFIG
            .replace("address = \"192.0.2.10\"\n", "")
            .replace("network_interface_id = \"eni-0f\"", name);
        let outcome = read_toml(&text);
        let warnings = warning_lines(&outcome);
        let line = warnings.lines().find(|line| line.contains("has no address")).unwrap();
        let target = "target `tmt-0a1b2c3d4e5f60718` has no address";
        for part in parts.into_iter().chain([target, "--default-target", "mirror:address"]) {
            assert!(line.contains(part), "{part}: {line}");
        }
        let (registry, warnings) = outcome.into_result().unwrap();
        let without: Vec<_> = registry.targets_without_address().map(|one| one.id()).collect();
        let reported = warnings.iter().filter_map(|one| one.target_without_address());
        assert_eq!(reported.collect::<Vec<_>>(), without);
        assert_eq!(without.len(), 1);
    }
    let text = EXAMPLE_CONFIG
        .replace("address = \"192.0.2.10\"\n", "")
        .replace("network_interface_id = \"eni-0f\"\n", "");
    assert!(read_toml(&text).into_result().is_err(), "a target that names nothing");
}
