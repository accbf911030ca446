//! Several files that are read as one, duplicates, and invalid files.

use traffic_mirror::control::config::{Text, read_texts};

use crate::{EXAMPLE_CONFIG, error_lines, read_toml, warning_lines};

#[test]
fn all_errors_of_all_files_are_reported_together() {
    let first = "\
[[network_interface]]
network_interface_id = \"web\"
mac_address = \"nonsense\"

[[traffic_mirror_session]]
network_interface_id = \"wbe\"
traffic_mirror_target_id = \"collector\"
traffic_mirror_filter_id = \"all\"
session_number = 40000
packet_length = 9000
";
    let second = "\
[[traffic_mirror_target]]
traffic_mirror_target_id = \"collector\"
mtu = 1

[[traffic_mirror_filter]]
traffic_mirror_filter_id = \"al\"
[[traffic_mirror_filter.rule]]
traffic_direction = \"in\"
rule_number = 1
rule_action = \"accept\"
source_cidr_block = \"::/0\"
destination_cidr_block = \"0.0.0.0/0\"
colour = \"red\"
";
    let third = r#"{"TrafficMirrorTargets": [{"TrafficMirrorTargetId": 7, "Type": []}]}"#;
    let outcome = read_texts(&[
        Text::new("a.toml", first),
        Text::new("b.toml", second),
        Text::new("c.json", third),
    ]);
    assert_eq!(
        error_lines(&outcome),
        "\
a.toml:3:15: mac_address `nonsense`: expected six bytes in hexadecimal such as 02:29:23:74:c7:7d
a.toml:6:24: network_interface_id `wbe`: expected the id of a network interface: `web`
a.toml:8:28: traffic_mirror_filter_id `all`: expected the id of a filter: `al`
a.toml:9:18: session_number `40000`: expected a number from 1 to 32766
a.toml:10:17: packet_length `9000`: expected a number from 1 to 8500
b.toml:1:1: address is missing: expected an address such as 192.0.2.10, or a network_interface_id
b.toml:3:7: mtu `1`: expected a number from 68 to 65535
b.toml:8:21: traffic_direction `in`: expected ingress or egress
b.toml:12:26: destination_cidr_block `0.0.0.0/0`: expected an IPv6 block, as source_cidr_block is ::/0
b.toml:13:1: unknown key `colour`: expected one of traffic_mirror_filter_rule_id, traffic_direction, rule_number, rule_action, protocol, source_cidr_block, destination_cidr_block, source_port_range, destination_port_range, description, tags
c.json:1:53: TrafficMirrorTargetId `7`: expected a string, got a number"
    );
}

#[test]
fn several_files_form_one_configuration() {
    let (interfaces, rest) = EXAMPLE_CONFIG.split_once("[[traffic_mirror_target]]").unwrap();
    let rest = format!("[[traffic_mirror_target]]{rest}");
    let parts = [Text::new("rest.toml", &rest), Text::new("interfaces.toml", interfaces)];
    let outcome = read_texts(&parts);
    assert_eq!(warning_lines(&outcome), "");
    assert_eq!(outcome.registry, read_toml(EXAMPLE_CONFIG).registry);
}

#[test]
fn a_duplicate_is_an_error_with_the_first_location() {
    let twice = [Text::new("a.toml", EXAMPLE_CONFIG), Text::new("b.toml", EXAMPLE_CONFIG)];
    let errors = error_lines(&read_texts(&twice));
    let before = "but it is already given in a.toml";
    assert_eq!(
        errors,
        format!(
            "\
b.toml:2:18: aws_exclusions `true`: expected one value in all files, {before}:2
b.toml:3:26: vpc_resolver_addresses `[...]`: expected one value in all files, {before}:3
b.toml:6:24: network_interface_id `eni-0a1b2c3d4e5f60718`: expected an id that no other network interface has, {before}:6
b.toml:12:28: traffic_mirror_target_id `tmt-0a1b2c3d4e5f60718`: expected an id that no other target has, {before}:12
b.toml:18:28: traffic_mirror_filter_id `tmf-0a1b2c3d4e5f60718`: expected an id that no other filter has, {before}:18
b.toml:33:29: traffic_mirror_session_id `tms-0a1b2c3d4e5f60718`: expected an id that no other session has, {before}:33"
        )
    );
}

#[test]
fn a_duplicate_session_number_on_an_interface_is_an_error() {
    let again = "
[[traffic_mirror_session]]
network_interface_id = \"eni-0a1b2c3d4e5f60718\"
traffic_mirror_target_id = \"tmt-0a1b2c3d4e5f60718\"
traffic_mirror_filter_id = \"tmf-0a1b2c3d4e5f60718\"
session_number = 1
";
    assert_eq!(
        error_lines(&read_toml(&format!("{EXAMPLE_CONFIG}{again}"))),
        "m.toml:47:18: session_number `1`: expected a number that no other session of \
         `eni-0a1b2c3d4e5f60718` has, but it is already given in m.toml:37"
    );
}

