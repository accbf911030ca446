//! Opens an interface: one ring for each worker. The rings form a fanout group (packet(7)), so that
//! the kernel sends all frames of a flow to the same worker. It distributes IP fragments by their
//! addresses only, so they may go to another worker than the other frames of their flow.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Socket, Type};

use super::filter;
use super::options::RingOptions;
use super::ring_size::geometry;
use super::ring_source::RingSource;
use super::wake_socket::WakeSocket;
use super::waker::Waker;
use crate::io::sys::ring::Ring;
use crate::io::sys::{option, resource};

const ALL_PROTOCOLS: u16 = 3;

/// Opens the interface at `index`, with one source for each waker. All frames of a flow except IP
/// fragments go to the same source.
///
/// # Errors
/// The process lacks CAP_NET_RAW, there is no such interface, or there is not enough memory.
pub fn open(index: u32, options: &RingOptions, wakers: &[Waker]) -> io::Result<Vec<RingSource>> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    let mut group = None;
    let mut sources = Vec::with_capacity(wakers.len());
    for waker in wakers {
        // The wake socket is opened first: the kernel delivers a frame to the tap that was added
        // last first, so the frame is in the ring when the wake socket wakes the worker.
        let wake_socket = WakeSocket::open(index, options.mark, options.is_loopback)?;
        let ring = ring(index, options)?;
        if wakers.len() > 1 {
            group = Some(option::join_fanout(ring.as_fd(), group)?);
        }
        sources.push(RingSource::new(ring, wake_socket, waker.clone(), options));
    }
    Ok(sources)
}

fn ring(index: i32, options: &RingOptions) -> io::Result<Ring> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    resource::check_reserve(&socket)?;
    let first_filter = if options.starts_closed {
        filter::reject_all()
    } else {
        filter::exclude_own_copies(options.mark, filter::MAX_SNAPLEN)
    };
    filter::attach(&socket, &first_filter)?;
    if options.is_loopback {
        option::ignore_outgoing(socket.as_fd())?;
    }
    let ring = Ring::new(socket, geometry(options.ring_len))?;
    option::bind_packet(ring.as_fd(), index, ALL_PROTOCOLS)?;
    Ok(ring)
}
