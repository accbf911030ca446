//! The vector instructions that bit vectors need, for AVX2 and AVX-512.
//!
//! A vector has lanes of 16 bytes: two with AVX2, four with AVX-512. Each byte of a lane belongs to
//! one packet, so a vector has a byte of 32 or 64 packets.

/// The largest number of lanes of a vector.
pub(super) const MAX_LANES: usize = 4;

/// Instructions on vectors of bytes.
pub(super) trait ByteVector: Copy {
    type Vector: Copy;
    /// The number of lanes of a vector.
    const LANES: usize;
    /// A vector from its lanes.
    fn load_lanes(self, lanes: [[u64; 2]; MAX_LANES]) -> Self::Vector;
    /// The lanes of a vector.
    fn lanes(self, vector: Self::Vector) -> [[u64; 2]; MAX_LANES];
    /// The same bytes in each lane.
    fn splat(self, lane: &[u8; 16]) -> Self::Vector;
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn or(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// For 64-bit words: the first set bit of each session, as `low_bits` and `guards` delimit the
    /// sessions, restricted to the bits of `kept`.
    fn first(self, words: Self::Vector, guards: u64, low_bits: u64, kept: u64) -> Self::Vector;
    /// For each byte of `places`, from 0 to 15, the byte at this index of the lane of `table`.
    fn look_up(self, table: Self::Vector, places: Self::Vector) -> Self::Vector;
    /// The upper four bits of each byte.
    fn upper(self, vector: Self::Vector) -> Self::Vector;
    /// Interleaves the bytes of the lower halves of the lanes.
    fn zip_low(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Interleaves the bytes of the upper halves of the lanes.
    fn zip_high(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Sets all bits of each 16-bit value from `low` to `high`, both included; clears the others.
    fn within(self, pairs: Self::Vector, low: u16, high: u16) -> Self::Vector;
    /// One byte for each 16-bit value, which must have all bits or none set; `a` becomes the lower
    /// half of each lane.
    fn narrow(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256i, __m512i};

    use pulp::x86::{V3, V4};

    use super::{ByteVector, MAX_LANES};

    /// AVX2.
    impl ByteVector for V3 {
        type Vector = __m256i;
        const LANES: usize = 2;

        #[inline(always)]
        fn load_lanes(self, [a, b, ..]: [[u64; 2]; MAX_LANES]) -> __m256i {
            pulp::cast([a, b])
        }

        #[inline(always)]
        fn lanes(self, vector: __m256i) -> [[u64; 2]; MAX_LANES] {
            let [a, b]: [[u64; 2]; 2] = pulp::cast(vector);
            [a, b, [0; 2], [0; 2]]
        }

        #[inline(always)]
        fn splat(self, lane: &[u8; 16]) -> __m256i {
            self.avx2._mm256_broadcastsi128_si256(pulp::cast(*lane))
        }

        #[inline(always)]
        fn and(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_and_si256(a, b)
        }

        #[inline(always)]
        fn or(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_or_si256(a, b)
        }

        #[inline(always)]
        fn first(self, words: __m256i, guards: u64, low_bits: u64, kept: u64) -> __m256i {
            let splat = |word: u64| self.avx._mm256_set1_epi64x(word.cast_signed());
            let guarded = self.avx2._mm256_or_si256(words, splat(guards));
            let borrowed = self.avx2._mm256_sub_epi64(guarded, splat(low_bits));
            let first = self.avx2._mm256_andnot_si256(borrowed, words);
            self.avx2._mm256_and_si256(first, splat(kept))
        }

        #[inline(always)]
        fn look_up(self, table: __m256i, places: __m256i) -> __m256i {
            self.avx2._mm256_shuffle_epi8(table, places)
        }

        #[inline(always)]
        fn upper(self, vector: __m256i) -> __m256i {
            let moved = self.avx2._mm256_srli_epi16::<4>(vector);
            self.avx2._mm256_and_si256(moved, self.avx._mm256_set1_epi8(0x0f))
        }

        #[inline(always)]
        fn zip_low(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_unpacklo_epi8(a, b)
        }

        #[inline(always)]
        fn zip_high(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_unpackhi_epi8(a, b)
        }

        #[inline(always)]
        fn within(self, pairs: __m256i, low: u16, high: u16) -> __m256i {
            let splat = |bound: u16| self.avx._mm256_set1_epi16(bound.cast_signed());
            let bounded = self.avx2._mm256_max_epu16(pairs, splat(low));
            let bounded = self.avx2._mm256_min_epu16(bounded, splat(high));
            self.avx2._mm256_cmpeq_epi16(bounded, pairs)
        }

        #[inline(always)]
        fn narrow(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_packs_epi16(a, b)
        }
    }

    /// AVX-512.
    impl ByteVector for V4 {
        type Vector = __m512i;
        const LANES: usize = 4;

        #[inline(always)]
        fn load_lanes(self, lanes: [[u64; 2]; MAX_LANES]) -> __m512i {
            pulp::cast(lanes)
        }

        #[inline(always)]
        fn lanes(self, vector: __m512i) -> [[u64; 2]; MAX_LANES] {
            pulp::cast(vector)
        }

        #[inline(always)]
        fn splat(self, lane: &[u8; 16]) -> __m512i {
            self.avx512f._mm512_broadcast_i32x4(pulp::cast(*lane))
        }

        #[inline(always)]
        fn and(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512f._mm512_and_si512(a, b)
        }

        #[inline(always)]
        fn or(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512f._mm512_or_si512(a, b)
        }

        #[inline(always)]
        fn first(self, words: __m512i, guards: u64, low_bits: u64, kept: u64) -> __m512i {
            let splat = |word: u64| self.avx512f._mm512_set1_epi64(word.cast_signed());
            let guarded = self.avx512f._mm512_or_si512(words, splat(guards));
            let borrowed = self.avx512f._mm512_sub_epi64(guarded, splat(low_bits));
            let first = self.avx512f._mm512_andnot_si512(borrowed, words);
            self.avx512f._mm512_and_si512(first, splat(kept))
        }

        #[inline(always)]
        fn look_up(self, table: __m512i, places: __m512i) -> __m512i {
            self.avx512bw._mm512_shuffle_epi8(table, places)
        }

        #[inline(always)]
        fn upper(self, vector: __m512i) -> __m512i {
            let moved = self.avx512bw._mm512_srli_epi16::<4>(vector);
            self.avx512f._mm512_and_si512(moved, self.avx512f._mm512_set1_epi8(0x0f))
        }

        #[inline(always)]
        fn zip_low(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512bw._mm512_unpacklo_epi8(a, b)
        }

        #[inline(always)]
        fn zip_high(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512bw._mm512_unpackhi_epi8(a, b)
        }

        #[inline(always)]
        fn within(self, pairs: __m512i, low: u16, high: u16) -> __m512i {
            let splat = |bound: u16| self.avx512f._mm512_set1_epi16(bound.cast_signed());
            let bounded = self.avx512bw._mm512_max_epu16(pairs, splat(low));
            let bounded = self.avx512bw._mm512_min_epu16(bounded, splat(high));
            let equal = self.avx512bw._mm512_cmpeq_epu16_mask(bounded, pairs);
            self.avx512bw._mm512_movm_epi16(equal)
        }

        #[inline(always)]
        fn narrow(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512bw._mm512_packs_epi16(a, b)
        }
    }
}
