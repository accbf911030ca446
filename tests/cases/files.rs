//! Cases about files: dialects of pcap and pcapng, link types, compression, damage.

use std::io::Write;

use super::CaptureCase;
use super::capture::{
    LINKTYPE_ETHERNET, LINKTYPE_IEEE802_11, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL,
    LINKTYPE_RAW, Pcap, Pcapng, START_NS, ethernet_pcap, records, u32_of,
};
use super::frames::*;

pub(crate) fn cases() -> Vec<CaptureCase> {
    let pcap = |name, bytes| CaptureCase::new(name, "input.pcap", bytes);
    let pcapng = |name, bytes| CaptureCase::new(name, "input.pcapng", bytes);
    vec![
        pcap("raw-ip", Pcap::of(LINKTYPE_RAW).file(&records(raw_ip()))),
        pcap("linux-sll", Pcap::of(LINKTYPE_LINUX_SLL).file(&records(linux_sll()))),
        pcap("linux-sll2", Pcap::of(LINKTYPE_LINUX_SLL2).file(&records(linux_sll2()))),
        pcap("bsd-null", Pcap::of(LINKTYPE_NULL).file(&records(bsd_null()))),
        pcap("unsupported-link-type", Pcap::of(LINKTYPE_IEEE802_11).file(&records(conversation()))),
        pcap("pcap-big-endian-ns", big_endian_nanoseconds()),
        pcap("pcap-modified-magic", modified_magic()),
        pcap("pcap-odd-records", odd_records()),
        pcapng("pcapng-two-sections", two_sections()),
        pcapng("pcapng-two-interfaces", two_pcapng_interfaces()),
        pcapng("pcapng-simple-packets", simple_packets()),
        pcap("pcap-to-pcapng", ethernet_pcap(conversation())),
        CaptureCase::new("gzip", "input.pcap.gz", gzip(&ethernet_pcap(conversation()))),
        CaptureCase::new("zstd", "input.pcap.zst", zstd(&ethernet_pcap(conversation()))),
        pcap("damaged-last-record", damaged()),
    ]
}

fn conversation() -> Vec<Vec<u8>> {
    vec![tcp_in(40_000, 443), tcp_out(443, 40_000), in6(TCP, &tcp(40_000, 443, b"six"))]
}

fn raw_ip() -> Vec<Vec<u8>> {
    let ingress = Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, b"hello")).bytes();
    let egress = Ipv4::new(HOST, CLIENT, TCP, &tcp(443, 40_000, b"hello")).bytes();
    vec![ingress, egress, ipv6(CLIENT6, HOST6, TCP, &tcp(40_000, 443, b""))]
}

/// Packet type, ARPHRD, address length, eight bytes of address, protocol.
fn linux_sll() -> Vec<Vec<u8>> {
    let cooked = |kind: u16, address: [u8; 6], protocol: u16, payload: &[u8]| {
        let start = [kind, 1, 6].map(u16::to_be_bytes).concat();
        joined(&[&start, &address, &[0, 0], &protocol.to_be_bytes(), payload])
    };
    let packets = raw_ip();
    vec![
        cooked(0, ROUTER_MAC, ETHER_IPV4, &packets[0]),
        cooked(4, HOST_MAC, ETHER_IPV4, &packets[1]),
        cooked(0, ROUTER_MAC, ETHER_IPV6, &packets[2]),
        cooked(1, ROUTER_MAC, ETHER_ARP, &filler(28)),
    ]
}

/// Protocol, reserved, interface index, ARPHRD, packet type, address length, address.
fn linux_sll2() -> Vec<Vec<u8>> {
    let cooked = |kind: u8, address: [u8; 6], protocol: u16, payload: &[u8]| {
        let start = [&protocol.to_be_bytes()[..], &[0, 0, 0, 0, 0, 2, 0, 1, kind, 6]].concat();
        joined(&[&start, &address, &[0, 0], payload])
    };
    let packets = raw_ip();
    vec![
        cooked(0, ROUTER_MAC, ETHER_IPV4, &packets[0]),
        cooked(4, HOST_MAC, ETHER_IPV4, &packets[1]),
        cooked(0, ROUTER_MAC, ETHER_IPV6, &packets[2]),
    ]
}

/// The address family in the byte order of the recording host; IPv6 is 24, 28 or 30.
fn bsd_null() -> Vec<Vec<u8>> {
    let packets = raw_ip();
    let mut frames = vec![
        joined(&[&2_u32.to_le_bytes(), &packets[0]]),
        joined(&[&2_u32.to_be_bytes(), &packets[1]]),
    ];
    frames.extend([24, 28, 30].map(|family: u32| joined(&[&family.to_le_bytes(), &packets[2]])));
    frames
}

