//! The real addresses of named targets, and the addresses that copies may be sent to.
//!
//! A client of the API can name any address, so the check of its addresses is stricter than that of
//! the addresses of the user who started the program.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::api_error::ApiError;
use super::assigned_addresses::AssignedAddresses;
use crate::model::{CidrBlock, TargetKind, embedded_ipv4, non_host_address_kind};

/// The addresses that the user assigned to names, and the networks that copies may be sent to.
#[derive(Debug, Clone, Default)]
pub struct TargetResolver {
    assigned: AssignedAddresses,
    /// Whether a target without an address is refused.
    is_strict: bool,
    /// The networks that copies may be sent to; empty if all are allowed.
    allowed: Vec<CidrBlock>,
    /// The directed broadcast addresses of the networks of this host.
    broadcasts: Vec<Ipv4Addr>,
}

/// The origin of the address of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// A client of the API, by a tag or by the network interface of a device.
    Client,
    /// The user who started the program, on the command line or in a file. This user can send to
    /// loopback without this program too.
    User,
}

impl TargetResolver {
    /// Assigns addresses to a network interface, load balancer or endpoint. For a load balancer the
    /// name in `pattern` is its ARN, the end `net/NAME/ID` of its ARN, or NAME; for an endpoint its
    /// id. Each `*` in these stands for any number of characters. A name without `*` precedes
    /// patterns, and a pattern precedes later ones.
    pub fn assign(&mut self, pattern: TargetKind, addresses: Vec<SocketAddr>) {
        self.assigned.assign(pattern, addresses);
    }

    /// Whether this pattern has addresses.
    #[must_use]
    pub fn is_assigned(&self, pattern: &TargetKind) -> bool {
        self.assigned.has(pattern)
    }

    /// Sets the address of all targets that have no other. Without `port`, it is 4789, and 6081 for
    /// endpoints.
    pub const fn set_default(&mut self, address: IpAddr, port: Option<u16>) {
        self.assigned.set_default(address, port);
    }

    /// Refuses targets without an address.
    pub const fn set_strict(&mut self, is_strict: bool) {
        self.is_strict = is_strict;
    }

    /// Whether targets without an address are refused.
    #[must_use]
    pub const fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// The addresses that options give a target which has no address of its own: the assigned ones,
    /// or else the default.
    #[must_use]
    pub fn addresses_of(&self, kind: &TargetKind) -> Vec<SocketAddr> {
        let assigned = self.assigned(kind).map(<[SocketAddr]>::to_vec);
        assigned.unwrap_or_else(|| self.default_address(kind).into_iter().collect())
    }

    pub(super) fn assigned(&self, kind: &TargetKind) -> Option<&[SocketAddr]> {
        self.assigned.of(kind)
    }

    pub(super) fn default_address(&self, kind: &TargetKind) -> Option<SocketAddr> {
        self.assigned.default_for(kind)
    }

    /// Allows copies to a network. After the first call, copies to all other networks are refused.
    /// A block of IPv4-mapped IPv6 addresses counts as the IPv4 block.
    pub fn allow(&mut self, block: CidrBlock) {
        self.allowed.push(block.to_canonical());
    }

    /// Sets the directed broadcast addresses of the networks of this host.
    pub fn set_broadcasts(&mut self, broadcasts: Vec<Ipv4Addr>) {
        self.broadcasts = broadcasts;
    }

    /// Checks that copies may be sent to an address. An IPv4-mapped address is compared as IPv4.
    ///
    /// # Errors
    /// [`ApiError`] for an address that is not a unicast address, and for one outside the allowed
    /// networks. If a client named it, also for a loopback address outside the allowed networks,
    /// and for an IPv6 address that a translator maps to one of these.
    pub fn check_target(&self, address: IpAddr, named_by: NamedBy) -> Result<(), ApiError> {
        let address = address.to_canonical();
        if let Some(kind) = self.not_of_one_host(address) {
            return Err(forbidden_address(address, format_args!("it is {kind}")));
        }
        let is_allowed = self.allowed.iter().any(|block| block.contains(address));
        if !is_allowed && !self.allowed.is_empty() {
            let blocks: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
            let blocks = blocks.join(", ");
            return Err(forbidden_address(
                address,
                format_args!("only addresses in {blocks} are allowed"),
            ));
        }
        if named_by == NamedBy::User {
            return Ok(());
        }
        if address.is_loopback() && !is_allowed {
            let why = "it is a loopback address outside every --allow-target network";
            return Err(forbidden_address(address, why));
        }
        let IpAddr::V6(ipv6) = address else { return Ok(()) };
        let embedded = embedded_ipv4(ipv6).map(IpAddr::V4);
        match embedded.filter(|ipv4| ipv4.is_loopback() || self.not_of_one_host(*ipv4).is_some()) {
            None => Ok(()),
            Some(ipv4) => {
                let why =
                    format!("it is translated to {ipv4}, which is not the address of another host");
                Err(forbidden_address(address, why))
            }
        }
    }