#[test]
fn a_duplicate_rule_number_in_a_direction_is_an_error() {
    let rule = |direction: &str| {
        format!(
            "[[traffic_mirror_filter.rule]]\ntraffic_direction = \"{direction}\"\nrule_number = 7\n\
             rule_action = \"accept\"\nsource_cidr_block = \"::/0\"\n\
             destination_cidr_block = \"::/0\"\n"
        )
    };
    let filter = "[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"f\"\n";
    let (ingress, egress) = (rule("ingress"), rule("egress"));
    assert_eq!(error_lines(&read_toml(&format!("{filter}{ingress}{egress}"))), "");
    assert_eq!(
        error_lines(&read_toml(&format!("{filter}{egress}{ingress}{egress}"))),
        "m.toml:17:15: rule_number `7`: expected a number that no other egress rule has, \
         but it is already given in m.toml:5"
    );
}

#[test]
fn a_duplicate_rule_id_is_an_error_in_all_filters_of_all_files() {
    let rule = |number: u16| {
        format!(
            "[[traffic_mirror_filter.rule]]\ntraffic_mirror_filter_rule_id = \"r\"\n\
             traffic_direction = \"ingress\"\nrule_number = {number}\nrule_action = \"accept\"\n\
             source_cidr_block = \"::/0\"\ndestination_cidr_block = \"::/0\"\n"
        )
    };
    let filter = |id: &str| {
        format!("[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"{id}\"\n{}", rule(1))
    };
    let (first, second) = (filter("f") + &rule(2), filter("g"));
    let outcome = read_texts(&[Text::new("a.toml", &first), Text::new("b.toml", &second)]);
    let expected = "traffic_mirror_filter_rule_id `r`: expected an id that no other rule has, \
                    but it is already given in a.toml:4";
    assert_eq!(error_lines(&outcome), format!("a.toml:11:33: {expected}\nb.toml:4:33: {expected}"));
}

#[test]
fn an_interface_as_source_and_target_of_a_session_is_an_error() {
    let text = EXAMPLE_CONFIG.replace("eni-0f", "eni-0a1b2c3d4e5f60718");
    assert_eq!(
        error_lines(&read_toml(&text)),
        "m.toml:34:24: network_interface_id `eni-0a1b2c3d4e5f60718`: expected an interface that \
         is not a target, but target `tmt-0a1b2c3d4e5f60718` uses it"
    );
}

#[test]
fn a_syntax_error_causes_no_follow_up_errors() {
    let text = EXAMPLE_CONFIG
        .replace("address = \"192.0.2.10\"", "address = \"192.0.2.10")
        .replace("packet_length = 128", "packet_length = 9000\ndevice == 1");
    assert_eq!(
        error_lines(&read_toml(&text)),
        "m.toml:13:22: invalid TOML: invalid basic string, expected `\"`\n\
         m.toml:38:17: packet_length `9000`: expected a number from 1 to 8500\n\
         m.toml:39:9: invalid TOML: extra `=`, expected nothing"
    );
}

#[test]
fn a_file_with_a_syntax_error_causes_no_reference_errors_in_others() {
    let (interfaces, rest) = EXAMPLE_CONFIG.split_once("[[traffic_mirror_target]]").unwrap();
    let rest = format!("[[traffic_mirror_target]]{rest}");
    let broken = interfaces.replace("[[network_interface]]", "[[network_interface]");
    let outcome = read_texts(&[Text::new("a.toml", &broken), Text::new("b.toml", &rest)]);
    assert_eq!(
        error_lines(&outcome),
        "a.toml:5:21: invalid TOML: unclosed array table, expected `]`"
    );
}

#[test]
fn byte_order_marks_and_carriage_returns_are_accepted() {
    let text = format!("\u{feff}{}", EXAMPLE_CONFIG.replace('\n', "\r\n"));
    assert_eq!(read_toml(&text).registry, read_toml(EXAMPLE_CONFIG).registry);
    let text = text.replace("packet_length = 128", "packet_length = 0");
    assert_eq!(
        error_lines(&read_toml(&text)),
        "m.toml:38:17: packet_length `0`: expected a number from 1 to 8500"
    );
}

#[test]
fn an_unclosed_string_does_not_hide_errors_in_another_file() {
    let outcome = read_texts(&[
        Text::new("a.json", "{\"NetworkInterfaces\": ["),
        Text::new(
            "b.toml",
            "[[traffic_mirror_session]]\nsession_number = 0\nnetwork_interface_id = 'x'",
        ),
    ]);
    assert_eq!(
        error_lines(&outcome),
        "a.json:1:23: invalid JSON: unterminated array\n\
         b.toml:1:1: traffic_mirror_target_id is missing: expected the id of a target\n\
         b.toml:1:1: traffic_mirror_filter_id is missing: expected the id of a filter\n\
         b.toml:2:18: session_number `0`: expected a number from 1 to 32766"
    );
}

#[test]
fn an_empty_configuration_is_valid() {
    let outcome = read_texts(&[]);
    assert_eq!(warning_lines(&outcome), "");
    assert_eq!(
        warning_lines(&read_toml("")),
        "m.toml:1:1: there is no session, so nothing is mirrored"
    );
}
