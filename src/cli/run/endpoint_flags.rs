//! The flags of the EC2 endpoint.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::listen_address;
use crate::control::account::{DEFAULT_OWNER, is_account_id};

/// The flags of the EC2 endpoint.
#[derive(Debug, Args)]
pub(super) struct EndpointFlags {
    /// Serve the EC2 API of traffic mirroring at http://ADDR:PORT, for unmodified AWS clients.
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address::parse)]
    pub(super) ec2_endpoint: Option<SocketAddr>,

    /// Persist the resources that clients create in this file. Without it they are kept in memory
    /// and lost on exit. A file that other users can change or replace is rejected.
    #[arg(long, value_name = "FILE", requires = "ec2_endpoint")]
    pub(super) state: Option<PathBuf>,

    /// Change a quota of AWS: network-interfaces, sessions, sessions-per-interface, targets, filters,
    /// rules-per-filter or sources-per-target, for example rules-per-filter=100. May be given several times.
    #[arg(long, value_name = "NAME=N", requires = "ec2_endpoint")]
    pub(super) quota: Vec<String>,

    /// Map a network interface id to a device, for example eni-0a1b2c3d4e5f60718=eth0. With
    /// udp:ADDR:PORT in place of the device, the interface can only be a target at this address
    /// (port 4789 by default). May be given several times.
    #[arg(long, value_name = "ENI=DEVICE", requires = "ec2_endpoint")]
    pub(super) network_interface: Vec<String>,

    /// Allow targets in this network, and no targets outside the allowed networks. May be given
    /// several times.
    #[arg(long, value_name = "CIDR", requires = "ec2_endpoint")]
    pub(super) allow_target: Vec<String>,

    /// TOML file of [[credential]] with access_key_id, secret_access_key, account_id and optionally
    /// session_token. Only its owner may read it. Requests signed with other keys are rejected.
    /// Without it, a key is generated at start and written to a file that only this user can read;
    /// use the printed file name as AWS_SHARED_CREDENTIALS_FILE.
    #[arg(long, value_name = "FILE", requires = "ec2_endpoint")]
    pub(super) credentials: Option<PathBuf>,

    /// Accept any signature, as local emulators do. Only for a loopback address. Every local user
    /// can then send the traffic of this host to any address.
    #[arg(long, requires = "ec2_endpoint", conflicts_with = "credentials")]
    pub(super) no_authentication: bool,

    /// Account (12 digits) of the generated key, and owner of the network interfaces and of the
    /// resources of files.
    #[arg(long, value_name = "ID", requires = "ec2_endpoint", default_value = DEFAULT_OWNER,
          value_parser = parse_account_id)]
    pub(super) account_id: String,

    /// Serve HTTPS with this certificate (PEM, followed by its chain).
    #[arg(long, value_name = "FILE", requires_all = ["ec2_endpoint", "tls_key"])]
    pub(super) tls_certificate: Option<PathBuf>,

    /// Private key (PEM) of --tls-certificate. Only its owner may read it.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(super) tls_key: Option<PathBuf>,
}

pub(in crate::cli) fn parse_account_id(text: &str) -> Result<String, String> {
    match is_account_id(text) {
        true => Ok(text.to_owned()),
        false => Err("expected twelve digits".to_owned()),
    }
}
