//! A plain reader of pcap files that the program wrote.

/// One record of a little-endian pcap file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub timestamp_ns: u64,
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

/// Reads a little-endian pcap file that must be complete.
pub fn read(file: &[u8]) -> Vec<Record> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let unit = match number(0) {
        0xa1b2_c3d4 => 1_000,
        0xa1b2_3c4d => 1,
        other => panic!("magic number {other:#x}: expected pcap in little-endian order"),
    };
    let mut at = 24;
    let mut records = Vec::new();
    while at < file.len() {
        let len = usize::try_from(number(at + 8)).unwrap();
        records.push(Record {
            timestamp_ns: u64::from(number(at)) * 1_000_000_000 + u64::from(number(at + 4)) * unit,
            wire_len: number(at + 12),
            bytes: file[at + 16..at + 16 + len].to_vec(),
        });
        at += 16 + len;
    }
    records
}
