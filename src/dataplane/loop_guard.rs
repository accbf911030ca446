//! The loop guard: recognises frames that a live mirror must not mirror because they are copies.
//!
//! There are two rules. A copy that this process sent is never mirrored; otherwise a mirror of the
//! interface that sends the copies would copy each copy without end. Such a copy is recognised by
//! its outer headers. A copy of a copy is never mirrored, no matter which host sent it; otherwise
//! two hosts that mirror to each other would do so without end. A copy that another process sent is
//! mirrored once, like any other VXLAN packet.
//!
//! The second rule must parse the packet (`nesting`). To save time, only packets with suspect ports
//! that are not TCP are parsed. The test is one comparison of the source port and one bit of a word
//! for the destination port. Example: port 4789 has the bit `4789 >> 2 & 63` = 45, which it shares
//! with 1,023 other ports. The standard ports of tunnels and port 0 set four of the 64 bits, so one
//! of 16 random destination ports is suspect.

use super::compiled_target::CompiledTarget;
use super::flow_hash::FIRST_SOURCE_PORT;
use super::flow_key::{FlowKey, Ipv4Key};
use super::frame::Frame;
use super::known_targets::KnownTargets;
use super::nesting;
use super::verdict::NotMirrored;

const TCP: u16 = 6;

/// Recognises copies of this process and nested copies.
#[derive(Debug, PartialEq, Eq)]
pub struct LoopGuard {
    known: KnownTargets,
    /// Packets with this source port or a higher one are suspect; 65,536 if the guard is disabled.
    first_source_port: u32,
    /// Packets to these destination ports are suspect: one bit for each value of [`port_bit`].
    destination_bits: u64,
}

impl LoopGuard {
    /// A guard that recognises the copies to these targets, and copies of copies to any target.
    pub fn new<'a>(known: impl Iterator<Item = &'a CompiledTarget>) -> Self {
        let known = KnownTargets::new(known);
        // The port of packets without ports is 0: tunnels of other protocols, and ICMP errors.
        let destination_bits =
            known.ports().iter().chain([0]).fold(0, |bits, port| bits | 1 << port_bit(port));
        let first_source_port = u32::from(FIRST_SOURCE_PORT);
        Self { known, first_source_port, destination_bits }
    }

    /// The ports of all targets, with repetitions.
    pub fn target_ports(&self) -> impl Iterator<Item = u16> {
        self.known.target_ports()
    }

    /// A guard that suspects no packet.
    pub(super) fn disabled() -> Self {
        let first_source_port = u32::from(u16::MAX) + 1;
        Self { known: KnownTargets::default(), first_source_port, destination_bits: 0 }
    }

    /// Whether a packet may be a copy or may contain one; false for most packets.
    #[inline(always)]
    pub(super) fn may_be_copy(&self, key: &FlowKey) -> bool {
        self.is_suspect(key.protocol, key.source_port, key.destination_port)
    }

    /// The same for a packet of IPv4 with ports.
    #[inline(always)]
    pub(super) fn may_be_ipv4_copy(&self, key: Ipv4Key) -> bool {
        self.is_suspect(key.protocol, key.source_port, key.destination_port)
    }

    /// Tests protocol and ports without branches. TCP carries no copies and no tunnels, and its
    /// clients use many ports that share a bit with a suspect port.
    #[inline(always)]
    fn is_suspect(&self, protocol: u16, source_port: u16, destination_port: u16) -> bool {
        (protocol != TCP)
            & ((u32::from(source_port) >= self.first_source_port)
                | (self.destination_bits >> port_bit(destination_port) & 1 == 1))
    }

    /// Whether the guard suspects any packet.
    pub(super) const fn is_enabled(&self) -> bool {
        self.destination_bits != 0
    }

    /// The bits of the suspect destination ports, by [`port_bit`].
    #[cfg(feature = "live")]
    pub(super) const fn destination_bits(&self) -> u64 {
        self.destination_bits
    }

    /// The targets whose copies it recognises.
    #[cfg(feature = "live")]
    pub(super) const fn known(&self) -> &KnownTargets {
        &self.known
    }

    /// The reason why a suspect frame must not be mirrored; `None` if it may be mirrored.
    #[cold]
    #[inline(never)]
    pub(super) fn not_mirrored_reason(
        &self,
        key: &FlowKey,
        frame: &Frame<'_>,
    ) -> Option<NotMirrored> {
        if self.known.is_own_copy(key) {
            return Some(NotMirrored::OwnTraffic);
        }
        if nesting::may_encapsulate(key.protocol) {
            nesting::nested_copy_reason(&self.known, frame)
        } else {
            None
        }
    }
}

/// The bit of a port. Several ports share a bit, but VXLAN and GENEVE share none with DNS, HTTP and
/// SIP.
#[inline(always)]
const fn port_bit(port: u16) -> u16 {
    port >> 2 & 63
}
