//! Targets: the destinations of copies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{InvalidValue, Mtu, NetworkInterfaceId, Rate, Tags, TargetId};

/// The UDP port of VXLAN (RFC 7348, section 5: "4789").
pub const VXLAN_PORT: u16 = 4789;

/// The UDP port of GENEVE (RFC 8926, section 3.3: "6081").
pub const GENEVE_PORT: u16 = 6081;

/// The tag with the address of a target that has no other address: `IP[:port]`; for a load balancer
/// several addresses, separated by spaces.
pub const ADDRESS_TAG: &str = "mirror:address";

/// The largest number of addresses of a load balancer.
pub const MAX_ADDRESSES: usize = 64;

/// The kind of a target: one of AWS's three kinds, or only an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// Only an address.
    Address,
    /// A network interface, by its id.
    NetworkInterface(NetworkInterfaceId),
    /// A Network Load Balancer, by its ARN.
    NetworkLoadBalancer(String),
    /// A Gateway Load Balancer endpoint, by its id.
    GatewayLoadBalancerEndpoint(String),
}

impl TargetKind {
    /// The UDP port of an address without a port. Copies to a Gateway Load Balancer endpoint are
    /// VXLAN in GENEVE, as the appliance behind the endpoint receives them.
    #[must_use]
    pub const fn default_port(&self) -> u16 {
        match self {
            Self::GatewayLoadBalancerEndpoint(_) => GENEVE_PORT,
            _ => VXLAN_PORT,
        }
    }

    /// Whether it can have several addresses.
    #[must_use]
    pub const fn is_load_balancer(&self) -> bool {
        matches!(self, Self::NetworkLoadBalancer(_) | Self::GatewayLoadBalancerEndpoint(_))
    }
}

/// A receiver of copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    id: TargetId,
    /// The kind.
    pub kind: TargetKind,
    /// The address to which copies are sent; if absent, it is the address of the network interface
    /// that is the target.
    pub address: Option<SocketAddr>,
    /// Further addresses of a load balancer, of the same family. Flows are balanced over all
    /// addresses.
    pub further_addresses: Vec<SocketAddr>,
    /// The longest outer IP packet that reaches the target, in bytes.
    pub mtu: Option<Mtu>,
    /// The highest rate of copies to it in live mirroring; the excess is dropped.
    pub rate_limit: Option<Rate>,
    /// The description, if given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// Whether no copies may be sent to its address, so that the copies of its sessions are dropped.
    pub is_forbidden: bool,
    /// The addresses from sources other than its tags, from which `address` is chosen.
    pub sources: AddressSources,
}

/// The addresses of a target by source. An account chooses the address of a target from these, from
/// its tag [`ADDRESS_TAG`] and from the options of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSources {
    /// Pinned at run time. They precede all others.
    pub pinned: Vec<SocketAddr>,
    /// The addresses of a target of a configuration file.
    pub configured: Vec<SocketAddr>,
    /// Learned from another system. The tag, the configuration, options and the address of the
    /// network interface precede them.
    pub learned: Vec<SocketAddr>,
    /// The addresses of the earlier run that wrote the state, used while no other is known.
    pub last: Vec<SocketAddr>,
}

impl Target {
    /// A target at an address.
    #[must_use]
    pub fn at(id: TargetId, address: SocketAddr) -> Self {
        let mut target = Self::new(id, TargetKind::Address);
        target.address = Some(address);
        target
    }

    /// A target of some kind, without an address.
    #[must_use]
    pub fn new(id: TargetId, kind: TargetKind) -> Self {
        Self {
            id,
            kind,
            address: None,
            further_addresses: Vec::new(),
            mtu: None,
            rate_limit: None,
            description: None,
            tags: Tags::default(),
            is_forbidden: false,
            sources: AddressSources::default(),
        }
    }

    /// Sets the first address and the further addresses of a load balancer. The target is not
    /// forbidden any more.
    pub fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        let mut addresses = addresses.into_iter();
        self.address = addresses.next();
        self.further_addresses = addresses.collect();
        self.is_forbidden = false;
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &TargetId {
        &self.id
    }
}

/// The kind of an address that cannot be the address of one host; `None` if it can.
#[must_use]
pub fn non_host_address_kind(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    if address.is_unspecified() {
        return Some("the unspecified address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    (address == IpAddr::V4(Ipv4Addr::BROADCAST)).then_some("the broadcast address")
}

/// The IPv4 address to which a translator or relay forwards packets to an IPv6 address: NAT64
/// (64:ff9b::/96, RFC 6052), 6to4 (2002::/16, RFC 3056) and IPv4-compatible addresses (::/96, RFC
/// 4291, deprecated). Packets to such an address are sent as IPv6, unlike packets to an IPv4-mapped
/// address (::ffff:0:0/96).
#[must_use]
pub fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let ipv4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(ipv4(high, low)),
        [0x2002, high, low, ..] => Some(ipv4(high, low)),
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] => Some(ipv4(high, low)),
        _ => None,
    }
}

