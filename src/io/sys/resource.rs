//! The limit of open files, and a reserve of free descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::rlim_t;

/// Number of descriptors reserved for metrics, health, the endpoint and kernel queries, so that
/// they work when traffic has used all others.
const RESERVED: rlim_t = 32;

/// Raises the soft limit of open files to the hard limit, which every process may do.
pub(crate) fn raise_open_file_limit() -> io::Result<()> {
    let mut limit = open_file_limit()?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a whole `rlimit` that lives across the call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Rejects a descriptor that is one of the last 32, or of the last quarter if the limit is low. The
/// kernel always assigns the lowest free number, so the number shows how many are in use.
///
/// # Errors
/// `EMFILE`: the caller should close the descriptor.
pub(crate) fn check_reserve(descriptor: &impl AsFd) -> io::Result<()> {
    let limit = open_file_limit()?.rlim_cur;
    let number = rlim_t::try_from(descriptor.as_fd().as_raw_fd()).unwrap_or(0);
    if number < limit.saturating_sub(RESERVED.min(limit / 4)) {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EMFILE))
}

/// Number of descriptors that can be opened before [`check_reserve`] rejects one. `lowest` must
/// have been opened just now.
///
/// # Errors
/// The limit cannot be read.
pub(crate) fn spare_descriptors(lowest: &impl AsFd) -> io::Result<usize> {
    let limit = open_file_limit()?.rlim_cur;
    let number = rlim_t::try_from(lowest.as_fd().as_raw_fd()).unwrap_or(0);
    let spare = limit.saturating_sub(RESERVED.min(limit / 4)).saturating_sub(number);
    Ok(usize::try_from(spare).unwrap_or(usize::MAX))
}

/// Whether an error means that no descriptor is left, for the process or for the host.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

fn open_file_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a whole `rlimit` that lives across the call, which writes nothing else.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_descriptor_is_kept_and_emfile_means_exhausted() {
        let file = std::fs::File::open("/dev/null").unwrap();
        check_reserve(&file).unwrap();
        assert!(spare_descriptors(&file).unwrap() > 0);
        assert!(is_out_of_descriptors(&io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(!is_out_of_descriptors(&io::Error::from_raw_os_error(libc::EPERM)));
    }
}
