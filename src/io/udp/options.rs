//! How copies are sent.

use crate::io::links::{self, Link};

/// Kinds of virtual devices that are mostly a network card by another name.
const CARD_BACKED_KINDS: [&str; 3] = ["vlan", "bond", "team"];

/// How copies are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UdpOptions {
    /// Whether consecutive copies of one flow and length are given to the kernel as one message,
    /// which the kernel or the card cuts. Given up where the kernel refuses it.
    pub segmentation: Segmentation,
    /// In which order the copies of a burst leave.
    pub order: DepartureOrder,
    /// What is given to the kernel.
    pub egress: EgressMode,
    /// Whether copies are dropped at once where the egress queue refuses, as a live mirror must, or
    /// delayed, as a replay does.
    pub sheds_load: bool,
    /// `SO_MARK` of everything that is sent, by which the loop guard recognises it.
    pub mark: Option<u32>,
    /// The device that copies leave by, whatever the routes say (`SO_BINDTODEVICE`).
    pub device: Option<String>,
}

/// When runs of copies leave as one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Segmentation {
    /// Never.
    #[default]
    Never,
    /// Where messages are cut before anything sees them: not through a virtual device that passes
    /// them on whole, because a capture at its far end would show what no wire carries.
    Auto,
    /// Always.
    Always,
}

/// In which order the copies of a burst leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DepartureOrder {
    /// The order of arrival, across all flows.
    #[default]
    Arrival,
    /// The order of arrival within each flow. Copies of one UDP source port and length are
    /// gathered, so that more of them leave as one message; different flows change places.
    Flow,
}

/// What the kernel is given for each copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EgressMode {
    /// Complete Ethernet frames through a packet socket where the Ethernet address of the next
    /// hop is known, otherwise IP packets. Without the capability CAP_NET_RAW, datagrams of UDP
    /// sockets.
    #[default]
    Auto,
    /// IP packets through a raw socket, which pass the host's own firewall. Without CAP_NET_RAW,
    /// datagrams of UDP sockets.
    IpPackets,
    /// Datagrams of UDP sockets, one for each source port in use.
    UdpSockets,
}

impl UdpOptions {
    /// Whether messages of several datagrams are useful where copies leave by `device`.
    pub(super) fn can_segment_over(&self, device: Option<&Link>) -> bool {
        match self.segmentation {
            Segmentation::Never => false,
            Segmentation::Always => true,
            Segmentation::Auto => device.and_then(segments_before_wire).unwrap_or(false),
        }
    }
}

/// Whether nothing but a network card sees a message whole; `None` where nothing is known.
fn segments_before_wire(link: &Link) -> Option<bool> {
    let is_card = match link.kind.as_deref() {
        None => !link.is_loopback,
        Some(kind) => CARD_BACKED_KINDS.contains(&kind),
    };
    // For a device without the offload, the kernel cuts each message first.
    let passes_on_whole = links::offloads(&link.name).ok()?.udp_segmentation?;
    Some(is_card || !passes_on_whole)
}
