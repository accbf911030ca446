//! Cases about captures that libpcap refuses, frame check sequences, and clocks of pcapng.

use super::CaptureCase;
use super::capture::{LINKTYPE_ETHERNET, Pcap, Pcapng, Record, START_NS, records, u32_of};
use super::frames::*;

const IF_TSRESOL: u16 = 9;
const IF_FCSLEN: u16 = 13;
const EPB_FLAGS: u16 = 2;

/// A frame check sequence. Its value is not verified.
const FCS: &[u8] = &[0xfc, 0x50, 0xfc, 0x51];

pub(crate) fn cases() -> Vec<CaptureCase> {
    let pcap = |name, bytes| CaptureCase::new(name, "input.pcap", bytes);
    let pcapng = |name, bytes| CaptureCase::new(name, "input.pcapng", bytes);
    vec![
        pcap("pcap-version-2-5", patched(6, &[5, 0])),
        pcap("pcap-reserved-link-type-bits", patched(22, &[0xff, 0x0b])),
        pcapng("pcapng-version-1-1", pcapng_version_1_1()),
        pcap("pcap-frame-check-sequence", with_fcs()),
        pcapng("pcapng-frame-check-sequence", pcapng_with_fcs()),
        pcapng("pcapng-binary-clock", binary_clock()),
        pcapng("pcapng-late-finer-clock", late_finer_clock()),
        pcapng("pcapng-late-finer-clock-to-pcapng", late_finer_clock()),
    ]
}

fn conversation() -> Vec<Vec<u8>> {
    vec![tcp_in(40_000, 443), tcp_out(443, 40_000)]
}

/// A capture with some changed bytes in the file header.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = Pcap::of(LINKTYPE_ETHERNET).file(&records(conversation()));
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn pcapng_version_1_1() -> Vec<u8> {
    let writer = Pcapng { big_endian: false };
    let mut file = [writer.section(), writer.interface(LINKTYPE_ETHERNET, 0, b"")].concat();
    file[14] = 1;
    file.extend(writer.packet(0, START_NS / 1_000, &tcp_in(40_000, 443), b""));
    file
}

/// The header declares two words of FCS. The records are complete, truncated within the FCS, before
/// the FCS and within the frame, and shorter than an FCS.
fn with_fcs() -> Vec<u8> {
    let frame = tcp_in(40_000, 443);
    let on_wire = joined(&[&frame, FCS]);
    let wire_len = u32_of(on_wire.len());
    let lens = [on_wire.len(), frame.len() + 1, frame.len(), frame.len() - 5];
    let cut = |(step, len): (u64, usize)| Record {
        timestamp_ns: START_NS + step * 1_000,
        wire_len,
        bytes: on_wire[..len].to_vec(),
    };
    let mut records: Vec<Record> = (0..).zip(lens).map(cut).collect();
    records.push(Record { timestamp_ns: START_NS, wire_len: 3, bytes: filler(3) });
    let mut file = Pcap::of(LINKTYPE_ETHERNET).file(&records);
    file[22..24].copy_from_slice(&[0x00, 0x24]);
    file
}

/// One interface declares its FCS in bytes, one in bits, one has none. The flags of a packet take
/// precedence over its interface.
fn pcapng_with_fcs() -> Vec<u8> {
    let writer = Pcapng { big_endian: false };
    let frame = tcp_in(40_000, 443);
    let with_fcs = joined(&[&frame, FCS]);
    let flags = |fcs_len: u32| writer.option(EPB_FLAGS, &writer.u32(fcs_len << 5 | 1));
    let time = START_NS / 1_000;
    [
        writer.section(),
        writer.interface(LINKTYPE_ETHERNET, 0, &writer.option(IF_FCSLEN, &[4])),
        writer.interface(LINKTYPE_ETHERNET, 0, &writer.option(IF_FCSLEN, &[32])),
        writer.interface(LINKTYPE_ETHERNET, 0, b""),
        writer.packet(0, time, &with_fcs, b""),
        writer.packet(1, time + 1, &with_fcs, b""),
        writer.packet(2, time + 2, &frame, b""),
        writer.packet(2, time + 3, &with_fcs, &flags(4)),
        writer.packet(0, time + 4, &joined(&[&frame, &FCS[..2]]), &flags(2)),
        writer.packet(0, time + 5, &with_fcs, &flags(0)),
    ]
    .concat()
}

/// Ticks of 2^-8 s: 3,906.25 microseconds.
fn binary_clock() -> Vec<u8> {
    let writer = Pcapng { big_endian: false };
    let start = (START_NS / 1_000_000_000) << 8;
    let mut file = writer.section();
    file.extend(writer.interface(LINKTYPE_ETHERNET, 0, &writer.option(IF_TSRESOL, &[0x80 | 8])));
    for (tick, frame) in (0..).zip([conversation(), conversation()].concat()) {
        file.extend(writer.packet(0, start + tick, &frame, b""));
    }
    file
}

/// The first interface has microseconds. The second one, described after a packet, has nanoseconds.
fn late_finer_clock() -> Vec<u8> {
    let writer = Pcapng { big_endian: false };
    [
        writer.section(),
        writer.interface(LINKTYPE_ETHERNET, 0, b""),
        writer.packet(0, START_NS / 1_000 + 1, &tcp_in(40_000, 443), b""),
        writer.interface(LINKTYPE_ETHERNET, 0, &writer.option(IF_TSRESOL, &[9])),
        writer.packet(1, START_NS + 123_456_789, &tcp_out(443, 40_000), b""),
        writer.packet(0, START_NS / 1_000 + 500_000, &tcp_in(40_000, 443), b""),
    ]
    .concat()
}
