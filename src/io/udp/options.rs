//! What is asked of the sending sockets.

use std::net::IpAddr;

use socket2::Socket;

use super::warnings::Warnings;

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
    /// Whether messages of several datagrams are good on the way to `destination`.
    pub(super) fn segments_to(&self, _destination: IpAddr, _source: IpAddr) -> bool {
        self.segmentation != Segmentation::Never
    }

    /// Sets what was asked for; what is refused is said once.
    pub(super) fn apply(&self, socket: &Socket, warnings: &mut Warnings) {
        if let Some(mark) = self.mark {
            if let Err(error) = socket.set_mark(mark) {
                warnings.refused_option("the mark of the loop guard", &error);
            }
        }
        if let Some(device) = &self.device {
            if let Err(error) = socket.bind_device(Some(device.as_bytes())) {
                warnings.refused_option(&format!("--bind-device `{device}`"), &error);
            }
        }
    }
}
