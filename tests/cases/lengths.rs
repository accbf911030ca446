//! Cases about the length of copies and the headers in front of them.

use super::CaptureCase;
use super::capture::{LINKTYPE_ETHERNET, Pcap, ethernet_pcap, records};
use super::frames::*;

pub(crate) fn cases() -> Vec<CaptureCase> {
    let pcap = |name, frames| CaptureCase::new(name, "input.pcap", ethernet_pcap(frames));
    vec![
        pcap("packet-length", sizes(&[0, 5, 6, 7, 200])),
        pcap("packet-length-1-shorter-than-headers", sizes(&[0, 200])),
        pcap("target-mtu", sizes(&[1_405, 1_406, 1_407, 1_446, 8_900])),
        pcap("target-mtu-ipv6-outer", sizes(&[1_385, 1_386, 1_387, 1_446])),
        pcap("packet-length-and-mtu", sizes(&[60, 600, 1_446])),
        pcap("outer-ipv6-checksum", outer_checksum()),
        pcap("gateway-load-balancer-endpoint", both_ways()),
        pcap("gateway-load-balancer-endpoint-ipv6", increasing_lengths()),
        pcap("load-balancer-addresses", many_flows()),
        pcap("target-without-address", both_ways()),
        CaptureCase::new("snaplen-cut", "input.pcap", snaplen_cut()),
    ]
}

/// TCP frames with this many bytes after 54 bytes of headers.
fn sizes(payload_lens: &[usize]) -> Vec<Vec<u8>> {
    let frame =
        |len: &usize| Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, &filler(*len))).on(INBOUND);
    payload_lens.iter().map(frame).collect()
}

/// Even and odd lengths, bytes of all zeros and all ones.
fn outer_checksum() -> Vec<Vec<u8>> {
    let payloads = [vec![], vec![1], vec![0; 64], vec![0xff; 64], vec![0xff; 65], filler(1_001)];
    payloads
        .iter()
        .flat_map(|payload| [tcp(40_000, 443, payload), tcp(443, 40_000, payload)])
        .map(|segment| in6(TCP, &segment))
        .collect()
}

fn both_ways() -> Vec<Vec<u8>> {
    let flows = [40_000, 40_001].into_iter();
    flows.flat_map(|port| [tcp_in(port, 443), tcp_out(443, port)]).chain(sizes(&[9_000])).collect()
}

fn increasing_lengths() -> Vec<Vec<u8>> {
    outer_checksum().into_iter().chain(sizes(&[1_136, 1_137])).collect()
}

fn many_flows() -> Vec<Vec<u8>> {
    (40_000..40_012).flat_map(|port| [tcp_in(port, 443), tcp_out(443, port)]).collect()
}

/// Recorded with `tcpdump -s 48`: the TCP header is truncated or missing.
fn snaplen_cut() -> Vec<u8> {
    let tagged = tagged(INBOUND, &[(0x8100, 7), (0x8100, 8)], ETHER_IPV4, &plain_packet(300));
    let mut cut = records(vec![tcp_in(40_000, 443), sizes(&[300]).concat(), tagged]);
    for (record, len) in cut.iter_mut().zip([48, 38, 33]) {
        record.bytes.truncate(len);
    }
    Pcap { snaplen: 48, ..Pcap::of(LINKTYPE_ETHERNET) }.file(&cut)
}

fn plain_packet(payload_len: usize) -> Vec<u8> {
    Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, &filler(payload_len))).bytes()
}
