//! Converts a pcap file from timestamps in microseconds to nanoseconds, in place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::RECORD_HEADER_LEN;
use super::format::{FILE_HEADER_LEN, NANOSECOND_MAGIC};

/// The length of one read and write, in bytes.
const CHUNK_LEN: usize = 1024 * 1024;

/// Replaces the magic number and multiplies the fraction of each timestamp by 1000. The file must
/// be little-endian and contain only complete records, as `PcapWriter` writes it. The file cursor
/// is not moved.
///
/// # Errors
/// The file cannot be read or written.
pub(super) fn convert_to_nanoseconds(file: &File) -> io::Result<()> {
    file.write_all_at(&NANOSECOND_MAGIC.to_le_bytes(), 0)?;
    let mut chunk = vec![0; CHUNK_LEN];
    let mut offset = u64::try_from(FILE_HEADER_LEN).unwrap_or_default();
    loop {
        let len = read_at(file, &mut chunk, offset)?;
        let chunk = chunk.get_mut(..len).unwrap_or_default();
        let passed = convert_records(chunk);
        if passed == 0 {
            return Ok(());
        }
        file.write_all_at(chunk, offset)?;
        offset += u64::try_from(passed).unwrap_or_default();
    }
}

/// Reads until `chunk` is full or the file ends.
fn read_at(file: &File, chunk: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    loop {
        let room = chunk.get_mut(len..).unwrap_or_default();
        match file.read_at(room, offset + u64::try_from(len).unwrap_or_default()) {
            Ok(0) => return Ok(len),
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Converts the records whose headers are in the chunk, which starts with a header. Returns the
/// offset of the next header from the start of the chunk.
pub(super) fn convert_records(chunk: &mut [u8]) -> usize {
    let mut at = 0;
    while let Some(header) = chunk.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        let header: &mut [u8; RECORD_HEADER_LEN] = header;
        let [_, _, _, _, f0, f1, f2, f3, l0, l1, l2, l3, ..] = *header;
        let microseconds = u32::from_le_bytes([f0, f1, f2, f3]);
        header[4..8].copy_from_slice(&microseconds.saturating_mul(1_000).to_le_bytes());
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        at += RECORD_HEADER_LEN + usize::try_from(len).unwrap_or_default();
    }
    at
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::super::{PcapWriter, Precision};
    use super::*;

    /// A file of that precision with records of many lengths, one of them longer than a chunk.
    fn written(precision: Precision) -> Vec<u8> {
        let mut writer = PcapWriter::new(Vec::new(), precision).unwrap();
        let lens = (0..3_000).map(|number: usize| number * 7_919 % 1_500);
        for (number, len) in (0..).zip(lens.chain([CHUNK_LEN + 5, 0, 3])) {
            writer
                .write_record(1_700_000_000_000_000_000 + number * 999_999_000, &vec![7; len])
                .unwrap();
        }
        writer.flush().unwrap();
        writer.into_inner()
    }

    #[test]
    fn a_refined_file_equals_one_written_in_nanoseconds() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&written(Precision::Micro)).unwrap();
        convert_to_nanoseconds(&file).unwrap();
        file.rewind().unwrap();
        let mut converted = Vec::new();
        file.read_to_end(&mut converted).unwrap();
        assert!(converted == written(Precision::Nano));
    }

    #[test]
    fn a_file_without_records_gets_its_magic_number() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; FILE_HEADER_LEN]).unwrap();
        convert_to_nanoseconds(&file).unwrap();
        file.rewind().unwrap();
        let mut converted = Vec::new();
        file.read_to_end(&mut converted).unwrap();
        assert_eq!(converted[..4], NANOSECOND_MAGIC.to_le_bytes());
        assert_eq!(converted.len(), FILE_HEADER_LEN);
    }
}
