//! Reserves a name that no other process in the network namespace has.
//!
//! A name is reserved by binding an abstract UNIX socket (unix(7)) to it. Such a name belongs to one
//! network namespace, that of the thread that binds it, and the kernel frees it when the process
//! ends for any reason.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The reservation of a name, which lasts as long as this value.
#[derive(Debug)]
pub(crate) struct ReservedName {
    /// The open socket that holds the reservation.
    _socket: UnixDatagram,
}

impl ReservedName {
    /// Reserves `traffic-mirror/{name}`; none if it is reserved.
    pub(crate) fn reserve(name: &str) -> Option<Self> {
        let address = SocketAddr::from_abstract_name(format!("traffic-mirror/{name}")).ok()?;
        UnixDatagram::bind_addr(&address).ok().map(|socket| Self { _socket: socket })
    }
}
