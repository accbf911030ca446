//! Traffic between generator and host, sent with plain sockets in their namespaces.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::binding::bind;
use crate::lab::Lab;
use crate::recorder::{enlarge_receive_buffer, len_that_fits};
use testkit::namespace::Namespace;

/// How long a socket waits for an expected packet.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The receive buffer of TCP sockets in bytes, so small that no queue of the lab overflows.
const WINDOW: usize = 64 << 10;

/// The addresses of generator and host.
pub(crate) const IPV4: (&str, &str) = ("10.98.1.1", "10.98.1.2");
pub(crate) const IPV6: (&str, &str) = ("fd98::1", "fd98::2");

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), port)
}

/// Opens a connection from the generator to the host and sends `len` bytes each way at once, or as
/// many as the recorders have room for.
pub(crate) fn tcp(lab: &Lab, (_, host): (&str, &str), len: usize) {
    let len = len_that_fits(len);
    let address = at(host, 5001);
    let listener = lab.host.inside(|| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(WINDOW).unwrap();
        socket.set_reuse_address(true).unwrap();
        bind(&socket, address);
        socket.listen(1).unwrap();
        TcpListener::from(socket)
    });
    let near = lab.generator.inside(|| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(WINDOW).unwrap();
        socket.connect_timeout(&address.into(), TIMEOUT).unwrap();
        TcpStream::from(socket)
    });
    let far = listener.accept().unwrap().0;
    thread::scope(|scope| {
        for end in [&near, &far] {
            end.set_read_timeout(Some(TIMEOUT)).unwrap();
            end.set_write_timeout(Some(TIMEOUT)).unwrap();
            scope.spawn(|| send_stream(end, len));
            scope.spawn(|| receive_stream(end, len));
        }
    });
}

/// Opens `count` connections from the generator to the host at once, and sends `len` bytes on each
/// as fast as possible.
pub(crate) fn streams(lab: &Lab, (_, host): (&str, &str), count: usize, len: usize) {
    let address = at(host, 5002);
    let listener = lab.host.inside(|| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        bind(&socket, address);
        socket.listen(128).unwrap();
        TcpListener::from(socket)
    });
    thread::scope(|scope| {
        for _ in 0..count {
            let near = lab.generator.inside(|| TcpStream::connect(address).unwrap());
            let far = listener.accept().unwrap().0;
            for end in [&near, &far] {
                end.set_read_timeout(Some(TIMEOUT)).unwrap();
                end.set_write_timeout(Some(TIMEOUT)).unwrap();
            }
            scope.spawn(move || send_stream(&near, len));
            scope.spawn(move || receive_stream(&far, len));
        }
    });
}

/// Sends the bytes of [`stream_bytes`].
fn send_stream(mut stream: &TcpStream, len: usize) {
    stream.write_all(&stream_bytes(len)).unwrap();
}

/// `len` bytes without long repetitions, always the same.
pub(crate) fn stream_bytes(len: usize) -> Vec<u8> {
    let next = |word: &u32| Some(word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let words = std::iter::successors(next(&1), next);
    words.flat_map(u32::to_be_bytes).take(len).collect()
}

fn receive_stream(mut stream: &TcpStream, len: usize) {
    let mut buffer = vec![0; 256 << 10];
    let mut left = len;
    while left > 0 {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "the connection was closed {left} bytes before its end");
        left -= read;
    }
}

/// Two UDP sockets, one at each end of the wire.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) generator: UdpSocket,
    pub(crate) host: UdpSocket,
}

impl Pair {
    /// Connected to each other; the port of the generator is 4000 or above.
    pub(crate) fn new(lab: &Lab, (near, far): (&str, &str), ports: (u16, u16)) -> Self {
        let (near, far) = (at(near, ports.0), at(far, ports.1));
        let open = |namespace: &Namespace, from: SocketAddr, to: SocketAddr| {
            namespace.inside(|| {
                let socket = Socket::new(Domain::for_address(from), Type::DGRAM, None).unwrap();
                enlarge_receive_buffer(&socket);
                bind(&socket, from);
                socket.connect(&to.into()).unwrap();
                socket.set_read_timeout(Some(TIMEOUT)).unwrap();
                UdpSocket::from(socket)
            })
        };
        Self { generator: open(&lab.generator, near, far), host: open(&lab.host, far, near) }
    }

    /// Sends a datagram with a number in front from the generator to the host and receives it.
    pub(crate) fn send(&self, number: u32, len: usize) {
        send_between(&self.generator, &self.host, number, len);
    }

    /// Sends a datagram from the host to the generator and receives it.
    pub(crate) fn answer(&self, number: u32, len: usize) {
        send_between(&self.host, &self.generator, number, len);
    }
}

fn send_between(from: &UdpSocket, to: &UdpSocket, number: u32, len: usize) {
    from.send(&numbered(number, len)).unwrap();
    let mut buffer = vec![0; 1 << 16];
    assert_eq!(to.recv(&mut buffer).unwrap(), len);
    assert_eq!(buffer[..4], number.to_be_bytes());
}

/// A payload that begins with its number.
pub(crate) fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(len.max(4)).collect();
    payload.truncate(len.max(4));
    payload
}

/// The number at the start of the payload of a frame of UDP over IPv4 without options or tag.
pub(crate) fn number_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[42..46].try_into().unwrap())
}

/// Sends an echo request with `len` bytes and receives its reply.
pub(crate) fn ping(from: &Namespace, to: &str, number: u16, len: usize) {
    let address = at(to, 0);
    let (protocol, kind) =
        if address.is_ipv4() { (Protocol::ICMPV4, 8) } else { (Protocol::ICMPV6, 128) };
    let socket = from.inside(|| {
        let domain = Domain::for_address(address);
        Socket::new(domain, Type::RAW, Some(protocol)).unwrap()
    });
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let [high, low] = number.to_be_bytes();
    let mut request = vec![kind, 0, 0, 0, 0x77, 0x77, high, low];
    request.extend((0..=255_u8).cycle().take(len));
    if address.is_ipv4() {
        let sum = checksum(&request);
        request[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    socket.send_to(&request, &address.into()).unwrap();
    // A received packet has an IP header in IPv4 and none in IPv6; number and bytes are at its end.
    let end = request[4..].to_vec();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = (&socket).read(&mut buffer).unwrap();
        if buffer[..len].ends_with(&end) && !buffer[..len].ends_with(&request) {
            return;
        }
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

/// Sends frames unchanged on a device of the namespace.
pub(crate) fn inject(namespace: &Namespace, device: &str, frames: &[Vec<u8>]) {
    use pnet::datalink::{Channel, channel, interfaces};
    namespace.inside(|| {
        let device = interfaces().into_iter().find(|one| one.name == device).unwrap();
        let Channel::Ethernet(mut sender, _) = channel(&device, Default::default()).unwrap() else {
            panic!("{} is not Ethernet", device.name)
        };
        frames.iter().for_each(|frame| sender.send_to(frame, None).unwrap().unwrap());
    });
}
