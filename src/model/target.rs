//! Targets: where the copies go.

use std::net::{IpAddr, SocketAddr};

use super::{Invalid, Mtu, NetworkInterfaceId, Rate, Tags, TargetId};

/// The UDP port of VXLAN (RFC 7348, section 5: "4789").
pub const VXLAN_PORT: u16 = 4789;

/// AWS's own word for a target: exactly one of three, or an address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// Named only by its address.
    Address,
    /// A network interface.
    NetworkInterface(NetworkInterfaceId),
    /// A Network Load Balancer, by its ARN.
    NetworkLoadBalancer(String),
    /// A Gateway Load Balancer endpoint, by its id.
    GatewayLoadBalancerEndpoint(String),
}

/// A place that takes VXLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    id: TargetId,
    /// What AWS calls it.
    pub kind: TargetKind,
    /// Where the copies are sent; where it is absent the address comes from the network
    /// interface of the same name.
    pub address: Option<SocketAddr>,
    /// The longest outer IP packet that the target takes.
    pub mtu: Option<Mtu>,
    /// How much it takes at the most, live; what is more is shed.
    pub rate_limit: Option<Rate>,
    /// The description, where one was given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Target {
    /// A target at an address.
    #[must_use]
    pub fn at(id: TargetId, address: SocketAddr) -> Self {
        let mut target = Self::new(id, TargetKind::Address);
        target.address = Some(address);
        target
    }

    /// A target of some kind, its address still to come.
    #[must_use]
    pub fn new(id: TargetId, kind: TargetKind) -> Self {
        Self {
            id,
            kind,
            address: None,
            mtu: None,
            rate_limit: None,
            description: None,
            tags: Tags::default(),
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &TargetId {
        &self.id
    }
}

/// Reads the address of a target: `192.0.2.10`, `192.0.2.10:4789`, `2001:db8::1` or
/// `[2001:db8::1]:4789`; the port is 4789 where it is left out.
///
/// # Errors
/// [`Invalid`] for anything else, for port 0, and for an address that nobody can have.
pub fn parse_target_address(field: &'static str, text: &str) -> Result<SocketAddr, Invalid> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, VXLAN_PORT),
        Err(_) => text.parse().map_err(|_| {
            let expected = "an address such as 192.0.2.10, 192.0.2.10:4789 or [2001:db8::1]:4789";
            Invalid::new(field, text, expected)
        })?,
    };
    if address.port() == 0 {
        return Err(Invalid::new(field, text, "a port from 1 to 65535"));
    }
    if address.ip().is_unspecified() {
        return Err(Invalid::new(
            field,
            text,
            "the address of a collector, not the unspecified one",
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        for (text, address) in [
            ("192.0.2.10", "192.0.2.10:4789"),
            ("192.0.2.10:1", "192.0.2.10:1"),
            ("2001:db8::1", "[2001:db8::1]:4789"),
            ("[2001:db8::1]", "[2001:db8::1]:4789"),
            ("[2001:db8::1]:2", "[2001:db8::1]:2"),
        ] {
            assert_eq!(parse_target_address("address", text).unwrap().to_string(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "host", "192.0.2", "192.0.2.10:0", "192.0.2.10:x", "0.0.0.0", "[::]:4789"]
        {
            assert!(parse_target_address("address", text).is_err(), "{text}");
        }
    }
}
