//! How many workers there are file descriptors for, so that metrics and health still answer.

use std::io;

use crate::io::live;
use crate::io::sys::resource;

/// What a worker needs at most: wake-up event, ring, wake-up socket, three sockets to send by.
const DESCRIPTORS_PER_WORKER: usize = 6;

/// What the process opens besides and after: listeners, signals, watches of links.
const DESCRIPTORS_BESIDES: usize = 12;

/// How many workers there are descriptors for, at least one.
pub(super) fn most_workers() -> io::Result<usize> {
    let _ = resource::raise_open_files();
    let spare = resource::spare_descriptors(&live::waker()?)?;
    Ok((spare.saturating_sub(DESCRIPTORS_BESIDES) / DESCRIPTORS_PER_WORKER).max(1))
}
