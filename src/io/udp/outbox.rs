//! What of a copy the sockets need to know.

use std::net::{IpAddr, SocketAddr};

use crate::dataplane::{Copies, Inner};
use crate::model::Rate;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// Index of the target in the mirror table.
    pub(super) target: u32,
    /// The target's address.
    pub(super) destination: SocketAddr,
    /// The outer source address that the session asks for.
    pub(super) source: IpAddr,
}

/// One copy on its way out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) way: Way,
    /// Index of the session in the mirror table.
    pub(super) session: u32,
    /// The low seven bits of the UDP source port.
    pub(super) flow_hash: u8,
    /// Copies of one flow have the same.
    pub(super) flow_tag: u16,
    /// What the session and the target may take.
    pub(super) limits: [Option<Rate>; 2],
    pub(super) vxlan: [u8; 8],
    pub(super) inner: Inner<'a>,
}

/// The copies of a burst.
pub(super) trait Outbox {
    /// How many there are.
    fn len(&self) -> usize;

    /// One of them; nothing where it leads nowhere.
    fn get(&self, index: usize) -> Option<Outgoing<'_>>;
}

impl Outbox for Copies<'_> {
    fn len(&self) -> usize {
        Copies::len(self)
    }

    fn get(&self, index: usize) -> Option<Outgoing<'_>> {
        let copy = Copies::get(self, index)?;
        let session = self.table().sessions().get(usize::try_from(copy.session()).ok()?)?;
        let target = self.table().targets().get(usize::try_from(session.target).ok()?)?;
        Some(Outgoing {
            way: Way {
                target: session.target,
                destination: target.address,
                source: session.source_address,
            },
            session: copy.session(),
            flow_hash: copy.flow_hash(),
            flow_tag: copy.flow_tag(),
            limits: [session.rate_limit, target.rate_limit],
            vxlan: copy.vxlan_header(),
            inner: copy.inner(),
        })
    }
}
