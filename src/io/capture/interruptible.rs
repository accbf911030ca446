//! A stream whose reader stops waiting for data when a flag is set.

use std::fs::File;
use std::io::{self, Read};

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::io::StopFlag;

/// The longest wait before the flag is checked again.
#[cfg(unix)]
const POLL_TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A pipe or a device. The system restarts a read that a signal interrupts, so the wait is a
/// `poll` of limited length before each read.
pub(super) struct InterruptibleReader {
    file: File,
    stop: StopFlag,
}

impl InterruptibleReader {
    pub(super) fn new(file: File, stop: &StopFlag) -> Self {
        Self { file, stop: stop.clone() }
    }
}

impl Read for InterruptibleReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.is_set() {
                return Err(io::Error::other("the run was stopped while it waited for data"));
            }
            if is_ready_or_failed(&self.file) {
                return self.file.read(buffer);
            }
        }
    }
}

/// Waits until a read would not block, at most for [`POLL_TIMEOUT`]. Returns true also after an
/// error, which the read then reports.
#[cfg(unix)]
fn is_ready_or_failed(file: &File) -> bool {
    let polled = poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&POLL_TIMEOUT));
    !matches!(polled, Ok(0) | Err(rustix::io::Errno::INTR))
}

/// Other systems cannot wait for a file: the read blocks until bytes arrive.
#[cfg(not(unix))]
const fn is_ready_or_failed(_: &File) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn available_bytes_are_read_and_the_stop_flag_ends_a_wait() {
        let (reader, mut writer) = io::pipe().unwrap();
        let stop = StopFlag::new();
        let mut stream = InterruptibleReader::new(File::from(OwnedFd::from(reader)), &stop);
        writer.write_all(b"there").unwrap();
        let mut buffer = [0; 9];
        assert_eq!(stream.read(&mut buffer).unwrap(), 5);
        stop.set();
        assert!(stream.read(&mut buffer).is_err());
    }

    #[test]
    fn the_end_of_a_pipe_is_end_of_file() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        let mut stream =
            InterruptibleReader::new(File::from(OwnedFd::from(reader)), &StopFlag::new());
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
    }
}
