//! The Ethernet address of a neighbour (`RTM_GETNEIGH`), and its resolution (`RTM_NEWNEIGH`).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NlasIterator, parse_mac};

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

/// `NTF_USE` of linux/neighbour.h: the neighbour is used as if a packet was sent to it.
const NTF_USE: u8 = 0x01;

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
    let request = NetlinkRequest::new(libc::RTM_GETNEIGH, 0, &header(device_index, address, 0))
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

/// Makes the kernel resolve the Ethernet address of `address`, or verify it if it is stale, as if a
/// packet was sent to it. Returns before the neighbour answers. Does nothing if the address is known
/// and was verified recently.
///
/// # Errors
/// There is no device with this index, it is not up, or the process lacks `CAP_NET_ADMIN`.
pub fn resolve_neighbour(device_index: u32, address: IpAddr) -> io::Result<()> {
    let header = header(device_index, address, NTF_USE);
    let request = NetlinkRequest::new(libc::RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, &header)
        .with_attribute(libc::NDA_DST, &octets(address));
    match NetlinkClient::open()?.request(&request, |_| {}) {
        Ok(_) => Ok(()),
        Err(error) => Err(with_context(&format!("cannot resolve the neighbour {address}"), &error)),
    }
}

/// The fixed part of a request, with the state `NUD_NONE`.
fn header(device_index: u32, address: IpAddr, flags: u8) -> [u8; 12] {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let [i0, i1, i2, i3] = device_index.to_ne_bytes();
    [u8::try_from(family).unwrap_or_default(), 0, 0, 0, i0, i1, i2, i3, 0, 0, flags, 0]
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
    use std::process::Command;
    use std::time::Duration;
    use std::{fs, thread};

    use super::super::link_by_name;
    use super::super::netlink::messages;
    use super::*;
    use crate::io::sys::namespace::run_in_new_network_namespace;

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

    fn succeeds(command: &str) -> bool {
        let mut words = command.split(' ');
        let program = words.next().unwrap();
        Command::new(program).args(words).status().is_ok_and(|status| status.success())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "waits for the answer of a neighbour")]
    fn a_neighbour_is_resolved_before_a_packet_is_sent() {
        run_in_new_network_namespace(|| {
            if !succeeds("ip link add va type veth peer name vb") {
                eprintln!("NOT RUN: creating veth devices needs `ip`");
                return;
            }
            for command in [
                "ip address add 10.0.0.1/24 dev va",
                "ip address add 10.0.0.2/24 dev vb",
                "ip link set vb up",
                "ip link set va up",
            ] {
                assert!(succeeds(command), "{command}");
            }
            // Both ends are in one namespace, so a request comes from a local address.
            fs::write("/proc/sys/net/ipv4/conf/vb/accept_local", "1").unwrap();
            let [va, vb] = ["va", "vb"].map(|name| link_by_name(name).unwrap().unwrap());
            let address = IpAddr::from([10, 0, 0, 2]);
            assert_eq!(neighbour(va.index, address).unwrap(), None);
            resolve_neighbour(va.index, address).unwrap();
            let found = (0..500).find_map(|_| {
                thread::sleep(Duration::from_millis(10));
                neighbour(va.index, address).unwrap()
            });
            assert_eq!(found.map(|found| found.mac), vb.mac);
            resolve_neighbour(va.index, address).unwrap();
            let error = resolve_neighbour(va.index + vb.index, address).unwrap_err();
            assert!(error.to_string().starts_with("cannot resolve the neighbour 10.0.0.2: "));
        });
    }

    #[test]
    fn a_truncated_neighbour_message_does_not_panic() {
        let bytes = message(NUD_REACHABLE).bytes(1);
        for len in 16..bytes.len() {
            let _ = parse_neighbour(&bytes[16..len]);
        }
    }
}
