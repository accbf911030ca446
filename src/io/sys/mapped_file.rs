//! Files mapped into memory, for reading from front to back.

use std::fs::File;
use std::io;

use memmap2::Mmap;
#[cfg(target_os = "linux")]
use memmap2::{Advice, UncheckedAdvice};

/// A whole file in memory.
#[derive(Debug)]
pub(crate) struct MappedFile(Mmap);

impl MappedFile {
    /// Maps a regular file that is not empty.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes must not change while they are borrowed. Nobody can hold another
        // process to that, so no decision about memory rests on a byte being read the same twice:
        // lengths are checked against the mapping each time they are read (kept by io::capture).
        // A file that is cut shorter meanwhile ends the process by SIGBUS; docs/limits.md says so.
        let map = unsafe { Mmap::map(file)? };
        // Advice is only that: a kernel that does not take it reads all the same.
        #[cfg(target_os = "linux")]
        let _ = map.advise(Advice::Sequential);
        Ok(Self(map))
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Lets the kernel bring in `len` bytes from `offset` on in one go: a page fault for each
    /// page is dearer by far.
    #[cfg(target_os = "linux")]
    pub(crate) fn populate(&self, offset: usize, len: usize) {
        let len = len.min(self.0.len().saturating_sub(offset));
        if len > 0 {
            let _ = self.0.advise_range(Advice::PopulateRead, offset, len);
        }
    }

    /// Says that the `len` bytes from `offset` on are not read again soon, so that a file of any
    /// length takes the same memory.
    #[cfg(target_os = "linux")]
    pub(crate) fn release(&self, offset: usize, len: usize) {
        let len = len.min(self.0.len().saturating_sub(offset));
        if len > 0 {
            // SAFETY: the mapping is of a file, shared and never written to (kept by `new`), so a
            // page that is given up comes back with the same bytes when it is touched again.
            let _ =
                unsafe { self.0.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, len) };
        }
    }

    /// Other systems bring pages in when they are touched.
    #[cfg(not(target_os = "linux"))]
    pub(crate) const fn populate(&self, _offset: usize, _len: usize) {}

    /// Other systems take pages back when they need memory.
    #[cfg(not(target_os = "linux"))]
    pub(crate) const fn release(&self, _offset: usize, _len: usize) {}
}

/// Asks for the cache line that holds `bytes[offset]`, if there is one.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], offset: usize) {
    if let Some(byte) = bytes.get(offset) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that the program can see, and the address is valid.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = byte;
    }
}

/// Length of a cache line in bytes.
#[cfg(target_arch = "x86_64")]
#[cfg(feature = "live")]
const LINE_LEN: usize = 64;

/// Brings bytes that are about to be read, and overwritten soon after, into the cache of this
/// processor as its own. The later writes then do not have to take each cache line away from the
/// processor that wrote it, which would take about as long again as reading it.
#[inline]
#[cfg(feature = "live")]
pub(crate) fn prefetch_for_write(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE_LEN) {
        // SAFETY: PREFETCHW changes no memory, register or flag, and faults at no address; a
        // processor that does not know it does nothing (Intel SDM, volume 2, "PREFETCHW").
        unsafe {
            std::arch::asm!(
                "prefetchw [{}]",
                in(reg) line.as_ptr(),
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
