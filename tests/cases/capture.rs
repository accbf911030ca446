//! Writes capture files byte by byte: all variants of pcap, and the blocks of pcapng.

/// The time of the first record of every case: 2023-11-14 22:13:20 UTC.
pub(crate) const START_NS: u64 = 1_700_000_000_000_000_000;
/// Time between two records.
pub(crate) const STEP_NS: u64 = 1_000_000;

pub(crate) const LINKTYPE_NULL: u16 = 0;
pub(crate) const LINKTYPE_ETHERNET: u16 = 1;
pub(crate) const LINKTYPE_RAW: u16 = 101;
pub(crate) const LINKTYPE_IEEE802_11: u16 = 105;
pub(crate) const LINKTYPE_LINUX_SLL: u16 = 113;
pub(crate) const LINKTYPE_LINUX_SLL2: u16 = 276;

/// A record of a capture.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) timestamp_ns: u64,
    pub(crate) wire_len: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The frames as complete records, 1 ms apart.
pub(crate) fn records(frames: Vec<Vec<u8>>) -> Vec<Record> {
    let times = (0..).map(|step| START_NS + step * STEP_NS);
    let record = |(timestamp_ns, bytes): (u64, Vec<u8>)| Record {
        timestamp_ns,
        wire_len: u32_of(bytes.len()),
        bytes,
    };
    times.zip(frames).map(record).collect()
}

/// How a pcap file is written.
#[derive(Clone, Copy)]
pub(crate) struct Pcap {
    pub(crate) big_endian: bool,
    pub(crate) nanoseconds: bool,
    pub(crate) link_type: u16,
    pub(crate) snaplen: u32,
}

impl Pcap {
    /// Little-endian, microseconds.
    pub(crate) const fn of(link_type: u16) -> Self {
        Self { big_endian: false, nanoseconds: false, link_type, snaplen: 262_144 }
    }

    pub(crate) fn file(self, records: &[Record]) -> Vec<u8> {
        let mut file = self.header(if self.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
        for record in records {
            let unit = if self.nanoseconds { 1 } else { 1_000 };
            let seconds = u32::try_from(record.timestamp_ns / 1_000_000_000).unwrap();
            let rest = u32::try_from(record.timestamp_ns % 1_000_000_000 / unit).unwrap();
            file.extend(self.record_header([
                seconds,
                rest,
                u32_of(record.bytes.len()),
                record.wire_len,
            ]));
            file.extend(&record.bytes);
        }
        file
    }

    pub(crate) fn header(self, magic: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        let rest = [0, 0, self.snaplen, u32::from(self.link_type)].map(|n| self.u32(n)).concat();
        [&self.u32(magic)[..], &version, &rest].concat()
    }

    /// Seconds, fraction, captured length, length on the wire.
    pub(crate) fn record_header(self, numbers: [u32; 4]) -> Vec<u8> {
        numbers.map(|number| self.u32(number)).concat()
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u16(self, number: u16) -> [u8; 2] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }
}

/// The default file: Ethernet, little-endian, microseconds.
pub(crate) fn ethernet_pcap(frames: Vec<Vec<u8>>) -> Vec<u8> {
    Pcap::of(LINKTYPE_ETHERNET).file(&records(frames))
}

/// One byte order of pcapng.
#[derive(Clone, Copy)]
pub(crate) struct Pcapng {
    pub(crate) big_endian: bool,
}

impl Pcapng {
    pub(crate) fn u32(self, number: u32) -> Vec<u8> {
        if self.big_endian { number.to_be_bytes().into() } else { number.to_le_bytes().into() }
    }

    pub(crate) fn u16(self, number: u16) -> Vec<u8> {
        if self.big_endian { number.to_be_bytes().into() } else { number.to_le_bytes().into() }
    }

    /// A block of any type. Its length precedes and follows the body.
    pub(crate) fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let body = padded(body);
        let len = self.u32(u32_of(body.len() + 12));
        [self.u32(kind), len.clone(), body, len].concat()
    }

    pub(crate) fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap();
        [self.u16(code), self.u16(len), padded(value)].concat()
    }

    pub(crate) fn section(self) -> Vec<u8> {
        let unknown_len = [0xff; 8].to_vec();
        let body = [self.u32(0x1a2b_3c4d), self.u16(1), self.u16(0), unknown_len].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface description with its options, the end of options not among them.
    pub(crate) fn interface(self, link_type: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
        let start = [self.u16(link_type), self.u16(0), self.u32(snaplen)].concat();
        let end = if options.is_empty() { vec![] } else { self.option(0, b"") };
        self.block(1, &[&start[..], options, &end].concat())
    }

    /// An enhanced packet block; `time` is in the interface's unit.
    pub(crate) fn packet(self, interface: u32, time: u64, frame: &[u8], options: &[u8]) -> Vec<u8> {
        let halves = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let len = u32_of(frame.len());
        let start = [interface, halves[0], halves[1], len, len].map(|n| self.u32(n)).concat();
        let end = if options.is_empty() { vec![] } else { self.option(0, b"") };
        self.block(6, &[&start[..], &padded(frame), options, &end].concat())
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    padded
}

pub(crate) fn u32_of(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}
