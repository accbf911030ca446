//! Access to the endpoint: which requests it accepts, and how it is served.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::credentials_file::CredentialsFile;
use crate::ec2::{self, Access, Credentials, Endpoint};
use crate::http::{Certificate, HostNames, Server};
use crate::runtime::error::Error;
use crate::runtime::event::{Event, EventSink};

/// Which requests the endpoint accepts.
#[derive(Debug)]
pub enum AccessOptions {
    /// Requests that are signed with one of these keys.
    Keys(Credentials),
    /// Requests that are signed with a key that is generated at the start. The key is written to a
    /// file that only the user can read.
    GeneratedKey,
    /// Requests with any signature, as local emulators of AWS accept them.
    Anyone,
}

/// Which requests the endpoint accepts, and how it is served.
pub(super) struct EndpointAccess {
    access: Access,
    /// The file with the generated key.
    credentials_file: Option<CredentialsFile>,
    hosts: HostNames,
    certificate: Option<Certificate>,
}

/// The running server of the endpoint.
pub(super) struct EndpointServer {
    _server: Server,
    /// The file is removed when this is dropped.
    _credentials_file: Option<CredentialsFile>,
}

impl EndpointAccess {
    /// Generates a key if the options require one.
    pub(super) fn new(
        options: AccessOptions,
        account_id: &str,
        hosts: HostNames,
        certificate: Option<Certificate>,
    ) -> Result<Self, Error> {
        let (access, credentials_file) = match options {
            AccessOptions::Keys(credentials) => (Access::Keys(credentials), None),
            AccessOptions::Anyone => (Access::Anyone(account_id.into()), None),
            AccessOptions::GeneratedKey => {
                let credentials_file = CredentialsFile::generate(account_id)
                    .map_err(|error| Error::failed("generating credentials", &error));
                let (file, credentials) = credentials_file?;
                (Access::Keys(credentials), Some(file))
            }
        };
        Ok(Self { access, credentials_file, hosts, certificate })
    }

    /// The directory of the file with the generated key. The file is removed at the end.
    pub(super) fn credentials_directory(&self) -> Option<&Path> {
        self.credentials_file.as_ref().and_then(|file| file.path().parent())
    }

    /// The same directory, if it was created for the file and is removed with it.
    pub(super) fn temporary_directory(&self) -> Option<&Path> {
        self.credentials_file.as_ref().and_then(CredentialsFile::temporary_directory)
    }

    /// Serves the endpoint and reports which requests are accepted.
    pub(super) fn serve(
        self,
        address: SocketAddr,
        endpoint: Endpoint,
        events: &EventSink,
    ) -> io::Result<EndpointServer> {
        let Self { access, credentials_file, hosts, certificate } = self;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let is_open = matches!(access, Access::Anyone(_));
        let sentence = match (&access, &credentials_file) {
            (_, Some(file)) => format!(
                "requests must be signed with the key in {}, for example by setting \
                 AWS_SHARED_CREDENTIALS_FILE to this file",
                file.path().display()
            ),
            (Access::Keys(known), None) if known.len() == 1 => {
                "requests must be signed with the key of the credentials file".to_owned()
            }
            (Access::Keys(known), None) => {
                format!("requests must be signed with one of {} keys", known.len())
            }
            (Access::Anyone(_), None) => "requests with any signature are accepted".to_owned(),
        };
        let listener_events = events.clone();
        let report =
            move |event| listener_events.send(Event::Listener { name: "EC2 endpoint", event });
        let endpoint = endpoint.with_access(access);
        let server = ec2::serve(address, endpoint, hosts, certificate, report)?;
        let address = server.address();
        // In this order, a user who waits for the address has already read which key is needed.
        events.send(Event::EndpointAccess(sentence));
        events.send(Event::EndpointServed { scheme, address });
        if is_open {
            events.send(Event::EndpointIsOpen);
        }
        if scheme == "http" && !address.ip().is_loopback() {
            events.send(Event::EndpointNotEncrypted);
        }
        Ok(EndpointServer { _server: server, _credentials_file: credentials_file })
    }
}
