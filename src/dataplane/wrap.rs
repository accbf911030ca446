//! How the copies of a session look: headers to its target, or to each address of it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::geneve::{Gateway, attachment_id};
use super::outer::OuterTemplate;
use super::spread::{Spread, Spreads};
use super::table::{SessionEntry, TableParts};
use crate::model::VXLAN_PORT;

/// How the copies of a session look.
#[derive(Debug)]
pub(super) struct Wrap {
    outer: OuterTemplate,
    /// The headers to the other addresses of a load balancer.
    further: Option<Box<Further>>,
    /// PacketLength, MTU and the longest UDP datagram in one number.
    pub(super) most_inner_len: u32,
    /// PacketLength alone.
    pub(super) packet_length: u32,
}

#[derive(Debug)]
struct Further {
    spread: Arc<Spread>,
    outers: Vec<OuterTemplate>,
}

impl Wrap {
    /// The headers of a session of the parts. Spreads that are there already are taken over.
    pub(super) fn new(
        parts: &TableParts,
        session: &SessionEntry,
        (spreads, earlier): (&mut Spreads, &Spreads),
    ) -> Self {
        let place = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        let target = parts.targets.get(place(session.target));
        let nowhere = SocketAddr::new(session.source_address, 0);
        let address = target.map_or(nowhere, |target| target.address);
        let endpoint = target.and_then(|target| target.gateway_endpoint);
        let outer = |address: SocketAddr| {
            let (source, vni) = (session.source_address, session.virtual_network_id);
            let Some(endpoint) = endpoint else { return OuterTemplate::new(source, address, vni) };
            let interface = parts.interfaces.get(place(session.interface));
            let attachment = interface.map_or(0, |one| attachment_id(one.id().as_str()));
            let vxlan = SocketAddr::new(address.ip(), VXLAN_PORT);
            OuterTemplate::new(source, vxlan, vni)
                .within(Gateway::new(source, address, endpoint, attachment))
        };
        let further = target.filter(|target| !target.further_addresses.is_empty()).map(|target| {
            let others = &target.further_addresses;
            let all: Vec<SocketAddr> = [address].iter().chain(others).copied().collect();
            let outers = others.iter().map(|address| outer(*address)).collect();
            Box::new(Further { spread: spreads.get(&all, earlier), outers })
        });
        let outer = outer(address);
        let by_mtu = outer.max_inner_len(target.and_then(|target| target.mtu));
        let by_user = session.packet_length.map_or(u32::MAX, |length| u32::from(length.value()));
        Self { most_inner_len: by_mtu.min(by_user), packet_length: by_user, outer, further }
    }

    /// The headers of a flow, and the index of the address that they lead to.
    #[inline(always)]
    pub(super) fn outer(&self, flow_tag: u16) -> (&OuterTemplate, usize) {
        match &self.further {
            None => (&self.outer, 0),
            Some(further) => self.outer_among(further, flow_tag),
        }
    }

    #[inline(never)]
    fn outer_among<'a>(
        &'a self,
        further: &'a Further,
        flow_tag: u16,
    ) -> (&'a OuterTemplate, usize) {
        let index = further.spread.of(flow_tag);
        let outer = index.checked_sub(1).and_then(|behind| further.outers.get(behind));
        outer.map_or((&self.outer, 0), |outer| (outer, index))
    }
}
