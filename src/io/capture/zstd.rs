//! A stream of zstd frames as a reader of what is inside them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// An empty raw block that is the last of its frame (RFC 8878, section 3.1.1.2), and room for
/// the checksum that may follow.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// One frame behind the other, those without content skipped.
pub(super) struct ZstdFrames<R> {
    reader: R,
    decoder: FrameDecoder,
    /// Whether the decoder holds a frame that is not yet read to its end.
    is_in_frame: bool,
    /// What ends the stream, once all that was decoded before it is read.
    deferred_error: Option<io::Error>,
}

impl<R: BufRead> ZstdFrames<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, decoder: FrameDecoder::new(), is_in_frame: false, deferred_error: None }
    }

    /// Begins the next frame; false where there is none.
    fn start_frame(&mut self) -> io::Result<bool> {
        use FrameDecoderError::ReadFrameHeaderError as Header;
        while !self.reader.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.reader) {
                Ok(()) => {
                    self.is_in_frame = true;
                    return Ok(true);
                }
                Err(Header(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = &mut self.reader.by_ref().take(u64::from(length));
                    io::copy(skipped, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Decodes some blocks. Where that fails, what was decoded so far is not lost: the decoder
    /// holds it back for blocks to come, until an empty last block says that there are none.
    fn decode(&mut self, len: usize) {
        let some = BlockDecodingStrategy::UptoBytes(len);
        if let Err(error) = self.decoder.decode_blocks(&mut self.reader, some) {
            self.deferred_error = Some(io::Error::other(error));
            let _ = self.decoder.decode_blocks(&LAST_BLOCK[..], BlockDecodingStrategy::All);
        }
    }

    /// Ends a frame of which all is read.
    fn finish_frame(&mut self) -> io::Result<()> {
        self.is_in_frame = false;
        if let Some(error) = self.deferred_error.take() {
            return Err(error);
        }
        let (expected, actual) =
            (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if expected.is_some() && expected != actual {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the zstd checksum is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.is_in_frame || self.start_frame()? {
            let got = self.decoder.read(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            if self.decoder.is_finished() {
                self.finish_frame()?;
            } else {
                self.decode(buffer.len());
                if self.deferred_error.is_some() && !self.decoder.is_finished() {
                    self.finish_frame()?;
                }
            }
        }
        Ok(0)
    }
}
