//! Access to the endpoint: decides which requests it accepts, and reads the files of credentials
//! and certificate.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::endpoint_flags::EndpointFlags;
use crate::cli::exit::Failure;
use crate::ec2::Credentials;
use crate::http::Certificate;
use crate::io::private_file::{self, PrivateFileError};
use crate::runtime::endpoint::AccessOptions;

/// Which requests the endpoint at `address` accepts.
pub(super) fn access(address: SocketAddr, flags: &EndpointFlags) -> Result<AccessOptions, Failure> {
    if flags.credentials.is_none() && !address.ip().is_loopback() {
        return Err(Failure::usage(format_args!(
            "--ec2-endpoint `{address}`: expected a loopback address such as 127.0.0.1:4566, or \
             --credentials FILE beside it, because a generated key can be read on this host only"
        )));
    }
    match flags.credentials.as_deref() {
        Some(path) => credentials(path).map(AccessOptions::Keys),
        None if flags.no_authentication => Ok(AccessOptions::Anyone),
        None => Ok(AccessOptions::GeneratedKey),
    }
}

/// The certificate that the options name.
pub(super) fn certificate(flags: &EndpointFlags) -> Result<Option<Certificate>, Failure> {
    let files = flags.tls_certificate.as_deref().zip(flags.tls_key.as_deref());
    files.map(|(chain, key)| read_certificate(chain, key)).transpose()
}

fn credentials(path: &Path) -> Result<Credentials, Failure> {
    let name = path.display();
    let text = String::from_utf8(secret("--credentials", path)?)
        .map_err(|_| Failure::usage(format_args!("--credentials `{name}`: expected UTF-8 text")))?;
    Credentials::parse(&text).map_err(|errors| {
        let lines = errors.lines().map(|line| format!("--credentials `{name}`: {line}"));
        Failure::usage(lines.collect::<Vec<_>>().join("\n"))
    })
}

/// Reads a file that only its owner may read.
fn secret(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    private_file::read_secret(path).map_err(|error| match error {
        PrivateFileError::Insecure(why) => Failure::usage(format_args!("{option} `{name}`: {why}")),
        PrivateFileError::Io(error) => Failure::failed(format_args!("{option} `{name}`: {error}")),
    })
}

fn read_certificate(chain: &Path, key: &Path) -> Result<Certificate, Failure> {
    let pem = fs::read(chain).map_err(|error| {
        Failure::failed(format_args!("--tls-certificate `{}`: {error}", chain.display()))
    })?;
    let secret = secret("--tls-key", key)?;
    Certificate::from_pem(&pem, &secret).map_err(|why| {
        let (chain, key) = (chain.display(), key.display());
        Failure::usage(format_args!("--tls-certificate `{chain}`, --tls-key `{key}`: {why}"))
    })
}
