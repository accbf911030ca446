//! Recognises traffic that AWS never mirrors, and DNS with the VPC resolver.
//!
//! "The following traffic types cannot be mirrored: ARP, DHCP, instance metadata service, NTP,
//! Windows activation" is AWS's list. ARP is not IP and is rejected by the parser. NTP means only
//! the link-local time service, because real copies of AWS contain NTP with public servers.

use std::net::IpAddr;

use super::flow_key::{FlowKey, Ipv4Key};
use crate::model::Settings;

pub(super) const DNS: u16 = 53;
/// The first of two ports: 67 and 68.
pub(super) const DHCP: u16 = 67;
/// The first of two ports: 546 and 547.
pub(super) const DHCPV6: u16 = 546;
pub(super) const WINDOWS_ACTIVATION: u16 = 1688;
pub(super) const TCP: u16 = 6;
pub(super) const UDP: u16 = 17;

pub(super) const LINK_LOCAL_SERVICES: [u8; 3] = [169, 254, 169];
pub(super) const METADATA: u8 = 254;
pub(super) const RESOLVER: u8 = 253;
pub(super) const TIME: u8 = 123;
pub(super) const ACTIVATION: [u8; 2] = [250, 251];

/// The first half of `fd00:ec2::`.
pub(super) const SERVICES_V6: [u8; 8] = [0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0];
pub(super) const METADATA_V6: [u8; 8] = [0, 0, 0, 0, 0, 0, 0x02, 0x54];
pub(super) const RESOLVER_V6: [u8; 8] = [0, 0, 0, 0, 0, 0, 0x02, 0x53];
pub(super) const TIME_V6: [u8; 8] = [0, 0, 0, 0, 0, 0, 0x01, 0x23];

/// The AWS service that a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrafficClass {
    /// No service: the rules decide.
    Ordinary,
    /// A service whose traffic is never mirrored, unless the exclusions are disabled.
    Excluded,
    /// The VPC resolver, on port 53.
    AmazonDns,
}

/// Classifies packets by address and port.
#[derive(Debug)]
pub(super) struct AwsExclusions {
    /// Whether the exclusions are enabled.
    pub(super) enabled: bool,
    resolvers: Vec<([u8; 16], bool)>,
}

impl AwsExclusions {
    pub(super) fn new(settings: &Settings) -> Self {
        let resolvers = settings.vpc_resolver_addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => {
                let mut half = [0; 16];
                if let Some(start) = half.first_chunk_mut() {
                    *start = v4.octets();
                }
                (half, true)
            }
            IpAddr::V6(v6) => (v6.octets(), false),
        });
        Self { enabled: settings.aws_exclusions, resolvers: resolvers.collect() }
    }

    /// The class of a packet. Nearly all packets are ordinary, which a few comparisons prove.
    #[inline]
    pub(super) fn traffic_class(&self, key: &FlowKey) -> TrafficClass {
        if self.may_be_service(key) { self.classify_service(key) } else { TrafficClass::Ordinary }
    }

    /// Whether a packet may belong to a service; false for nearly all packets.
    #[inline(always)]
    pub(super) fn may_be_service(&self, key: &FlowKey) -> bool {
        let near = is_service_address(key.source_half(), key.is_ipv4)
            | is_service_address(key.destination_half(), key.is_ipv4);
        near || is_dhcp(key) || self.may_be_dns(key)
    }

    /// The same for a packet of IPv4 with ports, without branches.
    #[inline(always)]
    pub(super) fn may_be_ipv4_service(&self, key: Ipv4Key) -> bool {
        let [a, b, c] = LINK_LOCAL_SERVICES;
        let services = u32::from_be_bytes([0, a, b, c]);
        let dhcp = (key.protocol == UDP) & (key.destination_port.wrapping_sub(DHCP) < 2);
        let dns = (key.source_port == DNS) | (key.destination_port == DNS);
        (key.source >> 8 == services)
            | (key.destination >> 8 == services)
            | dhcp
            | (dns & !self.resolvers.is_empty())
    }

    /// Whether a packet may be DNS with a configured resolver. The resolver's link-local addresses
    /// are service addresses and need no test here.
    #[inline]
    fn may_be_dns(&self, key: &FlowKey) -> bool {
        !self.resolvers.is_empty() && (key.source_port == DNS || key.destination_port == DNS)
    }

    #[cold]
    fn classify_service(&self, key: &FlowKey) -> TrafficClass {
        if self.enabled && (is_dhcp(key) || talks_to_excluded_address(key)) {
            return TrafficClass::Excluded;
        }
        let (source, destination) = (key.source_half(), key.destination_half());
        let queries = key.destination_port == DNS && self.is_resolver(destination, key.is_ipv4);
        let answers = key.source_port == DNS && self.is_resolver(source, key.is_ipv4);
        // Without ports both port numbers are zero.
        if queries || answers { TrafficClass::AmazonDns } else { TrafficClass::Ordinary }
    }

    fn is_resolver(&self, half: [u8; 16], is_ipv4: bool) -> bool {
        let own = match link_local_service(half, is_ipv4) {
            Some(Ok(host)) => host == RESOLVER,
            Some(Err(host)) => host == RESOLVER_V6,
            None => false,
        };
        own || self.resolvers.contains(&(half, is_ipv4))
    }
}

/// Whether an address is in a range of AWS's services.
#[inline]
fn is_service_address(half: [u8; 16], is_ipv4: bool) -> bool {
    let [a, b, c, _, ..] = half;
    if is_ipv4 {
        [a, b, c] == LINK_LOCAL_SERVICES
    } else {
        half.first_chunk() == Some(&SERVICES_V6)
    }
}