fn big_endian_nanoseconds() -> Vec<u8> {
    let writer = Pcap { big_endian: true, nanoseconds: true, ..Pcap::of(LINKTYPE_ETHERNET) };
    let mut records = records(conversation());
    for (record, odd) in records.iter_mut().zip([1, 123_456_789, 999_999_999]) {
        record.timestamp_ns += odd;
    }
    writer.file(&records)
}

/// The format of an old patch of libpcap: each record header is eight bytes longer.
fn modified_magic() -> Vec<u8> {
    let writer = Pcap::of(LINKTYPE_ETHERNET);
    let mut file = writer.header(0xa1b2_cd34);
    for frame in conversation() {
        let len = u32_of(frame.len());
        file.extend(writer.record_header([1_700_000_000, 0, len, len]));
        file.extend([2, 0, 0, 0, 8, 0, 0, 0]); // interface index, protocol, packet type
        file.extend(frame);
    }
    file
}

/// Values of real files: snaplen 0, a captured length above the wire length, more than 999,999
/// microseconds.
fn odd_records() -> Vec<u8> {
    let writer = Pcap { snaplen: 0, ..Pcap::of(LINKTYPE_ETHERNET) };
    let mut file = writer.header(0xa1b2_c3d4);
    let len_of = |frame: &[u8]| u32_of(frame.len());
    for (frame, odd) in conversation().iter().zip([0, 1, 2]) {
        let micros = if odd == 2 { 2_500_000 } else { 0 };
        let wire_len = if odd == 1 { 20 } else { len_of(frame) };
        file.extend(writer.record_header([1_700_000_000, micros, len_of(frame), wire_len]));
        file.extend(frame);
    }
    file
}

fn two_sections() -> Vec<u8> {
    let mut file = Vec::new();
    for (big_endian, frame) in [(false, tcp_in(40_000, 443)), (true, tcp_out(443, 40_000))] {
        let writer = Pcapng { big_endian };
        file.extend(writer.section());
        file.extend(writer.interface(LINKTYPE_ETHERNET, 0, b""));
        file.extend(writer.block(0x0bad_beef, b"a block that nobody knows"));
        file.extend(writer.packet(0, START_NS / 1_000, &frame, &writer.option(1, b"a comment")));
    }
    file
}

/// Ethernet with nanoseconds; raw IP with an offset of an hour and units of 2^-10 s.
fn two_pcapng_interfaces() -> Vec<u8> {
    let writer = Pcapng { big_endian: false };
    let hour = writer.option(14, &[writer.u32(3_600), writer.u32(0)].concat());
    let slow = [writer.option(9, &[0x80 | 10]), hour].concat();
    let packets = raw_ip();
    [
        writer.section(),
        writer.interface(LINKTYPE_ETHERNET, 0, &writer.option(9, &[9])),
        writer.interface(LINKTYPE_RAW, 0, &slow),
        writer.packet(0, START_NS + 123_456_789, &tcp_in(40_000, 443), b""),
        writer.packet(1, 1_700_000_000 * 1_024 + 512, &packets[1], b""),
        writer.packet(1, 1_700_000_001 * 1_024, &packets[2], b""),
    ]
    .concat()
}

/// Simple packets have no time and no interface. They are truncated to the snaplen.
fn simple_packets() -> Vec<u8> {
    let writer = Pcapng { big_endian: true };
    let mut file = [writer.section(), writer.interface(LINKTYPE_ETHERNET, 60, b"")].concat();
    for frame in conversation() {
        let kept = &frame[..frame.len().min(60)];
        let body = [&writer.u32(u32_of(frame.len()))[..], kept].concat();
        file.extend(writer.block(3, &body));
    }
    file
}

/// Stored, not compressed, so the file does not depend on a library.
fn gzip(file: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    writer.write_all(file).unwrap();
    writer.finish().unwrap()
}

/// A Zstandard frame of one raw block (RFC 8878, section 3.1.1).
fn zstd(file: &[u8]) -> Vec<u8> {
    let block = u32_of(file.len()) << 3 | 1; // raw, the last
    let size = u32_of(file.len()).to_le_bytes();
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0xa0]; // one segment, four bytes of size
    joined(&[&header, &size, &block.to_le_bytes()[..3], file])
}

fn damaged() -> Vec<u8> {
    let mut file = ethernet_pcap(conversation());
    file.truncate(file.len() - 10);
    file
}
