//! How many files the process may have open, and how many of them stay free.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::rlim_t;

/// Descriptors that only metrics, health, the endpoint and queries to the kernel may use, so that
/// they go on where traffic has used up the rest.
const RESERVED: rlim_t = 32;

/// Raises the soft limit of open files to the hard one, which every process may do.
pub(crate) fn raise_open_file_limit() -> io::Result<()> {
    let mut limit = open_file_limit()?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a whole `rlimit` that lives across the call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Refuses a descriptor that is one of the last 32, or of the last quarter where there are few. The
/// kernel always gives the lowest free number, so the number says how many are in use.
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

/// How many more descriptors there may be before [`check_reserve`] refuses one, where `lowest` was
/// opened just now.
///
/// # Errors
/// The system does not say.
pub(crate) fn spare_descriptors(lowest: &impl AsFd) -> io::Result<usize> {
    let limit = open_file_limit()?.rlim_cur;
    let number = rlim_t::try_from(lowest.as_fd().as_raw_fd()).unwrap_or(0);
    let spare = limit.saturating_sub(RESERVED.min(limit / 4)).saturating_sub(number);
    Ok(usize::try_from(spare).unwrap_or(usize::MAX))
}

/// Whether an error says that no descriptor is left, for the process or for the host.
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
