//! Comparisons of a value with eight keys, which fill a cache line.

/// The number of keys of a block.
pub(super) const KEYS: usize = 8;

/// [`KEYS`] as `u32`.
pub(super) const KEYS_OF_BLOCK: u32 = 8;

/// Eight keys in one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct KeyBlock(pub(super) [u64; KEYS]);

/// Instructions that compare eight keys.
pub(super) trait CompareKeys: Copy {
    /// The number of keys that are less than `value`.
    fn count_below(self, block: &KeyBlock, value: u64) -> u32;

    /// The first index at which the key is `value` and the tag is `tag`; [`KEYS`] if there is none.
    fn find(self, block: &KeyBlock, tags: &[u16; KEYS], value: u64, tag: u16) -> usize;
}

/// Code for every processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl CompareKeys for Portable {
    #[inline(always)]
    fn count_below(self, block: &KeyBlock, value: u64) -> u32 {
        block.0.iter().map(|key| u32::from(*key < value)).sum()
    }

    #[inline(always)]
    fn find(self, block: &KeyBlock, tags: &[u16; KEYS], value: u64, tag: u16) -> usize {
        let pairs = (0..).zip(block.0.iter().zip(tags));
        let equal = pairs.fold(1 << KEYS, |set: u32, (index, (key, own))| {
            set | u32::from((*key == value) & (*own == tag)) << index
        });
        first_bit(equal)
    }
}

#[inline(always)]
fn first_bit(set: u32) -> usize {
    usize::try_from(set.trailing_zeros()).unwrap_or(KEYS)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;

    use pulp::x86::{V3, V4};

    use super::{CompareKeys, KEYS, KeyBlock, first_bit};

    /// A bit for each of the eight comparisons.
    #[inline(always)]
    fn mask(isa: V3, low: __m256i, high: __m256i) -> u32 {
        let low = isa.avx._mm256_movemask_pd(isa.avx._mm256_castsi256_pd(low));
        let high = isa.avx._mm256_movemask_pd(isa.avx._mm256_castsi256_pd(high));
        (low | high << 4).cast_unsigned()
    }

    /// A bit for each of the tags that is `tag`.
    #[inline(always)]
    fn equal_tags(isa: V3, tags: &[u16; KEYS], tag: u16) -> u32 {
        let equal =
            isa.sse2._mm_cmpeq_epi16(pulp::cast(*tags), isa.sse2._mm_set1_epi16(tag.cast_signed()));
        let bytes = isa.sse2._mm_packs_epi16(equal, isa.sse2._mm_setzero_si128());
        isa.sse2._mm_movemask_epi8(bytes).cast_unsigned()
    }

    /// AVX2.
    impl CompareKeys for V3 {
        #[inline(always)]
        fn count_below(self, block: &KeyBlock, value: u64) -> u32 {
            // AVX2 compares signed integers.
            let sign = self.avx._mm256_set1_epi64x(i64::MIN);
            let value = self.avx._mm256_set1_epi64x((value ^ 1 << 63).cast_signed());
            let [low, high]: [__m256i; 2] = pulp::cast(block.0);
            let low = self.avx2._mm256_cmpgt_epi64(value, self.avx2._mm256_xor_si256(low, sign));
            let high = self.avx2._mm256_cmpgt_epi64(value, self.avx2._mm256_xor_si256(high, sign));
            mask(self, low, high).count_ones()
        }

        #[inline(always)]
        fn find(self, block: &KeyBlock, tags: &[u16; KEYS], value: u64, tag: u16) -> usize {
            let value = self.avx._mm256_set1_epi64x(value.cast_signed());
            let [low, high]: [__m256i; 2] = pulp::cast(block.0);
            let low = self.avx2._mm256_cmpeq_epi64(low, value);
            let high = self.avx2._mm256_cmpeq_epi64(high, value);
            first_bit(mask(self, low, high) & equal_tags(self, tags, tag) | 1 << KEYS)
        }
    }

    /// AVX-512.
    impl CompareKeys for V4 {
        #[inline(always)]
        fn count_below(self, block: &KeyBlock, value: u64) -> u32 {
            let value = self.avx512f._mm512_set1_epi64(value.cast_signed());
            let below = self.avx512f._mm512_cmplt_epu64_mask(pulp::cast(block.0), value);
            below.count_ones()
        }

        #[inline(always)]
        fn find(self, block: &KeyBlock, tags: &[u16; KEYS], value: u64, tag: u16) -> usize {
            let value = self.avx512f._mm512_set1_epi64(value.cast_signed());
            let equal = self.avx512f._mm512_cmpeq_epu64_mask(pulp::cast(block.0), value);
            first_bit(u32::from(equal) & equal_tags(*self, tags, tag) | 1 << KEYS)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_processors_compare_alike(
            keys in prop::array::uniform8(prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)]),
            value in prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)],
            copied in prop::option::of(0..KEYS),
            tags in prop::array::uniform8(0..3_u16),
            tag in 0..3_u16,
        ) {
            let value = copied.map_or(value, |index| keys[index]);
            let block = KeyBlock(keys);
            let count = keys.iter().map(|key| u32::from(*key < value)).sum::<u32>();
            let found = (0..KEYS).find(|index| keys[*index] == value && tags[*index] == tag);
            let found = found.unwrap_or(KEYS);
            prop_assert_eq!(Portable.count_below(&block, value), count);
            prop_assert_eq!(Portable.find(&block, &tags, value, tag), found);
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                prop_assert_eq!(v3.count_below(&block, value), count);
                prop_assert_eq!(v3.find(&block, &tags, value, tag), found);
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(v4) = pulp::x86::V4::try_new() {
                prop_assert_eq!(v4.count_below(&block, value), count);
                prop_assert_eq!(v4.find(&block, &tags, value, tag), found);
            }
        }
    }
}
