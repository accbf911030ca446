//! Reads the size of the machine's memory.

/// Memory of the machine in bytes, regardless of cgroup limits; `None` if it is unknown.
pub(crate) fn total_memory() -> Option<u64> {
    // SAFETY: sysconf takes a number and returns one; it reads and writes no memory of ours.
    let (pages, page_len) =
        unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    u64::try_from(pages).ok()?.checked_mul(u64::try_from(page_len).ok()?)
}