    /// The kind of an address that is not that of one host; `None` if it is.
    fn not_of_one_host(&self, address: IpAddr) -> Option<&'static str> {
        let is_broadcast = matches!(address, IpAddr::V4(ipv4) if self.broadcasts.contains(&ipv4));
        let directed = is_broadcast.then_some("the broadcast address of a network of this host");
        non_host_address_kind(address).or(directed)
    }
}

fn forbidden_address(address: IpAddr, why: impl std::fmt::Display) -> ApiError {
    let message = format!("Copies cannot be sent to {address}: {why}.");
    ApiError::new("InvalidTrafficMirrorTarget", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(allowed: &[&str]) -> TargetResolver {
        let mut resolver = TargetResolver::default();
        for text in allowed {
            resolver.allow(CidrBlock::parse("--allow-target", text).unwrap().0);
        }
        resolver.set_broadcasts(vec![[10, 9, 255, 255].into()]);
        resolver
    }

    fn why(resolver: &TargetResolver, address: &str, named_by: NamedBy) -> String {
        let checked = resolver.check_target(address.parse().unwrap(), named_by);
        checked.map_or_else(|error| error.message, |()| String::new())
    }

    #[test]
    fn without_an_allow_list_any_other_host_may_be_a_target() {
        let resolver = resolver(&[]);
        for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "64:ff9b::c000:201"] {
            assert_eq!(why(&resolver, address, NamedBy::Client), "", "{address}");
        }
        for (address, part) in [
            ("0.0.0.0", "unspecified"),
            ("::", "unspecified"),
            ("::ffff:0.0.0.0", "unspecified"),
            ("224.0.0.5", "multicast"),
            ("ff02::1", "multicast"),
            ("::ffff:239.1.1.1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("10.9.255.255", "the broadcast address of a network"),
            ("::ffff:10.9.255.255", "the broadcast address of a network"),
        ] {
            for named_by in [NamedBy::Client, NamedBy::User] {
                assert!(why(&resolver, address, named_by).contains(part), "{address}");
            }
        }
    }

    #[test]
    fn loopback_targets_need_the_user_or_an_allow_list_entry() {
        let loopback = ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"];
        let embedded = ["64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "2002:e000:1::"];
        for address in loopback.into_iter().chain(embedded) {
            assert_ne!(why(&resolver(&[]), address, NamedBy::Client), "", "{address}");
            assert_eq!(why(&resolver(&[]), address, NamedBy::User), "", "{address}");
        }
        let local = resolver(&["127.0.0.0/8", "::1/128"]);
        for address in loopback {
            assert_eq!(why(&local, address, NamedBy::Client), "", "{address}");
        }
    }

    #[test]
    fn an_allow_list_applies_to_everyone_and_compares_mapped_addresses_as_ipv4() {
        for list in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
            let resolver = resolver(&[list]);
            for named_by in [NamedBy::Client, NamedBy::User] {
                assert_eq!(why(&resolver, "10.1.2.3", named_by), "");
                assert_eq!(why(&resolver, "::ffff:10.1.2.3", named_by), "");
                for address in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "127.0.0.1"] {
                    let why = why(&resolver, address, named_by);
                    assert!(why.contains("only addresses in 10.0.0.0/8"), "{address}: {why}");
                }
            }
        }
        let ipv6 = resolver(&["2001:db8::/32", "::/0"]);
        assert_eq!(why(&ipv6, "2001:db8::1", NamedBy::Client), "");
        assert_ne!(why(&ipv6, "::ffff:192.0.2.1", NamedBy::Client), "", "an IPv4 address");
    }
}
