//! What the user should hear of the sockets, each thing once.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Warnings that nobody has taken yet, and what has been said already.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    untold: Vec<String>,
    sources: Vec<IpAddr>,
    options: Vec<String>,
    port_told: bool,
}

impl Warnings {
    /// The outer source address is none of this host's.
    pub(super) fn foreign_source(&mut self, source: IpAddr) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
            self.untold.push(format!(
                "the outer source address {source} is not an address of this host: the copies \
                 leave with the one that the kernel chooses"
            ));
        }
    }

    /// A UDP source port is taken by somebody else.
    pub(super) fn port_taken(&mut self, port: u16, error: &io::Error) {
        if !std::mem::replace(&mut self.port_told, true) {
            self.untold.push(format!(
                "UDP source port {port} cannot be used ({error}): flows that belong to it leave \
                 from any free port"
            ));
        }
    }

    /// The kernel cuts no messages on the way to a target.
    pub(super) fn cannot_segment(&mut self, destination: SocketAddr, error: &io::Error) {
        self.untold.push(format!(
            "copies to {destination} leave one by one: the kernel cuts no longer messages there \
             ({error})"
        ));
    }

    /// An option of the sending sockets is refused.
    pub(super) fn refused_option(&mut self, option: &str, error: &io::Error) {
        let said = format!("{option} is refused for the sending sockets: {error}");
        if !self.options.contains(&said) {
            self.options.push(said.clone());
            self.untold.push(said);
        }
    }

    /// A target cannot be reached; the caller sees to it that it is said once a target.
    pub(super) fn cannot_send(&mut self, destination: SocketAddr, error: &io::Error) {
        self.untold.push(format!("cannot send to {destination}: {error}"));
    }

    /// What has not been told yet.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.untold)
    }
}
