//! The addresses that the user assigns to network interfaces, load balancers and endpoints by
//! options of the program.
//!
//! The ARN of a load balancer ends in a random id that is unknown until the load balancer is
//! created. Therefore the user may also give its name, the end `net/NAME/ID` of its ARN, or a
//! pattern with wildcards.

use std::net::{IpAddr, SocketAddr};

use crate::model::TargetKind;

/// Separates the parts of a pattern. It stands for any number of characters.
const WILDCARD: char = '*';

/// The addresses of the options, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct AssignedAddresses {
    assigned: Vec<(TargetKind, Vec<SocketAddr>)>,
    /// The address of all other targets. The port depends on the kind of the target if absent.
    default: Option<(IpAddr, Option<u16>)>,
}

impl AssignedAddresses {
    pub(super) fn assign(&mut self, pattern: TargetKind, addresses: Vec<SocketAddr>) {
        self.assigned.push((pattern, addresses));
    }

    pub(super) const fn set_default(&mut self, address: IpAddr, port: Option<u16>) {
        self.default = Some((address, port));
    }

    pub(super) fn has(&self, pattern: &TargetKind) -> bool {
        self.assigned.iter().any(|(known, _)| known == pattern)
    }

    /// The addresses of a resource. A name without wildcards precedes patterns, and a pattern
    /// precedes later ones.
    pub(super) fn of(&self, kind: &TargetKind) -> Option<&[SocketAddr]> {
        let exact = |pattern: &str| !pattern.contains(WILDCARD);
        let find = |wanted: &dyn Fn(&str) -> bool| {
            let mut assigned = self.assigned.iter();
            assigned.find(|(pattern, _)| is_match(pattern, kind, wanted))
        };
        let found = find(&exact).or_else(|| find(&|_| true));
        found.map(|(_, addresses)| &**addresses)
    }

    /// The address of targets that have no other.
    pub(super) fn default_for(&self, kind: &TargetKind) -> Option<SocketAddr> {
        let (address, port) = self.default?;
        Some(SocketAddr::new(address, port.unwrap_or_else(|| kind.default_port())))
    }
}

/// Whether a pattern that is `wanted` names a resource of the same kind.
fn is_match(pattern: &TargetKind, kind: &TargetKind, wanted: &dyn Fn(&str) -> bool) -> bool {
    match (pattern, kind) {
        (TargetKind::NetworkLoadBalancer(pattern), TargetKind::NetworkLoadBalancer(arn)) => {
            wanted(pattern) && load_balancer_names(arn).any(|name| matches(pattern, name))
        }
        (
            TargetKind::GatewayLoadBalancerEndpoint(pattern),
            TargetKind::GatewayLoadBalancerEndpoint(id),
        ) => wanted(pattern) && matches(pattern, id),
        (TargetKind::NetworkInterface(pattern), TargetKind::NetworkInterface(id)) => pattern == id,
        _ => false,
    }
}

/// The ARN of a load balancer, its end `net/NAME/ID`, and `NAME`.
fn load_balancer_names(arn: &str) -> impl Iterator<Item = &str> {
    let resource = arn.split_once(":loadbalancer/").map(|(_, resource)| resource);
    let name = resource.and_then(|resource| resource.split('/').nth(1));
    [Some(arn), resource, name].into_iter().flatten()
}

/// Whether a name matches a pattern, in which each `*` stands for any number of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once(WILDCARD) else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut parts = tail.split(WILDCARD).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/ids/0123456789abcdef";

    fn assigned(patterns: &[&str]) -> AssignedAddresses {
        let mut addresses = AssignedAddresses::default();
        for (last, pattern) in (1..).zip(patterns) {
            let kind = TargetKind::NetworkLoadBalancer((*pattern).to_owned());
            addresses.assign(kind, vec![([192, 0, 2, last], 4789).into()]);
        }
        addresses
    }

    /// The last byte of the address of the load balancer.
    fn found(patterns: &[&str]) -> Option<u8> {
        let addresses = assigned(patterns);
        let found = addresses.of(&TargetKind::NetworkLoadBalancer(ARN.to_owned()))?;
        let IpAddr::V4(address) = found[0].ip() else { return None };
        Some(address.octets()[3])
    }

    #[test]
    fn a_load_balancer_is_found_by_arn_end_name_and_pattern() {
        for pattern in [
            ARN,
            "net/ids/0123456789abcdef",
            "ids",
            "net/ids/*",
            "*",
            "*:loadbalancer/*/ids/*",
            "i*s",
        ] {
            assert_eq!(found(&[pattern]), Some(1), "{pattern}");
        }
        for pattern in
            ["", "id", "net/ids", "net/id/*", "*x", "net/ids/*0", "ids*s", "0123456789abcdef"]
        {
            assert_eq!(found(&[pattern]), None, "{pattern}");
        }
    }

    #[test]
    fn a_name_precedes_patterns_and_a_pattern_later_ones() {
        assert_eq!(found(&["*", "net/*", "ids", "web"]), Some(3));
        assert_eq!(found(&["web-*", "net/*", "*"]), Some(2));
    }

    #[test]
    fn an_option_applies_to_one_kind_of_resource() {
        let all = assigned(&["*"]);
        let endpoint = TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned());
        assert_eq!(all.of(&endpoint), None);
        assert_eq!(all.of(&TargetKind::Address), None);
    }

    #[test]
    fn the_port_of_the_default_address_depends_on_the_kind_of_the_target() {
        let mut addresses = AssignedAddresses::default();
        let endpoint = TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned());
        assert_eq!(addresses.default_for(&endpoint), None);
        addresses.set_default([192, 0, 2, 1].into(), None);
        assert_eq!(addresses.default_for(&endpoint), Some(([192, 0, 2, 1], 6081).into()));
        assert_eq!(
            addresses.default_for(&TargetKind::Address),
            Some(([192, 0, 2, 1], 4789).into())
        );
        addresses.set_default([192, 0, 2, 1].into(), Some(7));
        assert_eq!(addresses.default_for(&endpoint), Some(([192, 0, 2, 1], 7).into()));
    }
}
