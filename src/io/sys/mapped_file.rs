//! Maps files into memory for sequential reading.

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
        // SAFETY: the bytes must not change while they are borrowed. Other processes cannot be
        // prevented from changing the file, so no decision about memory depends on a byte being the
        // same when read twice: lengths are checked against the mapping each time they are read
        // (upheld by io::capture). If the file is truncated meanwhile, the process ends by SIGBUS;
        // docs/limits.md documents this.
        let map = unsafe { Mmap::map(file)? };
        // A kernel that ignores the advice reads the file anyway.
        #[cfg(target_os = "linux")]
        let _ = map.advise(Advice::Sequential);
        Ok(Self(map))
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Loads `len` bytes from `offset` in one call: a page fault for each page costs far more.
    #[cfg(target_os = "linux")]
    pub(crate) fn populate(&self, offset: usize, len: usize) {
        let len = len.min(self.0.len().saturating_sub(offset));
        if len > 0 {
            let _ = self.0.advise_range(Advice::PopulateRead, offset, len);
        }
    }

    /// Declares that the `len` bytes from `offset` are not read again soon, so that memory use does
    /// not depend on the length of the file.
    #[cfg(target_os = "linux")]
    pub(crate) fn release(&self, offset: usize, len: usize) {
        let len = len.min(self.0.len().saturating_sub(offset));
        if len > 0 {
            // SAFETY: the mapping is of a file, shared and never written to (upheld by `new`), so a
            // released page has the same bytes when it is read again.
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

/// Prefetches the cache line of `bytes[offset]`, if it exists.
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

/// Prefetches bytes that will be read and soon overwritten, with ownership of their cache lines.
/// Later writes then do not have to fetch each line from the processor that wrote it, which would
/// take about as long as reading it.
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
