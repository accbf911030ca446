//! Writes pcap, in little-endian order on every machine, so that the same input gives the same
//! file.

use std::io::{self, Write};

use super::format::{
    BUFFER_LEN, ETHERNET, FILE_HEADER_LEN, MICROSECOND_MAGIC, NANOSECOND_MAGIC, Precision,
};
#[cfg(target_os = "linux")]
use super::output_file::OutputFile;
use super::record_buffer::{NotAdded, RecordBuffer};
use crate::dataplane::{Copies, Drops, InnerBytes, MirroredCopy, Sink};

/// The snaplen in the file header, in bytes, which is the default of tcpdump.
const SNAPLEN: u32 = 262_144;

/// Writes records with any bytes to `W`.
pub struct PcapWriter<W> {
    out: W,
    buffer: RecordBuffer,
    /// Converts the written records from microseconds to nanoseconds, if the output permits it.
    convert_to_nanoseconds: Option<fn(&mut W) -> io::Result<()>>,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// The error of the output.
    pub fn new(mut out: W, precision: Precision) -> io::Result<Self> {
        out.write_all(&file_header(precision))?;
        let buffer = RecordBuffer::new(BUFFER_LEN, precision);
        Ok(Self { out, buffer, convert_to_nanoseconds: None })
    }

    /// Writes the record of a copy.
    #[inline(always)]
    fn write_copy(&mut self, copy: &MirroredCopy<'_>) -> io::Result<()> {
        match self.buffer.push_copy(copy, self.convert_to_nanoseconds.is_none()) {
            Ok(()) => Ok(()),
            Err(reason) => self.write_copy_after(copy, reason),
        }
    }

    /// The same after the reason why it was not added is removed.
    #[cold]
    #[inline(never)]
    fn write_copy_after(&mut self, copy: &MirroredCopy<'_>, reason: NotAdded) -> io::Result<()> {
        self.prepare(reason)?;
        let truncates_time = self.convert_to_nanoseconds.is_none();
        while let Err(reason) = self.buffer.push_any_copy(copy, truncates_time) {
            self.prepare(reason)?;
        }
        Ok(())
    }

    /// Writes one record.
    ///
    /// # Errors
    /// The error of the output.
    pub fn write_record(&mut self, timestamp_ns: u64, bytes: &[u8]) -> io::Result<()> {
        let truncates_time = self.convert_to_nanoseconds.is_none();
        let body = InnerBytes::from(bytes);
        while let Err(reason) = self.buffer.push(timestamp_ns, body, truncates_time, |_| 0) {
            self.prepare(reason)?;
        }
        Ok(())
    }

    /// Removes the reason why a record was not added.
    #[cold]
    fn prepare(&mut self, reason: NotAdded) -> io::Result<()> {
        self.write_buffered()?;
        match reason {
            // Reached only for very long frames. The buffer keeps its new length.
            NotAdded::NeedsRoom(len) => self.buffer.reserve(len),
            NotAdded::NeedsNanoseconds => {
                if let Some(convert_to_nanoseconds) = self.convert_to_nanoseconds {
                    self.out.flush()?;
                    convert_to_nanoseconds(&mut self.out)?;
                }
                self.buffer.set_precision(Precision::Nano);
            }
        }
        Ok(())
    }

    fn write_buffered(&mut self) -> io::Result<()> {
        let written = self.out.write_all(self.buffer.records());
        self.buffer.clear();
        written
    }

    /// Writes the buffered records.
    ///
    /// # Errors
    /// The error of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_buffered()?;
        self.out.flush()
    }

    /// The output.
    pub const fn inner_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Returns the output. Buffered records are lost.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// The header of a file with timestamps of this precision.
pub(super) fn file_header(precision: Precision) -> [u8; FILE_HEADER_LEN] {
    let magic = match precision {
        Precision::Micro => MICROSECOND_MAGIC,
        Precision::Nano => NANOSECOND_MAGIC,
    };
    let mut header = [0; FILE_HEADER_LEN];
    header[0..4].copy_from_slice(&magic.to_le_bytes());
    header[4..8].copy_from_slice(&[2, 0, 4, 0]);
    header[16..20].copy_from_slice(&SNAPLEN.to_le_bytes());
    header[20..24].copy_from_slice(&ETHERNET.to_le_bytes());
    header
}

/// A sink that writes copies as pcap records.
pub struct PcapSink<W>(PcapWriter<W>);

impl<W: Write> PcapSink<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// The error of the output.
    pub fn new(out: W, precision: Precision) -> io::Result<Self> {
        PcapWriter::new(out, precision).map(Self)
    }

    /// Returns the output. The sink must be flushed before.
    pub fn into_inner(self) -> W {
        self.0.into_inner()
    }
}

#[cfg(target_os = "linux")]
impl PcapSink<OutputFile> {
    /// Starts a file with timestamps in microseconds. At the first timestamp that is not a whole
    /// microsecond, all are converted to nanoseconds. A device or pipe keeps microseconds, and
    /// fractions of a microsecond are discarded.
    ///
    /// # Errors
    /// The error of the output.
    pub fn with_auto_precision(out: OutputFile) -> io::Result<Self> {
        let mut writer = PcapWriter::new(out, Precision::Micro)?;
        writer.convert_to_nanoseconds = writer.out.partial_path().map(|_| {
            let convert_to_nanoseconds: fn(&mut OutputFile) -> io::Result<()> =
                |file| file.convert_to_nanoseconds();
            convert_to_nanoseconds
        });
        Ok(Self(writer))
    }
}

impl<W: Write> Sink for PcapSink<W> {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            self.0.write_copy(&copy)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_follow_the_pcap_format() {
        let mut writer = PcapWriter::new(Vec::new(), Precision::Micro).unwrap();
        writer.write_record(1_000_000_002_345, &[7; 3]).unwrap();
        writer.flush().unwrap();
        let file = writer.into_inner();
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        assert_eq!(file[24..40], [232, 3, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(file[40..], [7; 3]);
    }

    #[test]
    fn a_time_that_does_not_fit_microseconds_makes_all_times_nanoseconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let mut sink = PcapSink::with_auto_precision(OutputFile::create(&path).unwrap()).unwrap();
        for timestamp_ns in [1_000_005_000, 2_000_000_500, 3_000_000_000] {
            sink.0.write_record(timestamp_ns, &[7; 3]).unwrap();
        }
        sink.flush().unwrap();
        sink.into_inner().commit().unwrap();
        let mut whole = PcapWriter::new(Vec::new(), Precision::Nano).unwrap();
        for timestamp_ns in [1_000_005_000, 2_000_000_500, 3_000_000_000] {
            whole.write_record(timestamp_ns, &[7; 3]).unwrap();
        }
        whole.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole.into_inner());
    }

    #[test]
    fn a_record_longer_than_the_buffer_is_written_whole() {
        let mut writer = PcapWriter::new(Vec::new(), Precision::Nano).unwrap();
        writer.write_record(1, &[1; 10]).unwrap();
        writer.write_record(2, &vec![2; 2 * BUFFER_LEN]).unwrap();
        writer.write_record(3, &[3; 10]).unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.into_inner().len(), 24 + 3 * 16 + 20 + 2 * BUFFER_LEN);
    }
}
