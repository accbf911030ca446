//! The monitor: receives copies at a UDP port and splits them into headers and inner frame.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::binding::bind;
use crate::recorder::{MAX_FRAME_LEN, enlarge_receive_buffer};
use crate::waiting::{pause, wait_until};
use testkit::namespace::Namespace;

const VXLAN_PORT: u16 = 4789;

/// One decapsulated copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceivedCopy {
    pub(crate) virtual_network_id: u32,
    pub(crate) source_port: u16,
    pub(crate) inner: Vec<u8>,
}

/// A thread that receives copies.
#[derive(Debug)]
pub(crate) struct Collector {
    arrived: Arc<Mutex<Vec<ReceivedCopy>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Listens at port 4789 of an address of the namespace.
    pub(crate) fn listen(namespace: &Namespace, address: &str) -> Self {
        let arrived: Arc<Mutex<Vec<ReceivedCopy>>> = Arc::default();
        let copies = Arc::clone(&arrived);
        let keep = move |copy| copies.lock().unwrap().push(copy);
        let mut collector = Self::listen_with(namespace, address, keep);
        collector.arrived = arrived;
        collector
    }

    /// The same, but passes each copy to `receive` and stores none.
    pub(crate) fn listen_with(
        namespace: &Namespace,
        address: &str,
        receive: impl FnMut(ReceivedCopy) + Send + 'static,
    ) -> Self {
        let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), VXLAN_PORT);
        let socket = namespace.inside(|| {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).unwrap();
            enlarge_receive_buffer(&socket);
            bind(&socket, address);
            socket
        });
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let socket = UdpSocket::from(socket);
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let thread = thread::spawn(move || listen(&socket, receive, &end));
        Self { arrived: Arc::default(), is_over, thread: Some(thread) }
    }

    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap().len()
    }

    /// Waits until `count` copies have arrived.
    pub(crate) fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} copies"), || self.count() >= count);
    }

    /// All copies that arrived since the last call.
    pub(crate) fn take(&self) -> Vec<ReceivedCopy> {
        std::mem::take(&mut *self.arrived.lock().unwrap())
    }

    /// Waits for `count` copies and a short time more; returns all since the last call.
    pub(crate) fn take_after(&self, count: usize) -> Vec<ReceivedCopy> {
        self.wait_for(count);
        pause(100);
        self.take()
    }

    /// All copies since the last call, including those that are still in the socket.
    pub(crate) fn end(mut self) -> Vec<ReceivedCopy> {
        self.stop();
        self.take()
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Only the inner frames.
pub(crate) fn inner_frames(arrived: Vec<ReceivedCopy>) -> Vec<Vec<u8>> {
    arrived.into_iter().map(|one| one.inner).collect()
}

/// The number of copies by network identifier.
pub(crate) fn by_network(arrived: &[ReceivedCopy]) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for one in arrived {
        *counts.entry(one.virtual_network_id).or_default() += 1;
    }
    counts
}

fn listen(socket: &UdpSocket, mut receive: impl FnMut(ReceivedCopy), is_over: &AtomicBool) {
    let mut buffer = vec![0; MAX_FRAME_LEN];
    loop {
        // Read the flag first: copies that arrived before the end are still read.
        let is_last = is_over.load(Ordering::Acquire);
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => receive(decapsulated(&buffer[..len], from.port())),
            Err(_) if is_last => return,
            Err(_) => {}
        }
    }
}

/// RFC 7348, section 5: flags, reserved, 24 bits of network identifier, reserved.
fn decapsulated(datagram: &[u8], source_port: u16) -> ReceivedCopy {
    let (header, inner) = datagram.split_at(8);
    assert_eq!((&header[..4], header[7]), (&[8, 0, 0, 0][..], 0), "a VXLAN header");
    let virtual_network_id = u32::from_be_bytes([0, header[4], header[5], header[6]]);
    ReceivedCopy { virtual_network_id, source_port, inner: inner.to_vec() }
}
