//! Divides a ring of a given length into blocks and chooses the timeout after which the kernel
//! closes a block.
//!
//! A ring overflows when all of its blocks are in use. A block is in use from its first frame until
//! the worker has read it, whether it is full or not. The kernel closes a block that is not full
//! when its timeout expires. With a short timeout, a ring of N blocks therefore holds N times the
//! timeout of traffic and not its length in bytes: 128 blocks of 2 ms hold 256 ms. If the worker
//! reads frames from the open block, no frame waits for the end of a block and the timeout can be
//! long. It still limits how long an empty slot delays the frames after it.
//!
//! ```text
//! ring      block     blocks   timeout         full by timeouts alone after
//! 512 KiB   128 KiB        4       2,000 ms       8 s
//!   2 MiB   256 KiB        8       2,000 ms      16 s
//!  64 MiB     1 MiB       64         500 ms      32 s
//!   4 GiB     1 MiB    4,096          50 ms     204 s
//! ```

use super::ring_reader::READS_OPEN_BLOCKS;
use crate::io::sys::ring_memory::RingGeometry;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The time in ms in which block timeouts alone may fill a ring, where the limits below allow it.
const FULL_AFTER_MS: usize = 32_000;

/// The shortest timeout in ms: it bounds how often the kernel's timer runs.
const MIN_TIMEOUT_MS: usize = 50;

/// The longest timeout in ms: it bounds how long an empty slot delays the frames after it.
const MAX_TIMEOUT_MS: usize = 2_000;

/// The timeout in ms where frames are read only after their block was closed. A ring then holds as
/// many milliseconds of traffic as it has blocks.
const SHORT_TIMEOUT_MS: usize = 1;

/// The geometry of a ring of at most `ring_len` bytes and at least two blocks.
pub(super) fn geometry(ring_len: usize) -> RingGeometry {
    let block_len = block_len(ring_len);
    let blocks = (ring_len / block_len).max(2);
    RingGeometry { block_len, blocks, timeout_ms: timeout_ms(blocks, READS_OPEN_BLOCKS) }
}

/// The number of bytes that a ring of at most `ring_len` bytes allocates: whole blocks.
#[must_use]
pub fn ring_memory_len(ring_len: usize) -> usize {
    let RingGeometry { block_len, blocks, .. } = geometry(ring_len);
    block_len * blocks
}

/// The kernel does not split a frame: a frame that does not fit into the rest of a block leaves
/// that rest unused. A super-frame has up to 64 KiB, so up to a quarter of a block of 256 KiB is
/// unused, and a sixteenth of 1 MiB. Small rings have small blocks so that they have enough of
/// them. The longest super-frames (BIG TCP, up to 512 KiB) fit into a block of 1 MiB only. The
/// kernel truncates a frame that is longer than a block; the segments that are missing then are
/// counted as lost.
const fn block_len(ring_len: usize) -> usize {
    if ring_len >= 16 * MIB {
        MIB
    } else if ring_len >= 2 * MIB {
        256 * KIB
    } else {
        128 * KIB
    }
}

fn timeout_ms(blocks: usize, reads_open_blocks: bool) -> u32 {
    let wanted = if reads_open_blocks {
        (FULL_AFTER_MS / blocks.max(1)).clamp(MIN_TIMEOUT_MS, MAX_TIMEOUT_MS)
    } else {
        SHORT_TIMEOUT_MS
    };
    u32::try_from(wanted).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest and the largest ring that a user can configure, and lengths between them.
    const LENS: [usize; 8] =
        [512 * KIB, MIB, 2 * MIB, 5 * MIB + 77, 16 * MIB, 64 * MIB, 999 * MIB, 4096 * MIB];

    #[test]
    fn a_ring_uses_most_of_its_memory_and_never_more() {
        for len in LENS {
            let allocated_len = ring_memory_len(len);
            assert!(
                allocated_len <= len && allocated_len > len - len / 4,
                "{len}: {allocated_len}"
            );
        }
        assert_eq!(ring_memory_len(0), 256 * KIB);
    }

    #[test]
    fn a_block_fits_a_super_frame_and_there_are_enough_blocks() {
        for len in LENS {
            let RingGeometry { block_len, blocks, .. } = geometry(len);
            assert!(block_len > (64 + 1) * KIB && block_len.is_multiple_of(4096), "{len}");
            assert!(blocks >= 4, "{len}");
        }
    }

    #[test]
    fn block_timeouts_do_not_fill_a_ring_within_8_seconds() {
        for len in LENS {
            let blocks = geometry(len).blocks;
            let full_after = blocks * usize::try_from(timeout_ms(blocks, true)).unwrap();
            assert!(full_after >= 8_000, "{len}: {full_after} ms");
        }
    }

    #[test]
    fn blocks_are_closed_soon_when_open_blocks_are_not_read() {
        assert_eq!(timeout_ms(64, false), 1);
        assert_eq!(timeout_ms(64, true), 500);
        assert_eq!((timeout_ms(1, true), timeout_ms(1 << 20, true)), (2_000, 50));
    }
}
