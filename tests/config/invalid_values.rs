//! Invalid values and their error messages.

/// Header, line, complaint about its value.
pub(crate) const INVALID_VALUES: &[(&str, &str, &str)] = &[
    ("settings", "aws_exclusions = \"no\"", "`no`: expected true or false, got a string"),
    ("settings", "aws_exclusions = 1", "`1`: expected true or false, got a number"),
    (
        "settings",
        "vpc_resolver_addresses = \"10.0.0.2\"",
        "`10.0.0.2`: expected a list of strings, got a string",
    ),
    ("network_interface", "network_interface_id = 5", "`5`: expected a string, got a number"),
    (
        "network_interface",
        "network_interface_id = \" \"",
        "` `: expected a name that is not empty, such as eni-web",
    ),
    (
        "network_interface",
        "device = \"averylongdevicename\"",
        "`averylongdevicename`: expected the name of a Linux interface such as eth0",
    ),
    (
        "network_interface",
        "device = \"a/b\"",
        "`a/b`: expected the name of a Linux interface such as eth0",
    ),
    ("network_interface", "device = []", "`[...]`: expected a string, got a list"),
    (
        "network_interface",
        "mac_address = \"02:29:23:74:c7\"",
        "`02:29:23:74:c7`: expected six bytes in hexadecimal such as 02:29:23:74:c7:7d",
    ),
    (
        "network_interface",
        "mac_address = \"ff:ff:ff:ff:ff:ff\"",
        "`ff:ff:ff:ff:ff:ff`: expected an address of one interface, not of a group",
    ),
    ("network_interface", "mac_address = 2", "`2`: expected a string, got a number"),
    (
        "network_interface",
        "private_ip_addresses = { a = 1 }",
        "`{...}`: expected a list of strings, got a table",
    ),
    (
        "network_interface",
        "description = 1979-05-27",
        "`1979-05-27`: expected a string, got a date or time",
    ),
    ("network_interface", "tags = [\"a\"]", "`[...]`: expected a table, got a list"),
    (
        "traffic_mirror_target",
        "traffic_mirror_target_id = true",
        "`true`: expected a string, got true or false",
    ),
    (
        "traffic_mirror_target",
        "address = \"collector.example\"",
        "`collector.example`: expected an address such as 192.0.2.10, 192.0.2.10:4789 or [2001:db8::1]:4789",
    ),
    (
        "traffic_mirror_target",
        "address = \"192.0.2.1:0\"",
        "`192.0.2.1:0`: expected a port from 1 to 65535",
    ),
    (
        "traffic_mirror_target",
        "address = \"0.0.0.0\"",
        "`0.0.0.0`: expected the address of a collector, not the unspecified address",
    ),
    ("traffic_mirror_target", "address = 192", "`192`: expected a string, got a number"),
    ("traffic_mirror_target", "mtu = 67", "`67`: expected a number from 68 to 65535"),
    ("traffic_mirror_target", "mtu = \"1500\"", "`1500`: expected a number, got a string"),
    (
        "traffic_mirror_target",
        "network_interface_id = \"\"",
        "``: expected a name that is not empty, such as eni-web",
    ),
    (
        "traffic_mirror_filter",
        "traffic_mirror_filter_id = []",
        "`[...]`: expected a string, got a list",
    ),
    (
        "traffic_mirror_filter",
        "network_services = true",
        "`true`: expected a list of strings, got true or false",
    ),
    (
        "traffic_mirror_filter.rule",
        "traffic_mirror_filter_rule_id = \"\"",
        "``: expected a name that is not empty, such as tmfr-web",
    ),
    (
        "traffic_mirror_filter.rule",
        "traffic_direction = \"inbound\"",
        "`inbound`: expected ingress or egress",
    ),
    ("traffic_mirror_filter.rule", "traffic_direction = 1", "`1`: expected a string, got a number"),
    ("traffic_mirror_filter.rule", "rule_number = 0", "`0`: expected a number from 1 to 32766"),
    ("traffic_mirror_filter.rule", "rule_number = 1.5", "`1.5`: expected a whole number"),
    ("traffic_mirror_filter.rule", "rule_action = \"drop\"", "`drop`: expected accept or reject"),
    (
        "traffic_mirror_filter.rule",
        "protocol = 256",
        "`256`: expected an IANA number from 0 to 255, or nothing for all protocols",
    ),
    (
        "traffic_mirror_filter.rule",
        "protocol = -1",
        "`-1`: expected an IANA number from 0 to 255, or nothing for all protocols",
    ),
    (
        "traffic_mirror_filter.rule",
        "protocol = \"tpc\"",
        "`tpc`: expected a number from 0 to 255, or one of hopopt, icmp, igmp, tcp, udp, gre, esp, ah, icmpv6, sctp",
    ),
    (
        "traffic_mirror_filter.rule",
        "source_cidr_block = \"0.0.0.0\"",
        "`0.0.0.0`: expected a CIDR block such as 10.0.0.0/8 or 2001:db8::/32",
    ),
    (
        "traffic_mirror_filter.rule",
        "destination_cidr_block = \"10.0.0.0/33\"",
        "`10.0.0.0/33`: expected a CIDR block such as 10.0.0.0/8 or 2001:db8::/32",
    ),
    (
        "traffic_mirror_filter.rule",
        "destination_cidr_block = \"::/0\"",
        "`::/0`: expected an IPv4 block, as source_cidr_block is 0.0.0.0/0",
    ),
    (
        "traffic_mirror_filter.rule",
        "source_port_range = { from_port = 2, to_port = 1 }",
        "`2-1`: expected ports from 0 to 65535, from_port not above to_port",
    ),
    (
        "traffic_mirror_filter.rule",
        "source_port_range = 443",
        "`443`: expected a table, got a number",
    ),
    (
        "traffic_mirror_session",
        "traffic_mirror_session_id = \"\"",
        "``: expected a name that is not empty, such as tms-web",
    ),
    ("traffic_mirror_session", "session_number = 0", "`0`: expected a number from 1 to 32766"),
    (
        "traffic_mirror_session",
        "session_number = 32767",
        "`32767`: expected a number from 1 to 32766",
    ),
    ("traffic_mirror_session", "session_number = \"1\"", "`1`: expected a number, got a string"),
    ("traffic_mirror_session", "packet_length = 0", "`0`: expected a number from 1 to 8500"),
    ("traffic_mirror_session", "packet_length = 9000", "`9000`: expected a number from 1 to 8500"),
    (
        "traffic_mirror_session",
        "packet_length = 99999999999999999999",
        "`99999999999999999999`: expected a number from 1 to 8500",
    ),
    ("traffic_mirror_session", "packet_length = 1e3", "`1e3`: expected a whole number"),
    ("traffic_mirror_session", "packet_length = inf", "`inf`: expected a whole number"),
    (
        "traffic_mirror_session",
        "virtual_network_id = 16777216",
        "`16777216`: expected a number from 0 to 16777215",
    ),
    (
        "traffic_mirror_session",
        "virtual_network_id = -1",
        "`-1`: expected a number from 0 to 16777215",
    ),
    ("traffic_mirror_session", "description = 5", "`5`: expected a string, got a number"),
    (
        "traffic_mirror_session",
        "network_interface_id = \"eni-x\"",
        "`eni-x`: expected the id of a network interface: `eni-0a1b2c3d4e5f60718`",
    ),
    (
        "traffic_mirror_session",
        "traffic_mirror_target_id = \"tmt-x\"",
        "`tmt-x`: expected the id of a target: `tmt-0a1b2c3d4e5f60718`",
    ),
    (
        "traffic_mirror_session",
        "traffic_mirror_filter_id = \"tmf-x\"",
        "`tmf-x`: expected the id of a filter: `tmf-0a1b2c3d4e5f60718`",
    ),
];
