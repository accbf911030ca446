//! The real addresses of named targets, and the addresses that copies may be sent to.
//!
//! A client of the API can name any address, so the check of its addresses is stricter than that of
//! the addresses of the user who started the program.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::api_error::ApiError;
use crate::model::{CidrBlock, Target, embedded_ipv4, non_host_address_kind};

/// The addresses that the user assigned to names, and the networks that copies may be sent to.
#[derive(Debug, Clone, Default)]
pub struct TargetResolver {
    pinned: HashMap<String, Vec<SocketAddr>>,
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
    /// Assigns addresses to the ARN of a load balancer or the id of an endpoint.
    pub fn pin(&mut self, name: String, addresses: Vec<SocketAddr>) {
        self.pinned.insert(name, addresses);
    }

    /// Whether the name has addresses.
    #[must_use]
    pub fn is_pinned(&self, name: &str) -> bool {
        self.pinned.contains_key(name)
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

    pub(super) fn pinned_addresses(&self, name: &str) -> Option<Vec<SocketAddr>> {
        self.pinned.get(name).cloned()
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

/// Sets the first address of a target, and the further addresses of a load balancer.
pub(super) fn set_addresses(target: &mut Target, addresses: Vec<SocketAddr>) {
    let mut addresses = addresses.into_iter();
    target.address = addresses.next();
    target.further_addresses = addresses.collect();
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
