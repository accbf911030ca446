//! What is asked of the sending sockets.

use std::net::IpAddr;

use socket2::Socket;

use super::warnings::Warnings;
use crate::io::links::{self, Link};

/// Kinds of virtual devices that are mostly a network card by another name.
const ON_TOP_OF_CARDS: [&str; 3] = ["vlan", "bond", "team"];

/// How copies leave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UdpOptions {
    /// Whether runs of equally long copies are handed to the kernel as one message
    /// (`UDP_SEGMENT`). It is given up by itself where it is refused.
    pub segmentation: Segmentation,
    /// Whether copies are shed at once where the egress queue refuses, as a live mirror must, or
    /// waited with, as a replay does.
    pub sheds: bool,
    /// `SO_MARK` of all that is sent, by which the loop guard knows it.
    pub mark: Option<u32>,
    /// The device that copies leave by, whatever the routes say (`SO_BINDTODEVICE`).
    pub device: Option<String>,
}

/// When runs leave as one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Segmentation {
    /// Never.
    #[default]
    Never,
    /// Where messages are cut before anybody sees them: not by a virtual device that hands them
    /// on whole, because a capture at its far end would show what no wire carries.
    Auto,
    /// Always.
    Always,
}

impl UdpOptions {
    /// Whether messages of several datagrams are good where copies leave by `device`.
    pub(super) fn segments_over(&self, device: Option<&Link>) -> bool {
        match self.segmentation {
            Segmentation::Never => false,
            Segmentation::Always => true,
            Segmentation::Auto => device.and_then(is_cut_before_the_wire).unwrap_or(false),
        }
    }

    /// The device that copies for `destination` leave by; none where nobody needs to know, where
    /// they stay on this host, or where nothing is known.
    pub(super) fn device_to(&self, destination: IpAddr, source: IpAddr) -> Option<Link> {
        if self.segmentation != Segmentation::Auto && self.mark.is_none() {
            return None;
        }
        let mut links = links::links().ok()?;
        let by_route = || {
            let source = Some(source).filter(|source| !source.is_unspecified());
            let route = links::route_to(destination, self.mark, source)
                .or_else(|_| links::route_to(destination, self.mark, None));
            let route = route.ok().filter(|route| !route.is_local)?;
            links.iter().position(|link| link.index == route.device_index)
        };
        let place = match &self.device {
            Some(device) => links.iter().position(|link| link.name == *device),
            None => by_route(),
        }?;
        Some(links.swap_remove(place))
    }

    /// Sets what was asked for; what is refused is said once.
    pub(super) fn apply(&self, socket: &Socket, warnings: &mut Warnings) {
        let marked = self.mark.map_or(Ok(()), |mark| socket.set_mark(mark));
        if let Err(error) = marked {
            warnings.refused_option("the mark of the loop guard", &error);
        }
        let Some(device) = &self.device else { return };
        if let Err(error) = socket.bind_device(Some(device.as_bytes())) {
            warnings.refused_option(&format!("--bind-device `{device}`"), &error);
        }
    }
}

/// Whether nobody but a network card sees a message whole; `None` where nothing is known.
fn is_cut_before_the_wire(link: &Link) -> Option<bool> {
    let is_card = match link.kind.as_deref() {
        None => !link.is_loopback,
        Some(kind) => ON_TOP_OF_CARDS.contains(&kind),
    };
    // A device without the offload has the kernel cut each message in front of it.
    let hands_on_whole = links::offloads(&link.name).ok()?.udp_segmentation?;
    Some(is_card || !hands_on_whole)
}
