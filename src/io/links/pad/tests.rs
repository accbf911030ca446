//! Creates pads in new network namespaces.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, socket};

use super::super::{link_by_index, link_by_name, offloads};
use super::*;
use crate::io::sys::namespace::run_in_new_network_namespace;
use crate::io::sys::option::{bind_packet, set_int_option};

fn names() -> Vec<String> {
    let names = links().unwrap().into_iter().map(|link| link.name);
    names.filter(|name| name != "lo").collect()
}

#[test]
fn a_pad_has_no_offloads_and_is_removed_when_it_is_dropped() {
    run_in_new_network_namespace(|| {
        let pad = Pad::create(0x30ff).unwrap();
        for (device, index) in [("pad", pad.bridge_index()), ("port", pad.port_index())] {
            let link = link_by_name(&name_of(0x30ff, device)).unwrap().unwrap();
            assert_eq!((link.index, link.mtu), (index, 65_535), "{device}");
            assert!(link.is_up && link.is_running && !link.resolves_neighbours, "{link:?}");
            assert!(link.addresses.is_empty(), "{link:?}");
        }
        let offloads = offloads("tm-30ff-pad").unwrap();
        let transmit = [offloads.tx_checksum, offloads.tso, offloads.gso, offloads.tx_vlan];
        assert_eq!(transmit, [Some(false); 4]);
        assert_eq!(offloads.udp_segmentation, Some(false));
        drop(pad);
        assert_eq!(names(), [""; 0]);
    });
}

#[test]
fn a_pad_in_use_is_not_removed_and_that_of_a_killed_process_is() {
    run_in_new_network_namespace(|| {
        let live = Pad::create(0x1).unwrap();
        let in_use = Pad::create(0x1).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        // A killed process leaves its devices without a reservation.
        let mut netlink = NetlinkClient::open().unwrap();
        for mark in [0x2, 0x3f] {
            create_devices(&mut netlink, mark).unwrap();
        }
        create(&mut netlink, b"tm-other\0", "bridge", &Attributes::default()).unwrap();
        let next = Pad::create(0x3f).unwrap();
        let mut expected = ["tm-1-pad", "tm-1-peer", "tm-1-port", "tm-3f-pad", "tm-3f-peer"]
            .map(str::to_owned)
            .to_vec();
        expected.extend(["tm-3f-port".to_owned(), "tm-other".to_owned()]);
        let mut found = names();
        found.sort();
        assert_eq!(found, expected);
        assert!(link_by_index(live.bridge_index()).unwrap().is_some());
        drop(next);
        drop(live);
        assert_eq!(names(), ["tm-other"]);
    });
}

#[test]
fn a_pad_is_removed_from_its_own_namespace_by_any_thread() {
    run_in_new_network_namespace(|| {
        let pad = Pad::create(0x7).unwrap();
        std::thread::spawn(move || run_in_new_network_namespace(move || drop(pad))).join().unwrap();
        assert_eq!(names(), [""; 0]);
    });
}

#[test]
fn a_mark_that_makes_a_name_too_long_is_an_error() {
    let error = Pad::create(u32::MAX).unwrap_err();
    assert!(error.to_string().contains("mark 0xffffffff: expected at most 0xffffff"), "{error}");
    assert!(name_of(MAX_MARK, "port").len() <= 15);
}

#[test]
fn only_exact_names_are_those_of_a_pad() {
    assert_eq!(mark_in("tm-3f-pad"), Some(0x3f));
    for name in ["tm-3f-x", "tm-03f-pad", "tm-3F-pad", "tm-+3f-pad", "tm--pad", "3f-pad", ""] {
        assert_eq!(mark_in(name), None, "{name}");
    }
}

/// `PACKET_VNET_HDR` of linux/if_packet.h, and the length of the header (linux/virtio_net.h).
const PACKET_VNET_HDR: libc::c_int = 15;
const VNET_LEN: usize = 10;
/// Ethernet, IPv4 and TCP.
const HEADERS_LEN: usize = 54;

