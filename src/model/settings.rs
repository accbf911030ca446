//! Settings that apply to all sessions.

use std::net::IpAddr;

/// Settings of the whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether the traffic that AWS never mirrors is excluded. Set it to false to mirror all
    /// traffic of a host outside AWS.
    pub aws_exclusions: bool,
    /// Addresses of the VPC resolver, in addition to 169.254.169.253 and fd00:ec2::253.
    pub vpc_resolver_addresses: Vec<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { aws_exclusions: true, vpc_resolver_addresses: Vec::new() }
    }
}
