//! The loop guard: frames that a live mirror does not mirror because they are copies already.
//!
//! Two rules hold. A copy that this process sent, known by its outer headers, is never mirrored:
//! a mirror of the interface that copies leave by would copy each copy without end. A copy of a
//! copy is never mirrored, whoever sent it: two hosts that mirror to each other would do the same
//! together. A copy of another process is mirrored once, as any other VXLAN packet is.
//!
//! The second rule needs a look into the packet (`nesting`). It is done only for packets whose
//! ports make it worth it: one comparison of the source port and one test of a bit.

use super::compiled_target::CompiledTarget;
use super::flow_hash::FIRST_SOURCE_PORT;
use super::flow_key::FlowKey;
use super::frame::Frame;
use super::known_targets::KnownTargets;
use super::nesting;
use super::verdict::NotMirrored;

/// Recognises copies, our own and nested ones.
#[derive(Debug, PartialEq, Eq)]
pub struct LoopGuard {
    known: KnownTargets,
    /// Packets from this source port on are looked at; above all ports without a guard.
    first_source_port: u32,
    /// Packets to these destination ports are looked at: one bit for each value of [`port_bit`].
    destination_bits: u64,
}

impl LoopGuard {
    /// A guard that recognises the copies to these targets, and copies of copies to any target.
    pub fn new<'a>(known: impl Iterator<Item = &'a CompiledTarget>) -> Self {
        let known = KnownTargets::new(known);
        // Packets without ports have zero in their place: tunnels of other protocols, ICMP errors.
        let destination_bits =
            known.ports().iter().chain([0]).fold(0, |bits, port| bits | 1 << port_bit(port));
        let first_source_port = u32::from(FIRST_SOURCE_PORT);
        Self { known, first_source_port, destination_bits }
    }

    /// The ports of all targets, in order, with repetitions.
    pub(crate) fn target_ports(&self) -> impl Iterator<Item = u16> {
        self.known.target_ports()
    }

    /// A guard that finds nothing.
    pub(super) fn disabled() -> Self {
        let first_source_port = u32::from(u16::MAX) + 1;
        Self { known: KnownTargets::default(), first_source_port, destination_bits: 0 }
    }

    /// Whether a packet may be a copy, or may carry one. Most packets are not and cannot.
    #[inline(always)]
    pub(super) fn may_be_copy(&self, key: &FlowKey) -> bool {
        u32::from(key.source_port) >= self.first_source_port
            || self.destination_bits >> port_bit(key.destination_port) & 1 == 1
    }

    /// Why a suspected frame is not mirrored, if it is not.
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

/// Ports share a bit with others. Those of VXLAN and GENEVE share none with DNS, HTTP and SIP.
#[inline(always)]
const fn port_bit(port: u16) -> u16 {
    port >> 2 & 63
}
