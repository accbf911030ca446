//! The Ethernet address of a neighbour (`RTM_GETNEIGH`).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NlasIterator, parse_mac};

use super::list::with_context;
use super::netlink::{NetlinkClient, NetlinkRequest};
use super::route::octets;
use crate::model::MacAddress;

/// `NUD_*` of linux/neighbour.h.
const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_DELAY: u16 = 0x08;
const NUD_PROBE: u16 = 0x10;
const NUD_PERMANENT: u16 = 0x80;

/// A neighbour whose Ethernet address the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// Whether the kernel will verify the address when it next sends a packet to it.
    pub is_stale: bool,
}

/// Looks up the Ethernet address of `address` on the device with the index `device_index`. Returns
/// `None` if the kernel has not resolved it, and on kernels before Linux 5.0, which lack the query.
///
/// # Errors
/// The kernel does not respond.
pub fn neighbour(device_index: u32, address: IpAddr) -> io::Result<Option<Neighbour>> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut fixed = [0; 12];
    if let Some([first, _, _, _, index @ .., _, _, _, _]) = fixed.first_chunk_mut::<12>() {
        *first = u8::try_from(family).unwrap_or_default();
        index.copy_from_slice(&device_index.to_ne_bytes());
    }
    let request = NetlinkRequest::new(libc::RTM_GETNEIGH, 0, &fixed)
        .with_attribute(libc::NDA_DST, &octets(address));
    let mut found = None;
    let answered = NetlinkClient::open()?
        .request(&request, |message| found = parse_neighbour(message.payload));
    match answered {
        Ok(_) => Ok(found),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(None),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
            Ok(None)
        }
        Err(error) => Err(with_context(&format!("cannot look up the neighbour {address}"), &error)),
    }
}

/// ```text
/// | family, 1 | padding, 3 | device index, 4 | state, 2 | flags, 1 | type, 1 | attributes ...
/// ```
fn parse_neighbour(payload: &[u8]) -> Option<Neighbour> {
    let (&[_, _, _, _, _, _, _, _, low, high, _, _], attributes) =
        payload.split_first_chunk::<12>()?;
    let state = u16::from_ne_bytes([low, high]);
    if state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT) == 0 {
        return None;
    }
    let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
    let address = attributes.find(|one| one.kind() == libc::NDA_LLADDR)?;
    let octets = parse_mac(address.value()).ok()?;
    Some(Neighbour { mac: MacAddress::new(octets), is_stale: state & NUD_STALE != 0 })
}

#[cfg(test)]
mod tests {
    use super::super::netlink::messages;
    use super::*;

    fn message(state: u16) -> NetlinkRequest {
        let [low, high] = state.to_ne_bytes();
        NetlinkRequest::new(libc::RTM_NEWNEIGH, 0, &[2, 0, 0, 0, 5, 0, 0, 0, low, high, 0, 1])
            .with_attribute(libc::NDA_DST, &[10, 0, 0, 1])
            .with_attribute(libc::NDA_LLADDR, &[2, 0, 0, 0, 0, 9])
    }

    #[test]
    fn an_address_is_used_once_it_is_resolved() {
        let mac = MacAddress::new([2, 0, 0, 0, 0, 9]);
        for (state, expected) in [
            (NUD_REACHABLE, Some(Neighbour { mac, is_stale: false })),
            (NUD_PERMANENT, Some(Neighbour { mac, is_stale: false })),
            (NUD_STALE, Some(Neighbour { mac, is_stale: true })),
            (0x01, None),
            (0x20, None),
        ] {
            let bytes = message(state).bytes(1);
            assert_eq!(
                parse_neighbour(messages(&bytes).next().unwrap().payload),
                expected,
                "{state}"
            );
        }
    }

    #[test]
    fn a_truncated_neighbour_message_does_not_panic() {
        let bytes = message(NUD_REACHABLE).bytes(1);
        for len in 16..bytes.len() {
            let _ = parse_neighbour(&bytes[16..len]);
        }
    }
}
