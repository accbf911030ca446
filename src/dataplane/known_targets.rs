//! The addresses and ports of all targets, by which the loop guard recognises the copies of this
//! process, and the ports of tunnels in which it looks for copies.

use std::net::{IpAddr, SocketAddr};

use super::compiled_target::CompiledTarget;
use super::flow_hash::FIRST_SOURCE_PORT;
use super::flow_key::FlowKey;

const UDP: u16 = 17;

/// The IANA port of VXLAN, and the port that Linux used before (RFC 7348, section 5).
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
/// The IANA port of GENEVE (RFC 8926, section 3.3).
const GENEVE_PORT: u16 = 6081;

/// The targets of this process, and the ports of tunnels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KnownTargets {
    /// Addresses and ports of all targets, sorted.
    targets: Vec<(IpAddr, u16)>,
    ports: TunnelPorts,
}

impl KnownTargets {
    /// Each address of these targets, and their ports in addition to the standard ports of tunnels.
    pub(super) fn new<'a>(known: impl Iterator<Item = &'a CompiledTarget>) -> Self {
        let mut targets = Vec::new();
        let mut ports = TunnelPorts::standard();
        for target in known {
            for address in target.addresses() {
                targets.push(address_and_port(address));
                ports.add(address.port(), target.gateway_endpoint.is_some());
            }
        }
        targets.sort_unstable();
        targets.dedup();
        Self { targets, ports }
    }

    /// The ports of all targets, sorted by address, with repetitions.
    pub(super) fn target_ports(&self) -> impl Iterator<Item = u16> {
        self.targets.iter().map(|(_, port)| *port)
    }

    /// The addresses and ports of all targets, sorted.
    #[cfg(feature = "live")]
    pub(super) fn targets(&self) -> &[(IpAddr, u16)] {
        &self.targets
    }

    /// Whether these are the outer headers of a copy to one of the targets.
    pub(super) fn is_own_copy(&self, key: &FlowKey) -> bool {
        if key.protocol != UDP || !key.has_ports || key.source_port < FIRST_SOURCE_PORT {
            return false;
        }
        let end = (key.destination(), key.destination_port);
        self.targets.binary_search(&end).is_ok()
    }

    /// The destination ports of tunnels over UDP.
    pub(super) const fn ports(&self) -> &TunnelPorts {
        &self.ports
    }
}

/// The destination ports of tunnels over UDP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TunnelPorts {
    vxlan: Vec<u16>,
    geneve: Vec<u16>,
}

impl TunnelPorts {
    /// The standard ports of VXLAN and GENEVE.
    pub(super) fn standard() -> Self {
        Self { vxlan: VXLAN_PORTS.to_vec(), geneve: vec![GENEVE_PORT] }
    }

    /// Adds the port of a target, or of a Gateway Load Balancer endpoint.
    pub(super) fn add(&mut self, port: u16, is_gateway: bool) {
        let ports = if is_gateway { &mut self.geneve } else { &mut self.vxlan };
        if !ports.contains(&port) {
            ports.push(port);
        }
    }

    /// The ports of VXLAN.
    #[cfg(feature = "live")]
    pub(super) fn vxlan(&self) -> &[u16] {
        &self.vxlan
    }

    /// The ports of GENEVE.
    #[cfg(feature = "live")]
    pub(super) fn geneve(&self) -> &[u16] {
        &self.geneve
    }

    /// All ports.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> {
        self.vxlan.iter().chain(&self.geneve).copied()
    }

    /// Whether VXLAN packets are sent to this port.
    pub(super) fn is_vxlan(&self, port: u16) -> bool {
        self.vxlan.contains(&port)
    }

    /// Whether GENEVE packets are sent to this port.
    pub(super) fn is_geneve(&self, port: u16) -> bool {
        self.geneve.contains(&port)
    }
}

const fn address_and_port(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip(), address.port())
}
