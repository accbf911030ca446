//! Access to the endpoint: its address, credentials, host names and certificate.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::credentials_file::CredentialsFile;
use super::flags::EndpointFlags;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::ec2::{self, Access, Credentials, Endpoint};
use crate::http::{Certificate, HostNames, Server};
use crate::io::private_file::{self, PrivateFileError};

/// Whose requests the endpoint accepts, and how it is served.
pub(in crate::cli::run) struct Posture {
    access: Access,
    /// Where the key is that was generated.
    generated: Option<CredentialsFile>,
    hosts: HostNames,
    certificate: Option<Certificate>,
}

/// The endpoint while it is served.
pub(super) struct Serving {
    _server: Server,
    /// Is removed at the end.
    _generated: Option<CredentialsFile>,
}

impl Posture {
    /// Reads the files that the options name, and generates a key where none is given.
    pub(in crate::cli::run) fn read(
        address: SocketAddr,
        flags: &EndpointFlags,
        hosts: HostNames,
    ) -> Result<Self, Failure> {
        if flags.credentials.is_none() && !address.ip().is_loopback() {
            return Err(Failure::usage(format_args!(
                "--ec2-endpoint `{address}`: expected a loopback address such as 127.0.0.1:4566, \
                 or --credentials FILE with it: a generated key is known on this host only"
            )));
        }
        let files = flags.tls_certificate.as_deref().zip(flags.tls_key.as_deref());
        let certificate = files.map(|(chain, key)| certificate(chain, key)).transpose()?;
        let (access, generated) = match flags.credentials.as_deref() {
            Some(path) => (Access::Keys(credentials(path)?), None),
            None if flags.no_authentication => {
                (Access::Anyone(flags.account_id.as_str().into()), None)
            }
            None => {
                let generated = CredentialsFile::generate(&flags.account_id).map_err(|error| {
                    Failure::failed(format_args!("generating credentials: {error}"))
                });
                let (file, known) = generated?;
                (Access::Keys(known), Some(file))
            }
        };
        Ok(Self { access, generated, hosts, certificate })
    }

    /// The directory of the file with generated credentials, which is removed at the end.
    pub(in crate::cli::run) fn credentials_directory(&self) -> Option<&Path> {
        self.generated.as_ref().and_then(|file| file.path().parent())
    }

    /// Serves the endpoint, and says whose requests are accepted.
    pub(super) fn serve(self, address: SocketAddr, endpoint: Endpoint) -> io::Result<Serving> {
        let Self { access, generated, hosts, certificate } = self;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let is_open = matches!(access, Access::Anyone(_));
        let posture = match (&access, &generated) {
            (_, Some(file)) => format!(
                "requests have to be signed with the key in {}, which AWS_SHARED_CREDENTIALS_FILE \
                 may name",
                file.path().display()
            ),
            (Access::Keys(known), None) => {
                format!("requests have to be signed with one of {} keys", known.len())
            }
            (Access::Anyone(_), None) => "requests with any signature are accepted".to_owned(),
        };
        let report = |event| terminal::report_listener("EC2 endpoint", &event);
        let endpoint = endpoint.with_access(access);
        let server = ec2::serve(address, endpoint, hosts, certificate, report)?;
        let address = server.address();
        // Who waits for the second line has seen the first one.
        terminal::note(&posture);
        terminal::note(&format!("EC2 endpoint on {scheme}://{address}"));
        if is_open {
            terminal::warn(
                "--no-authentication: every local user can send the traffic of this host to any \
                 address",
            );
        }
        if scheme == "http" && !address.ip().is_loopback() {
            terminal::warn("without --tls-certificate the connections are not encrypted");
        }
        Ok(Serving { _server: server, _generated: generated })
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
