//! What is typed about the endpoint.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::listen_address;
use crate::control::account::{DEFAULT_OWNER, is_account_id};

/// What is typed about the endpoint.
#[derive(Debug, Args)]
pub(super) struct EndpointFlags {
    /// Serve the EC2 API of traffic mirroring at http://ADDR:PORT, for unmodified clients of AWS.
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address::parse)]
    pub(super) ec2_endpoint: Option<SocketAddr>,

    /// With --ec2-endpoint: keep what clients made in this file, over restarts; without it, in memory.
    /// A file that other users can change or replace is refused.
    #[arg(long, value_name = "FILE", requires = "ec2_endpoint")]
    pub(super) state: Option<PathBuf>,

    /// With --ec2-endpoint: another quota than AWS's: sessions, sessions-per-interface, targets,
    /// filters, rules-per-filter or sources-per-target, as in rules-per-filter=100.
    #[arg(long, value_name = "NAME=N", requires = "ec2_endpoint")]
    pub(super) quota: Vec<String>,

    /// With --ec2-endpoint: a network interface id, and the device or the address (udp:ADDR:PORT, port
    /// 4789 if left out) that it stands for, as in eni-0a1b2c3d4e5f60718=eth0.
    #[arg(long, value_name = "ENI=DEVICE", requires = "ec2_endpoint")]
    pub(super) network_interface: Vec<String>,

    /// With --ec2-endpoint: the ARN of a network load balancer, and the addresses that it stands
    /// for, with commas between them.
    #[arg(long, value_name = "ARN=ADDR,...", requires = "ec2_endpoint")]
    pub(super) load_balancer: Vec<String>,

    /// With --ec2-endpoint: the id of a gateway load balancer endpoint, and its addresses.
    #[arg(long, value_name = "VPCE=ADDR,...", requires = "ec2_endpoint")]
    pub(super) gwlb_endpoint: Vec<String>,

    /// With --ec2-endpoint: a network that copies may go into; once given, they go into no other.
    #[arg(long, value_name = "CIDR", requires = "ec2_endpoint")]
    pub(super) allow_target: Vec<String>,

    /// With --ec2-endpoint: a TOML file of [[credential]] with access_key_id, secret_access_key,
    /// account_id and optionally session_token, readable by its owner only. Requests that none of
    /// them signed are refused. Without it, a key is generated at start and written to a file that
    /// only this user can read; its name is printed, and AWS_SHARED_CREDENTIALS_FILE may name it.
    #[arg(long, value_name = "FILE", requires = "ec2_endpoint")]
    pub(super) credentials: Option<PathBuf>,

    /// With --ec2-endpoint: accept requests with any signature, as local emulators do, on a
    /// loopback address only. Every local user can then send the traffic of this host anywhere.
    #[arg(long, requires = "ec2_endpoint", conflicts_with = "credentials")]
    pub(super) no_authentication: bool,

    /// With --ec2-endpoint: the account that the generated key acts for and that owns the network
    /// interfaces and the resources of files, twelve digits.
    #[arg(long, value_name = "ID", requires = "ec2_endpoint", default_value = DEFAULT_OWNER,
          value_parser = parse_account_id)]
    pub(super) account_id: String,

    /// With --ec2-endpoint: serve https, with this certificate (PEM, the chain behind it).
    #[arg(long, value_name = "FILE", requires_all = ["ec2_endpoint", "tls_key"])]
    pub(super) tls_certificate: Option<PathBuf>,

    /// With --tls-certificate: its private key (PEM), readable by its owner only.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(super) tls_key: Option<PathBuf>,
}

fn parse_account_id(text: &str) -> Result<String, String> {
    match is_account_id(text) {
        true => Ok(text.to_owned()),
        false => Err("expected twelve digits".to_owned()),
    }
}
