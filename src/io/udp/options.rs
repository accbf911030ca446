//! How copies are sent.

use crate::io::links::{self, Link};

/// Kinds of virtual devices that usually send through a network card.
const CARD_BACKED_KINDS: [&str; 3] = ["vlan", "bond", "team"];

/// How copies are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UdpOptions {
    /// Whether consecutive copies of one flow and length are sent as one message, which the kernel
    /// or the card cuts. Disabled for a target if the kernel rejects it.
    pub segmentation: Segmentation,
    /// The order in which the copies of a burst leave.
    pub order: DepartureOrder,
    /// The form in which copies are passed to the kernel.
    pub egress: EgressMode,
    /// Whether copies are dropped when the egress queue is full (live mirroring) or delayed
    /// (replay).
    pub sheds_load: bool,
    /// `SO_MARK` of all sent packets, by which the loop guard recognises them.
    pub mark: Option<u32>,
    /// The device for all copies, regardless of the routes (`SO_BINDTODEVICE`).
    pub device: Option<String>,
}

/// When a run of copies is sent as one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Segmentation {
    /// Never.
    #[default]
    Never,
    /// If messages are cut before they can be captured: not through a virtual device that forwards
    /// them whole, because a capture at its other end would show packets longer than those of a
    /// real wire.
    Auto,
    /// Always.
    Always,
}

/// The order in which the copies of a burst leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DepartureOrder {
    /// The order of arrival, across all flows.
    #[default]
    Arrival,
    /// The order of arrival within each flow. Copies of one UDP source port and length are
    /// gathered, so that more of them leave as one message. Copies of different flows may be
    /// reordered.
    Flow,
}

/// The form in which each copy is passed to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EgressMode {
    /// Complete Ethernet frames through a packet socket if the Ethernet address of the next hop is
    /// known, otherwise IP packets. Without the capability CAP_NET_RAW, datagrams of UDP sockets.
    #[default]
    Auto,
    /// IP packets through a raw socket, which pass the host's firewall. Without CAP_NET_RAW,
    /// datagrams of UDP sockets.
    IpPackets,
    /// Datagrams of UDP sockets, one for each source port in use.
    UdpSockets,
}

impl UdpOptions {
    /// Whether messages of several datagrams may be sent through `device`.
    pub(super) fn can_segment_over(&self, device: Option<&Link>) -> bool {
        match self.segmentation {
            Segmentation::Never => false,
            Segmentation::Always => true,
            Segmentation::Auto => device.and_then(segments_before_wire).unwrap_or(false),
        }
    }
}

/// Whether messages are cut by a network card or before the device; `None` if this is unknown.
fn segments_before_wire(link: &Link) -> Option<bool> {
    let is_card = match link.kind.as_deref() {
        None => !link.is_loopback,
        Some(kind) => CARD_BACKED_KINDS.contains(&kind),
    };
    // For a device without this offload, the kernel cuts each message first.
    let passes_on_whole = links::offloads(&link.name).ok()?.udp_segmentation?;
    Some(is_card || !passes_on_whole)
}