/// A packet socket whose frames begin with a header about segmentation and checksum.
fn packet_socket(device: u32, protocol: u16) -> OwnedFd {
    let socket = socket(AddressFamily::PACKET, SocketType::RAW, None).unwrap();
    set_int_option(socket.as_fd(), libc::SOL_PACKET, PACKET_VNET_HDR, 1).unwrap();
    bind_packet(socket.as_fd(), device.try_into().unwrap(), protocol).unwrap();
    let timeout = Some(Duration::from_secs(10));
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, timeout)
        .unwrap();
    socket
}

/// The sum of the TCP segment of a frame with its pseudo header. 0xffff is that of a correct one.
fn tcp_sum(pseudo_header_only: bool, frame: &[u8]) -> u16 {
    let segment = &frame[34..];
    let [high, low] = u16::try_from(segment.len()).unwrap().to_be_bytes();
    let mut bytes = [&frame[26..34], &[0, 6, high, low]].concat();
    if !pseudo_header_only {
        bytes.extend(segment);
    }
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let words = bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

/// A frame with an unfinished checksum, after its header for the kernel. `segment_len` of 0 means
/// that it is no super-frame.
fn unfinished_frame(payload_len: usize, segment_len: u16) -> Vec<u8> {
    let payload: Vec<u8> = (0..=250).cycle().take(payload_len).collect();
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(1_000, 80, 7, 500)
        .write(&mut frame, &payload)
        .unwrap();
    let partial = tcp_sum(true, &frame).to_be_bytes();
    frame[50..52].copy_from_slice(&partial);
    let mut bytes = vec![1, u8::from(segment_len != 0)];
    for field in [54, segment_len, 34, 16] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes.extend(frame);
    bytes
}

/// What reaches the port is what its egress hook gets: the port has offloads, so it does not
/// segment frames.
#[test]
fn super_frames_and_checksums_are_finished_at_the_port() {
    run_in_new_network_namespace(|| {
        let pad = Pad::create(0x3f).unwrap();
        assert_eq!(offloads("tm-3f-port").unwrap().tso, Some(true));
        let all_protocols = u16::try_from(libc::ETH_P_ALL).unwrap();
        let capture = packet_socket(pad.port_index(), all_protocols);
        let sender = packet_socket(pad.bridge_index(), 0);
        for (payload, segment, expected) in [
            (4_000, 1_400, &[1_400, 1_400, 1_200][..]),
            (1_001, 0, &[1_001]),
            (60_000, 30_000, &[30_000; 2]),
        ] {
            let sent = unfinished_frame(payload, segment);
            assert_eq!(rustix::io::write(&sender, &sent).unwrap(), sent.len());
            let mut received = Vec::new();
            for len in expected {
                let mut buffer = vec![0; 70_000];
                let read_len = rustix::io::read(&capture, &mut buffer).unwrap();
                assert_eq!(buffer[..2], [0, 0], "neither a super-frame nor an unfinished checksum");
                let frame = &buffer[VNET_LEN..read_len];
                assert_eq!(frame.len(), HEADERS_LEN + len);
                assert_eq!(tcp_sum(false, frame), 0xffff);
                received.extend_from_slice(&frame[HEADERS_LEN..]);
            }
            assert!(received == sent[VNET_LEN + HEADERS_LEN..], "the payload changed");
        }
    });
}

#[test]
fn the_kernel_joins_no_group_that_it_reports_on_a_host_that_forwards() {
    run_in_new_network_namespace(|| {
        for devices in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{devices}/forwarding");
            if std::fs::write(path, "1").is_err() {
                eprintln!("NOT RUN: the kernel has no IPv6");
                return;
            }
        }
        let _pad = Pad::create(0x3f).unwrap();
        // Nodes send no reports for ff01::1 and ff02::1 (RFC 3810, section 6).
        let groups = std::fs::read_to_string("/proc/thread-self/net/igmp6").unwrap();
        let group = |line: &str| line.split_whitespace().nth(2).unwrap().to_owned();
        for group in groups.lines().filter(|line| line.contains("tm-3f-")).map(group) {
            assert!(group.starts_with("ff0") && group.ends_with("0001"), "{groups}");
        }
    });
}
