//! Warnings about paths to targets. Each is reported once.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// The pending warnings, and what was already reported.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    pending: Vec<String>,
    sources: Vec<IpAddr>,
    options: Vec<String>,
    has_reported_port: bool,
}

impl Warnings {
    /// The outer source address is not an address of this host.
    pub(super) fn foreign_source(&mut self, source: IpAddr) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
            self.pending.push(format!(
                "outer source address {source}: expected an address of this host; copies are sent \
                 from the address that the kernel chooses"
            ));
        }
    }

    /// A UDP source port is in use.
    pub(super) fn port_taken(&mut self, port: u16, error: &io::Error) {
        if !std::mem::replace(&mut self.has_reported_port, true) {
            self.pending.push(format!(
                "UDP source port {port} cannot be used ({error}): copies of its flows are sent \
                 from any free port"
            ));
        }
    }

    /// The kernel does not cut messages to a target.
    pub(super) fn cannot_segment(&mut self, destination: SocketAddr, error: &io::Error) {
        self.pending.push(format!(
            "copies to {destination} are sent one by one: the kernel no longer cuts longer \
             messages there ({error})"
        ));
    }

    /// The kernel rejects an option of the sending sockets.
    pub(super) fn refused_option(&mut self, option: &str, error: &io::Error) {
        let warning = format!("the kernel rejects {option} for the sending sockets: {error}");
        if !self.options.contains(&warning) {
            self.options.push(warning.clone());
            self.pending.push(warning);
        }
    }

    /// Nothing can be sent to a target. The caller reports it once for each target.
    pub(super) fn cannot_send(&mut self, destination: SocketAddr, error: &io::Error) {
        self.pending.push(format!("cannot send to {destination}: {error}"));
    }

    /// The kernel does not report the copies that the queue of an egress device loses.
    pub(super) fn lossy_queue(&mut self, device: &str, queue: &str) {
        self.pending.push(format!(
            "copies that are lost in the queue of {device} cannot be counted: its queueing \
             discipline `{queue}` does not report them; `pfifo` and `fq` do"
        ));
    }

    /// The sockets that receive ICMP errors cannot be opened.
    pub(super) fn no_icmp(&mut self, error: &io::Error) {
        self.pending.push(format!(
            "ICMP errors are not read ({error}): targets that refuse copies are not reported, and a \
             smaller MTU on the path to a target is not noticed"
        ));
    }

    /// Any other warning.
    pub(super) fn add(&mut self, warning: String) {
        self.pending.push(warning);
    }

    /// The warnings since the last call.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.pending)
    }
}