/// The host part of an address of AWS's services: `Ok` for IPv4, `Err` for IPv6.
fn link_local_service(half: [u8; 16], is_ipv4: bool) -> Option<Result<u8, [u8; 8]>> {
    if is_ipv4 {
        let [a, b, c, host, ..] = half;
        ([a, b, c] == LINK_LOCAL_SERVICES).then_some(Ok(host))
    } else {
        let host = half.last_chunk().copied()?;
        half.starts_with(&SERVICES_V6).then_some(Err(host))
    }
}

/// Whether a packet is DHCP by its destination port: RFC 2131, section 4.1, and RFC 8415, section
/// 7.2, define the port on which each side listens.
#[inline]
fn is_dhcp(key: &FlowKey) -> bool {
    let first = if key.is_ipv4 { DHCP } else { DHCPV6 };
    key.protocol == UDP && key.has_ports && key.destination_port.wrapping_sub(first) < 2
}

fn talks_to_excluded_address(key: &FlowKey) -> bool {
    let ends =
        [(key.source_half(), key.source_port), (key.destination_half(), key.destination_port)];
    ends.into_iter().any(|(half, port)| match link_local_service(half, key.is_ipv4) {
        Some(Ok(METADATA | TIME)) => true,
        Some(Ok(host)) => {
            let activation = key.protocol == TCP && port == WINDOWS_ACTIVATION;
            activation && ACTIVATION.contains(&host)
        }
        Some(Err(host)) => host == METADATA_V6 || host == TIME_V6,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &str, destination: &str, protocol: u16, ports: (u16, u16)) -> FlowKey {
        let mut addresses = [0; 32];
        let mut is_ipv4 = true;
        for (place, text) in [(0, source), (16, destination)] {
            match text.parse().unwrap() {
                IpAddr::V4(v4) => addresses[place..place + 4].copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => {
                    is_ipv4 = false;
                    addresses[place..place + 16].copy_from_slice(&v6.octets());
                }
            }
        }
        let (source_port, destination_port) = ports;
        FlowKey { addresses, source_port, destination_port, protocol, has_ports: true, is_ipv4 }
    }

    fn service(source: &str, destination: &str, protocol: u16, ports: (u16, u16)) -> TrafficClass {
        let settings = Settings {
            aws_exclusions: true,
            vpc_resolver_addresses: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
        };
        AwsExclusions::new(&settings).traffic_class(&key(source, destination, protocol, ports))
    }

    #[test]
    fn traffic_that_aws_excludes_is_excluded() {
        for (source, destination, protocol, ports) in [
            ("0.0.0.0", "255.255.255.255", 17, (68, 67)),
            ("10.0.0.1", "10.0.0.5", 17, (67, 68)),
            ("fe80::1", "ff02::1:2", 17, (546, 547)),
            ("10.0.0.5", "169.254.169.254", 6, (40_000, 80)),
            ("169.254.169.254", "10.0.0.5", 6, (80, 40_000)),
            ("fd00::5", "fd00:ec2::254", 6, (40_000, 80)),
            ("10.0.0.5", "169.254.169.123", 17, (123, 123)),
            ("fd00:ec2::123", "fd00::5", 17, (123, 123)),
            ("10.0.0.5", "169.254.169.250", 6, (40_000, 1688)),
            ("169.254.169.251", "10.0.0.5", 6, (1688, 40_000)),
        ] {
            let found = service(source, destination, protocol, ports);
            assert_eq!(found, TrafficClass::Excluded, "{source} {destination} {ports:?}");
        }
    }

    #[test]
    fn dns_of_the_vpc_resolver_is_recognised() {
        for (source, destination, ports) in [
            ("10.0.0.5", "169.254.169.253", (40_000, 53)),
            ("10.0.0.5", "10.0.0.2", (40_000, 53)),
            ("10.0.0.2", "10.0.0.5", (53, 40_000)),
            ("fd00::5", "fd00:ec2::253", (40_000, 53)),
            ("fd00::2", "fd00::5", (53, 40_000)),
        ] {
            assert_eq!(service(source, destination, 17, ports), TrafficClass::AmazonDns);
            assert_eq!(service(source, destination, 6, ports), TrafficClass::AmazonDns);
        }
    }

    #[test]
    fn other_traffic_is_not_excluded() {
        for (source, destination, protocol, ports) in [
            ("10.0.0.5", "9.9.9.9", 17, (40_000, 53)),
            ("10.0.0.5", "10.0.0.2", 17, (53, 40_000)),
            ("10.0.0.5", "10.0.0.2", 6, (40_000, 443)),
            ("10.0.0.5", "78.46.93.39", 17, (123, 123)),
            ("10.0.0.5", "169.254.169.250", 6, (40_000, 80)),
            ("10.0.0.5", "169.254.169.250", 17, (40_000, 1688)),
            ("10.0.0.5", "10.0.0.9", 6, (40_000, 67)),
            ("10.0.0.5", "10.0.0.9", 17, (40_000, 547)),
            ("fe80::1", "ff02::1:2", 17, (40_000, 67)),
            ("fd00::5", "fd00:ec2::1", 6, (40_000, 80)),
            ("fd00::5", "fd00:ec2:0:1::254", 6, (40_000, 80)),
        ] {
            let found = service(source, destination, protocol, ports);
            assert_eq!(found, TrafficClass::Ordinary, "{source} {destination} {ports:?}");
        }
    }
}
