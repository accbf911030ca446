//! The encapsulation of a session: its length limits, and one header template for each address of
//! its target.

use std::net::SocketAddr;
use std::sync::Arc;

use super::geneve::{GeneveTemplate, attachment_id};
use super::outer_template::OuterTemplate;
use super::target_balancer::{TargetBalancer, TargetBalancers};
use crate::dataplane::table_parts::{CompiledSession, TableParts};
use crate::model::{SessionId, VXLAN_PORT};

/// The header templates and the length limits of a session.
#[derive(Debug)]
pub(in crate::dataplane) struct SessionEncap {
    /// The id of the session.
    pub(super) session_id: SessionId,
    outer: OuterTemplate,
    /// Templates for the other addresses of a load balancer.
    further: Option<Box<BalancedTemplates>>,
    /// The smallest of PacketLength, the MTU limit and the longest UDP datagram, in bytes.
    pub(in crate::dataplane) max_inner_len: u32,
    /// PacketLength alone, in bytes.
    pub(in crate::dataplane) packet_length: u32,
    /// Whether the target has an address. Without it, all copies are dropped.
    pub(in crate::dataplane) has_address: bool,
}

#[derive(Debug)]
struct BalancedTemplates {
    balancer: Arc<TargetBalancer>,
    templates: Vec<OuterTemplate>,
}

impl SessionEncap {
    /// Builds the templates of one session of `parts`. Balancers of an earlier table are reused.
    pub(in crate::dataplane) fn new(
        parts: &TableParts,
        session: &CompiledSession,
        (balancers, previous): (&mut TargetBalancers, &TargetBalancers),
    ) -> Self {
        let target = parts.targets.get(session.target.get());
        let nowhere = SocketAddr::new(session.source_address, 0);
        let known = target.and_then(|target| target.address);
        let address = known.unwrap_or(nowhere);
        let endpoint = target.and_then(|target| target.gateway_endpoint);
        let outer = |address: SocketAddr| {
            let (source, vni) = (session.source_address, session.virtual_network_id);
            let Some(endpoint) = endpoint else { return OuterTemplate::new(source, address, vni) };
            let interface = parts.interfaces.get(session.interface.get());
            let attachment = interface.map_or(0, |one| attachment_id(one.id().as_str()));
            let vxlan = SocketAddr::new(address.ip(), VXLAN_PORT);
            OuterTemplate::new(source, vxlan, vni)
                .in_geneve(GeneveTemplate::new(source, address, endpoint, attachment))
        };
        let further = target.filter(|target| !target.further_addresses.is_empty()).map(|target| {
            let others = &target.further_addresses;
            let all: Vec<SocketAddr> = [address].iter().chain(others).copied().collect();
            let templates = others.iter().map(|address| outer(*address)).collect();
            Box::new(BalancedTemplates { balancer: balancers.get(&all, previous), templates })
        });
        let outer = outer(address);
        let by_mtu = outer.max_inner_len(target.and_then(|target| target.mtu));
        let by_user = session.packet_length.map_or(u32::MAX, |length| u32::from(length.value()));
        Self {
            session_id: session.id.clone(),
            outer,
            further,
            max_inner_len: by_mtu.min(by_user),
            packet_length: by_user,
            has_address: known.is_some(),
        }
    }

    /// The templates, one for each address of the target.
    #[cfg(feature = "live")]
    pub(in crate::dataplane) fn templates(&self) -> impl Iterator<Item = &OuterTemplate> {
        let further = self.further.iter().flat_map(|further| &further.templates);
        std::iter::once(&self.outer).chain(further)
    }

    /// The index of the address of each slot; `None` if the target has one address.
    #[cfg(feature = "live")]
    pub(in crate::dataplane) fn slots(&self) -> Option<&[u8]> {
        self.further.as_ref().map(|further| further.balancer.slots())
    }

    /// The template for a flow, and the index of its destination address.
    #[inline(always)]
    pub(in crate::dataplane) fn template_for(&self, flow_tag: u16) -> (&OuterTemplate, usize) {
        match &self.further {
            None => (&self.outer, 0),
            Some(further) => self.balanced_template(further, flow_tag),
        }
    }

    #[inline(never)]
    fn balanced_template<'a>(
        &'a self,
        further: &'a BalancedTemplates,
        flow_tag: u16,
    ) -> (&'a OuterTemplate, usize) {
        let index = further.balancer.address_index(flow_tag);
        let outer = index.checked_sub(1).and_then(|behind| further.templates.get(behind));
        outer.map_or((&self.outer, 0), |outer| (outer, index))
    }
}
