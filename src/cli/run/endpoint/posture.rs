//! Who may come in: the address, the credentials and the certificate of the endpoint.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::flags::EndpointFlags;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::ec2::{self, Certificate, Credentials, Endpoint, Server};
use crate::io::private_file::{self, PrivateFileError};

/// What of the world is let in.
pub(in crate::cli::run) struct Posture {
    credentials: Option<Credentials>,
    certificate: Option<Certificate>,
}

impl Posture {
    /// Reads the files that the options name.
    pub(in crate::cli::run) fn read(
        address: SocketAddr,
        flags: &EndpointFlags,
    ) -> Result<Self, Failure> {
        let credentials = flags.credentials.as_deref().map(credentials).transpose()?;
        if credentials.is_none() && !address.ip().is_loopback() {
            return Err(Failure::usage(format_args!(
                "--ec2-endpoint `{address}`: expected a loopback address such as 127.0.0.1:4566, \
                 or --credentials FILE: without, whoever reaches it may mirror this host"
            )));
        }
        let files = flags.tls_certificate.as_deref().zip(flags.tls_key.as_deref());
        let certificate = files.map(|(chain, key)| certificate(chain, key)).transpose()?;
        Ok(Self { credentials, certificate })
    }

    /// Serves the endpoint, and says who may come in.
    pub(super) fn serve(self, address: SocketAddr, endpoint: Endpoint) -> io::Result<Server> {
        let Self { credentials, certificate } = self;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let posture = match &credentials {
            Some(known) => format!("requests have to be signed with one of {} keys", known.len()),
            None => "without credentials any signature is accepted".to_owned(),
        };
        let endpoint = match credentials {
            Some(credentials) => endpoint.with_credentials(credentials),
            None => endpoint,
        };
        let server = ec2::serve(address, endpoint, certificate)?;
        let address = server.address();
        terminal::note(&format!("EC2 endpoint on {scheme}://{address}"));
        terminal::note(&posture);
        if scheme == "http" && !address.ip().is_loopback() {
            terminal::warn(
                "without --tls-certificate whoever is on the way can read what is asked and told",
            );
        }
        Ok(server)
    }
}

fn credentials(path: &Path) -> Result<Credentials, Failure> {
    let name = path.display();
    let text = String::from_utf8(secret("--credentials", path)?).map_err(|_| {
        Failure::usage(format_args!("--credentials `{name}`: expected text in UTF-8"))
    })?;
    Credentials::parse(&text).map_err(|sentences| {
        let lines = sentences.lines().map(|line| format!("--credentials `{name}`: {line}"));
        Failure::usage(lines.collect::<Vec<_>>().join("\n"))
    })
}

/// Reads a file that nobody else may read.
fn secret(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    private_file::read_secret(path).map_err(|error| match error {
        PrivateFileError::Exposed(why) => Failure::usage(format_args!("{option} `{name}`: {why}")),
        PrivateFileError::Io(error) => Failure::failed(format_args!("{option} `{name}`: {error}")),
    })
}

fn certificate(chain: &Path, key: &Path) -> Result<Certificate, Failure> {
    let pem = fs::read(chain).map_err(|error| {
        Failure::failed(format_args!("--tls-certificate `{}`: {error}", chain.display()))
    })?;
    let secret = secret("--tls-key", key)?;
    Certificate::from_pem(&pem, &secret).map_err(|why| {
        let (chain, key) = (chain.display(), key.display());
        Failure::usage(format_args!("--tls-certificate `{chain}`, --tls-key `{key}`: {why}"))
    })
}
