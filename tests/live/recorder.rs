//! Records the frames that pass a device, with a packet socket.
//!
//! The socket is not bound and receives from all devices of the namespace; a kernel filter accepts
//! those of one device.

use std::io::Read;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use testkit::namespace::Namespace;
use testkit::print_uncaptured;

/// `ETH_P_ALL` of `linux/if_ether.h`.
const ALL_PROTOCOLS: u16 = 3;

/// `SKF_AD_OFF` and `SKF_AD_IFINDEX` of `linux/filter.h`.
const INTERFACE_INDEX: u32 = 0xffff_f000 + 8;

/// Room for all queued frames, so that a busy machine loses none.
pub(crate) const RECEIVE_BUFFER_LEN: usize = 256 << 20;

/// Longer than the longest packet, in bytes.
pub(crate) const MAX_FRAME_LEN: usize = 1 << 17;

/// A thread that records.
#[derive(Debug)]
pub(crate) struct Recorder {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// Starts to record.
    pub(crate) fn start(namespace: &Namespace, device: &str) -> Self {
        let index = namespace.index_of(device);
        let socket = namespace.inside(|| {
            let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
            Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap()
        });
        socket.attach_filter(&interface_filter(index)).unwrap();
        enlarge_receive_buffer(&socket);
        // Discards frames of other devices that arrived before the filter was attached.
        socket.set_nonblocking(true).unwrap();
        while socket.recv(&mut [MaybeUninit::uninit()]).is_ok() {}
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let thread = thread::spawn(move || record(&socket, &end));
        Self { is_over, thread: Some(thread) }
    }

    /// All frames that passed, in order.
    pub(crate) fn end(mut self) -> Vec<Vec<u8>> {
        self.is_over.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// Enlarges the receive buffer beyond the limit if root may do so. Root of a user namespace is
/// limited by `net.core.rmem_max`.
pub(crate) fn enlarge_receive_buffer(socket: &Socket) {
    if set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER_LEN).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER_LEN).unwrap();
    }
}

/// `len`, or fewer bytes if a receive buffer of `enlarge_receive_buffer` is smaller than requested.
/// A test can then send four times as many bytes while the reader does not run. The first call
/// prints a line if the buffer is smaller.
///
/// The kernel counts the memory of the frames, which is up to four times their length.
pub(crate) fn len_that_fits(len: usize) -> usize {
    static MAX_LEN: OnceLock<usize> = OnceLock::new();
    let max_len = *MAX_LEN.get_or_init(|| {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        enlarge_receive_buffer(&socket);
        let buffer_len = socket.recv_buffer_size().unwrap();
        if buffer_len < RECEIVE_BUFFER_LEN {
            print_uncaptured(&format!(
                "receive buffers of this user have at most {buffer_len} bytes (net.core.rmem_max): \
                 tests send at most {} bytes at a time\n",
                buffer_len / 16
            ));
            return buffer_len / 16;
        }
        usize::MAX
    });
    len.min(max_len)
}

fn record(socket: &Socket, is_over: &AtomicBool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut buffer = vec![0; MAX_FRAME_LEN];
    loop {
        // Read the flag first: frames that passed before the end are still read.
        let is_last = is_over.load(Ordering::Acquire);
        match (&*socket).read(&mut buffer) {
            Ok(len) => frames.push(buffer[..len].to_vec()),
            Err(_) if is_last => return frames,
            Err(_) => {}
        }
    }
}

/// Classic BPF: load the index of the interface; if it is `index`, accept 256 KiB, else reject.
fn interface_filter(index: u32) -> [SockFilter; 4] {
    [
        SockFilter::new(0x20, 0, 0, INTERFACE_INDEX),
        SockFilter::new(0x15, 0, 1, index),
        SockFilter::new(0x06, 0, 0, 0x0004_0000),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}
