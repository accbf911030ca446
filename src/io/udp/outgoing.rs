//! The properties of a burst's copies that sending needs: a few of each copy, more of each session.
//! The trait lets tests send copies without a mirror table.

use std::net::{IpAddr, SocketAddr};

use crate::dataplane::{Copies, GENEVE_OVERHEAD_LEN, InnerBytes, SessionIndex, TargetIndex};
use crate::model::Rate;

/// Identifies a path: source and destination of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathKey {
    /// The target.
    pub(super) target: TargetIndex,
    /// The target's address.
    pub(super) destination: SocketAddr,
    /// The outer source address that the session requests.
    pub(super) source: IpAddr,
    /// Whether copies are encapsulated in GENEVE.
    pub(super) is_in_geneve: bool,
}

impl PathKey {
    /// Length of the headers between the UDP header and the VXLAN header, in bytes.
    pub(super) const fn geneve_len(&self) -> usize {
        let [v4, v6] = GENEVE_OVERHEAD_LEN;
        match (self.is_in_geneve, self.destination) {
            (false, _) => 0,
            (true, SocketAddr::V4(_)) => v4,
            (true, SocketAddr::V6(_)) => v6,
        }
    }
}

/// The properties that all copies of a session share.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionEgress {
    pub(super) path_key: PathKey,
    /// The rate limits of the session and of the target.
    pub(super) limits: [Option<Rate>; 2],
}

/// One copy that will be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutgoingCopy<'a> {
    /// The session.
    pub(super) session: SessionIndex,
    /// The low seven bits of the UDP source port.
    pub(super) flow_hash: u8,
    /// Index among the addresses of the session's target.
    pub(super) destination: usize,
    /// The same for all copies of a flow.
    pub(super) flow_tag: u16,
    pub(super) inner: InnerBytes<'a>,
}

/// The copies of a burst.
pub(super) trait OutgoingCopies {
    /// Number of copies.
    fn len(&self) -> usize;

    /// The number of the mirror table that created the copies.
    fn table_number(&self) -> u64;

    /// Number of sessions of that table.
    fn sessions(&self) -> usize;

    /// The properties that a session's copies share; `None` for a session without a target.
    fn session_egress(&self, session: SessionIndex) -> Option<SessionEgress>;

    /// The keys of the paths to the other addresses of the session's target.
    fn additional_keys(&self, session: SessionIndex) -> Vec<PathKey>;

    /// The copy at `index`; `None` if there is none.
    fn get(&self, index: usize) -> Option<OutgoingCopy<'_>>;

    /// The VXLAN header of one copy.
    fn vxlan_header(&self, index: usize) -> [u8; 8];

    /// The GENEVE headers before it, for a frame that is truncated to `inner`.
    fn geneve_header(&self, index: usize, inner: InnerBytes<'_>) -> Vec<u8>;
}

impl OutgoingCopies for Copies<'_> {
    fn len(&self) -> usize {
        Copies::len(self)
    }

    fn table_number(&self) -> u64 {
        self.table().number()
    }

    fn sessions(&self) -> usize {
        self.table().sessions().len()
    }

    fn session_egress(&self, session: SessionIndex) -> Option<SessionEgress> {
        let session = self.table().session(session)?;
        let target = self.table().target(session.target)?;
        Some(SessionEgress {
            path_key: PathKey {
                target: session.target,
                destination: target.address?,
                source: session.source_address,
                is_in_geneve: target.gateway_endpoint.is_some(),
            },
            limits: [session.rate_limit, target.rate_limit],
        })
    }

    fn additional_keys(&self, session: SessionIndex) -> Vec<PathKey> {
        let Some(SessionEgress { path_key, .. }) = self.session_egress(session) else {
            return Vec::new();
        };
        let others = self.table().target(path_key.target).map(|target| &*target.further_addresses);
        let others = others.unwrap_or_default().iter();
        others.map(|destination| PathKey { destination: *destination, ..path_key }).collect()
    }

    #[inline]
    fn get(&self, index: usize) -> Option<OutgoingCopy<'_>> {
        let copy = Copies::get(self, index)?;
        Some(OutgoingCopy {
            session: copy.session(),
            flow_hash: copy.flow_hash(),
            destination: copy.destination(),
            flow_tag: copy.flow_tag(),
            inner: copy.inner(),
        })
    }

    #[inline]
    fn vxlan_header(&self, index: usize) -> [u8; 8] {
        Copies::get(self, index).map_or([0; 8], |copy| copy.vxlan_header())
    }

    fn geneve_header(&self, index: usize, inner: InnerBytes<'_>) -> Vec<u8> {
        Copies::get(self, index).map(|copy| copy.geneve_prefix(inner)).unwrap_or_default()
    }
}
