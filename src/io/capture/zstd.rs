//! Decompresses a stream of zstd frames.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// An empty raw block that is the last of its frame (RFC 8878, section 3.1.1.2), and four bytes for
/// an optional checksum.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// Reads the contents of consecutive frames. Skippable frames are skipped.
pub(super) struct ZstdFrames<R> {
    reader: R,
    decoder: FrameDecoder,
    /// Whether the decoder has a frame that was not yet read completely.
    is_in_frame: bool,
    /// An error, which is returned after all bytes that were decoded before it.
    deferred_error: Option<io::Error>,
}

impl<R: BufRead> ZstdFrames<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, decoder: FrameDecoder::new(), is_in_frame: false, deferred_error: None }
    }

    /// Starts the next frame. Returns false if there is none.
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

    /// Decodes some blocks. After an error, the decoder still holds decoded bytes for later blocks;
    /// feeding it an empty last block releases them.
    fn decode(&mut self, len: usize) {
        let some = BlockDecodingStrategy::UptoBytes(len);
        if let Err(error) = self.decoder.decode_blocks(&mut self.reader, some) {
            self.deferred_error = Some(io::Error::other(error));
            let _ = self.decoder.decode_blocks(&LAST_BLOCK[..], BlockDecodingStrategy::All);
        }
    }

    /// Ends a frame that was read completely.
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
            let len = self.decoder.read(buffer)?;
            if len > 0 || buffer.is_empty() {
                return Ok(len);
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
