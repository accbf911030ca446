//! Sockets at fixed ports.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::Socket;

use crate::waiting::wait_for;

/// Binds a socket, once the port is free. A port that this process has closed is free a little later
/// if another thread is starting a program: until the program runs, it holds copies of all sockets.
pub(crate) fn bind(socket: &Socket, address: SocketAddr) {
    retry(address, || socket.bind(&address.into()));
}

/// A UDP socket at an address with a port.
pub(crate) fn bind_udp(address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().unwrap();
    retry(address, || UdpSocket::bind(address))
}

fn retry<T>(address: SocketAddr, mut attempt: impl FnMut() -> io::Result<T>) -> T {
    wait_for(&format!("{address} is free"), || match attempt() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
        other => Some(other.unwrap()),
    })
}
