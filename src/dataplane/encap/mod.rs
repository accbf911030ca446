//! Encapsulation: from a frame and a session to the bytes that leave.
//!
//! What belongs here: the outer headers (VXLAN, and GENEVE around it), the choice among the
//! addresses of a target, and the copies that a sink receives. What does not belong here: which
//! session mirrors a packet (`table`), and sending (`io`).
//!
//! Read from top to bottom; each file uses only files above it:
//!
//! ```text
//! inner_bytes       the bytes of the frame that are copied
//! outer_header      lengths of the headers, and the headers of one copy
//! checksum          RFC 1071
//! vxlan             Ethernet, IP, UDP, VXLAN: built once for a session, patched for each copy
//! geneve            the headers around VXLAN for a Gateway Load Balancer endpoint
//! outer_template    both together
//! target_balancer   the address of a load balancer that receives a flow
//! session_encap     a session's templates, one for each address of its target
//! copy              the copies of a burst, as a sink receives them
//! ```

mod checksum;
pub(super) mod copy;
mod geneve;
mod inner_bytes;
mod outer_header;
mod outer_template;
pub(super) mod session_encap;
pub(super) mod target_balancer;
mod vxlan;

#[cfg(feature = "live")]
pub(crate) use checksum::{fold, sum_of_pieces, sum_of_words};
pub(crate) use copy::CopyRef;
pub use copy::{Copies, MirroredCopy};
pub use inner_bytes::InnerBytes;
pub use outer_header::{
    ETHERNET_LEN, GENEVE_OVERHEAD_LEN, MAX_OUTER_LEN, OuterHeader, UDP_VXLAN_LEN,
};
pub use outer_template::{MAX_INNER_OVER_IPV4, MAX_INNER_OVER_IPV6, OuterTemplate};
