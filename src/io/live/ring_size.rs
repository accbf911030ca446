//! How a ring of a given length is divided into blocks, and after what time a block is closed.
//!
//! A ring overflows when all of its blocks are in use. A block is in use from its first frame until
//! the worker has read it, whether it is full or not, and the kernel closes a block that is not
//! full when its time is over. With short times a ring of N blocks therefore holds N times that
//! time of traffic and not its length in bytes: 128 blocks of 2 ms hold 256 ms. Where the worker
//! reads frames out of the open block, nothing waits for the end of a block, and the time can be
//! long. It still bounds how long a slot that the kernel left empty holds up the frames behind it.
//!
//! ```text
//! ring      block     blocks   closed after   full by time alone after
//! 512 KiB   128 KiB        4       2,000 ms       8 s
//!   2 MiB   256 KiB        8       2,000 ms      16 s
//!  64 MiB     1 MiB       64         500 ms      32 s
//!   4 GiB     1 MiB    4,096          50 ms     204 s
//! ```

use super::ring_reader::READS_OPEN_BLOCKS;
use crate::io::sys::ring_memory::RingGeometry;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// No traffic fills a ring in less time by closing its blocks early, where that can be had.
const FULL_AFTER_MS: usize = 32_000;

/// The kernel's timer for a block is not set to more often than this.
const MIN_TIMEOUT_MS: usize = 50;

/// Nor less often: it is how long an empty slot may hold up the frames behind it.
const MAX_TIMEOUT_MS: usize = 2_000;

/// Where frames are read after their block was closed, it is closed soon, and a ring holds as many
/// milliseconds as it has blocks.
const SHORT_TIMEOUT_MS: usize = 1;

/// The blocks of a ring that has at most `ring_len` bytes, and at least two blocks.
pub(super) fn geometry(ring_len: usize) -> RingGeometry {
    let block_len = block_len(ring_len);
    let blocks = (ring_len / block_len).max(2);
    RingGeometry { block_len, blocks, timeout_ms: timeout_ms(blocks, READS_OPEN_BLOCKS) }
}

/// Bytes of memory that a ring of at most `ring_len` bytes takes: whole blocks.
#[must_use]
pub fn ring_memory_len(ring_len: usize) -> usize {
    let RingGeometry { block_len, blocks, .. } = geometry(ring_len);
    block_len * blocks
}

/// The kernel does not divide a frame: what does not fit into the rest of a block leaves that rest
/// empty. A super-frame has up to 64 KiB, so of a block of 256 KiB up to a quarter is lost, and of
/// 1 MiB a sixteenth. Small rings have small blocks so that there are enough of them. Super-frames
/// of more than 64 KiB ("BIG TCP", up to 512 KiB) fit a block of 1 MiB only; the kernel cuts off
/// what does not fit.
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

    /// The smallest and the largest ring that can be asked for, and sizes between them.
    const LENS: [usize; 8] =
        [512 * KIB, MIB, 2 * MIB, 5 * MIB + 77, 16 * MIB, 64 * MIB, 999 * MIB, 4096 * MIB];

    #[test]
    fn a_ring_uses_most_of_its_memory_and_never_more() {
        for len in LENS {
            let taken = ring_memory_len(len);
            assert!(taken <= len && taken > len - len / 4, "{len}: {taken}");
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
