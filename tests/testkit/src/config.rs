//! Configuration files (TOML) for tests, one function for each resource.

/// A network interface with these further `fields`, one per line.
pub fn network_interface(id: &str, fields: &str) -> String {
    format!("[[network_interface]]\nnetwork_interface_id = \"{id}\"\n{fields}\n")
}

/// A target with this address.
pub fn target(id: &str, address: &str) -> String {
    format!(
        "[[traffic_mirror_target]]\ntraffic_mirror_target_id = \"{id}\"\naddress = \"{address}\"\n"
    )
}

/// A filter that accepts all IPv4 packets in these directions (`ingress`, `egress`).
pub fn filter(id: &str, directions: &[&str]) -> String {
    let rules = directions.iter().map(|direction| accept_rule(direction, 100));
    format!(
        "[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"{id}\"\n{}",
        rules.collect::<String>()
    )
}

/// A rule of the last filter that accepts all IPv4 packets in this direction. The fields that
/// follow in the text belong to it.
pub fn accept_rule(direction: &str, number: u16) -> String {
    format!(
        "[[traffic_mirror_filter.rule]]\ntraffic_direction = \"{direction}\"\n\
         rule_number = {number}\nrule_action = \"accept\"\nsource_cidr_block = \"0.0.0.0/0\"\n\
         destination_cidr_block = \"0.0.0.0/0\"\n"
    )
}

/// A session of an interface with a target and a filter. The fields that follow in the text belong
/// to it.
pub fn session(number: usize, interface: &str, target: &str, filter: &str) -> String {
    format!(
        "[[traffic_mirror_session]]\nnetwork_interface_id = \"{interface}\"\n\
         traffic_mirror_target_id = \"{target}\"\ntraffic_mirror_filter_id = \"{filter}\"\n\
         session_number = {number}\n"
    )
}

/// Session 1 of the interface `eni-1` with the target `tmt-1` and the filter `tmf-1`, which accepts
/// all IPv4 packets in these directions. The fields that follow in the text belong to the session.
pub fn one_session(interface_fields: &str, target_address: &str, directions: &[&str]) -> String {
    [
        network_interface("eni-1", interface_fields),
        target("tmt-1", target_address),
        filter("tmf-1", directions),
        session(1, "eni-1", "tmt-1", "tmf-1"),
    ]
    .concat()
}
