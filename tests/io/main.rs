//! The edges of the system: packet rings, network devices, and the sockets that send copies.

mod kernel_vxlan;
mod links;
mod ring_blocks;
mod send;