/// Parses the address of a target: `192.0.2.10`, `192.0.2.10:4789`, `2001:db8::1` or
/// `[2001:db8::1]:4789`. The port is `default_port` if omitted. An IPv4-mapped IPv6 address becomes
/// the IPv4 address.
///
/// # Errors
/// [`InvalidValue`] for anything else, for port 0, for an address that is not that of one host, and
/// for a zone as in `[fe80::1%2]:4789`: the routes choose the device.
pub fn parse_target_address(
    field: &'static str,
    text: &str,
    default_port: u16,
) -> Result<SocketAddr, InvalidValue> {
    if text.contains('%') {
        let expected = "an address without a zone (`%`): the routes choose the device";
        return Err(InvalidValue::new(field, text, expected));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, default_port),
        Err(_) => text.parse().map_err(|_| {
            let expected = "an address such as 192.0.2.10, 192.0.2.10:4789 or [2001:db8::1]:4789";
            InvalidValue::new(field, text, expected)
        })?,
    };
    if address.port() == 0 {
        return Err(InvalidValue::new(field, text, "a port from 1 to 65535"));
    }
    if let Some(kind) = non_host_address_kind(address.ip()) {
        return Err(InvalidValue::new(
            field,
            text,
            format!("the address of a collector, not {kind}"),
        ));
    }
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Parses the addresses of a target, separated by commas or spaces: one or several for a load
/// balancer, one for any other kind.
///
/// # Errors
/// [`InvalidValue`] as for [`parse_target_address`] and [`check_load_balancer_addresses`], and for
/// a wrong number of addresses.
pub fn parse_target_addresses(
    field: &'static str,
    text: &str,
    kind: &TargetKind,
) -> Result<Vec<SocketAddr>, InvalidValue> {
    let texts = text.split([',', ' ']).filter(|one| !one.is_empty());
    let addresses: Result<Vec<SocketAddr>, InvalidValue> =
        texts.map(|one| parse_target_address(field, one, kind.default_port())).collect();
    let addresses = addresses?;
    if addresses.len() > 1 && !kind.is_load_balancer() {
        return Err(InvalidValue::new(
            field,
            text,
            "one address: only a load balancer has several",
        ));
    }
    check_load_balancer_addresses(field, &addresses)?;
    if addresses.is_empty() {
        return Err(InvalidValue::new(field, text, "an address such as 192.0.2.10"));
    }
    Ok(addresses)
}

/// Checks whether addresses can belong to one load balancer.
///
/// # Errors
/// [`InvalidValue`] for a repeated address, for mixed address families, and for more than
/// [`MAX_ADDRESSES`] addresses.
pub fn check_load_balancer_addresses(
    field: &'static str,
    addresses: &[SocketAddr],
) -> Result<(), InvalidValue> {
    let Some((first, others)) = addresses.split_first() else { return Ok(()) };
    if let Some(other) = others.iter().find(|other| other.is_ipv4() != first.is_ipv4()) {
        return Err(InvalidValue::new(field, other, "addresses of one family"));
    }
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
    if let Some((repeated, _)) = pairs.find(|(one, next)| one == next) {
        return Err(InvalidValue::new(field, repeated, "each address once"));
    }
    if addresses.len() > MAX_ADDRESSES {
        let expected = format!("at most {MAX_ADDRESSES} addresses");
        return Err(InvalidValue::new(field, addresses.len(), expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_a_target_address_is_optional() {
        for (text, address) in [
            ("192.0.2.10", "192.0.2.10:4789"),
            ("192.0.2.10:1", "192.0.2.10:1"),
            ("2001:db8::1", "[2001:db8::1]:4789"),
            ("[2001:db8::1]", "[2001:db8::1]:4789"),
            ("[2001:db8::1]:2", "[2001:db8::1]:2"),
            ("::ffff:192.0.2.10", "192.0.2.10:4789"),
            ("[::ffff:c000:20a]:9", "192.0.2.10:9"),
        ] {
            let read = parse_target_address("address", text, VXLAN_PORT).unwrap();
            assert_eq!(read.to_string(), address);
        }
    }

    #[test]
    fn an_invalid_target_address_is_refused() {
        for text in [
            "",
            "host",
            "192.0.2",
            "192.0.2.10:0",
            "192.0.2.10:x",
            "0.0.0.0",
            "[::]:4789",
            "224.0.0.1",
            "239.1.2.3:4789",
            "ff02::1",
            "255.255.255.255",
            "::ffff:224.0.0.1",
            "::ffff:0.0.0.0",
            "::ffff:255.255.255.255",
        ] {
            assert!(parse_target_address("address", text, VXLAN_PORT).is_err(), "{text}");
        }
    }

    #[test]
    fn embedded_ipv4_addresses_are_recognised() {
        let of = |text: &str| embedded_ipv4(text.parse().unwrap()).map(|ip| ip.to_string());
        for text in ["64:ff9b::7f00:1", "2002:7f00:1::5", "::127.0.0.1"] {
            assert_eq!(of(text).as_deref(), Some("127.0.0.1"), "{text}");
        }
        for text in ["::", "::1", "2001:db8::7f00:1", "64:ff9b:1::7f00:1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn an_ipv6_zone_is_refused() {
        for text in ["[fe80::1%2]:4789", "fe80::1%2"] {
            let refused = parse_target_address("address", text, VXLAN_PORT).unwrap_err();
            assert!(refused.expected.contains("without a zone"), "{refused}");
        }
    }

    #[test]
    fn only_load_balancers_have_several_addresses() {
        let balancer = TargetKind::NetworkLoadBalancer("arn".to_owned());
        let read = |text, kind| parse_target_addresses("address", text, kind);
        let two = read("192.0.2.1, 192.0.2.2:9", &balancer).unwrap();
        assert_eq!(two, ["192.0.2.1:4789".parse().unwrap(), "192.0.2.2:9".parse().unwrap()]);
        assert!(read("192.0.2.1 192.0.2.2", &TargetKind::Address).is_err());
        for wrong in ["", "192.0.2.1,192.0.2.1:4789", "192.0.2.1,2001:db8::1"] {
            assert!(read(wrong, &balancer).is_err(), "{wrong}");
        }
        let endpoint = TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned());
        assert_eq!(read("192.0.2.1", &endpoint).unwrap()[0].port(), GENEVE_PORT);
    }
}
