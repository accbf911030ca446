//! The instructions that depend on the processor: comparing eight rules at once.
//!
//! The portable code is always available, and the other code is tested against it. The features of
//! the processor are detected once, at the first call.

use super::block::Block;
use super::ternary::Packet;
use super::trees::{BATCH_LEN, Search, Trees};
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::rules::answer::Answer;

/// The instructions that a search uses.
pub(super) trait Isa: Copy {
    /// A bit for each rule of the block that matches and has index `floor` or higher.
    fn matching<const A: usize>(self, block: &Block<A>, packet: &Packet<A>, floor: u32) -> u32;

    /// A bit for each packet whose index in `places` is higher than `than`.
    fn later(self, places: &[u32; BATCH_LEN], than: u32) -> u64;
}

/// Code for every processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Isa for Portable {
    #[inline(always)]
    fn matching<const A: usize>(self, block: &Block<A>, packet: &Packet<A>, floor: u32) -> u32 {
        block.matching(packet, floor)
    }

    #[inline(always)]
    fn later(self, places: &[u32; BATCH_LEN], than: u32) -> u64 {
        let lanes = (0..).zip(places);
        lanes.fold(0, |set, (lane, place)| set | u64::from(*place > than) << lane)
    }
}

/// Searches with the best instructions of the processor.
pub(super) fn dispatch<const A: usize, const N: usize>(
    trees: &Trees<A, N>,
    search: Search<'_>,
    keys: &[FlowKey],
    answers: &mut [Answer],
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        return v3.vectorize(x86::ClassifyCall { isa: v3, trees, search, keys, answers });
    }
    trees.classify(Portable, search, keys, answers);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;

    use pulp::NullaryFnOnce;
    use pulp::x86::V3;

    use super::{Answer, BATCH_LEN, Block, FlowKey, Isa, Packet, Search, Trees};
    use crate::dataplane::rules::cut_forest::block::{LANES, Lanes};
    use crate::dataplane::rules::cut_forest::terms::Terms;

    pub(super) struct ClassifyCall<'a, const A: usize, const N: usize> {
        pub(super) isa: V3,
        pub(super) trees: &'a Trees<A, N>,
        pub(super) search: Search<'a>,
        pub(super) keys: &'a [FlowKey],
        pub(super) answers: &'a mut [Answer],
    }

    impl<const A: usize, const N: usize> NullaryFnOnce for ClassifyCall<'_, A, N> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.trees.classify(self.isa, self.search, self.keys, self.answers);
        }
    }

    /// AVX2.
    impl Isa for V3 {
        #[inline(always)]
        fn matching<const A: usize>(self, block: &Block<A>, packet: &Packet<A>, floor: u32) -> u32 {
            let load = |lanes: &Lanes| -> __m256i { pulp::cast(*lanes) };
            let splat = |word: u32| self.avx._mm256_set1_epi32(word.cast_signed());
            let and = |a, b| self.avx2._mm256_and_si256(a, b);
            let equal = |a, b| self.avx2._mm256_cmpeq_epi32(a, b);
            let (zero, byte) = (splat(0), splat(0xff));
            let terms = load(&block.terms);
            let source_len = and(terms, byte);
            let destination_len = and(self.avx2._mm256_srli_epi32::<8>(terms), byte);
            let mut differs = and(terms, splat(packet.refused));
            let ends = [32, 64, 96, 128].into_iter().take(A / 2);
            let ends = ends
                .clone()
                .map(|end| (end, source_len))
                .chain(ends.map(|end| (end, destination_len)));
            for ((lanes, word), (end, len)) in
                block.addresses.iter().zip(packet.addresses).zip(ends)
            {
                let free =
                    self.avx2._mm256_max_epi32(self.avx2._mm256_sub_epi32(splat(end), len), zero);
                let differ = self.avx2._mm256_xor_si256(load(lanes), splat(word));
                // A shift by more than 31 gives zero.
                let asked = self.avx2._mm256_srlv_epi32(differ, free);
                differs = self.avx2._mm256_or_si256(differs, asked);
            }
            let protocol = equal(and(terms, splat(Terms::PROTOCOL)), splat(packet.protocol));
            let any = splat(Terms::ANY_PROTOCOL);
            let protocol = self.avx2._mm256_or_si256(protocol, equal(and(terms, any), any));
            let mut hits = and(equal(differs, zero), protocol);
            let ports = splat(packet.ports);
            let above = self.avx2._mm256_max_epu16(ports, load(&block.lowest_ports));
            let below = self.avx2._mm256_min_epu16(ports, load(&block.highest_ports));
            // Clamping to the bounds leaves the ports unchanged if they are within the bounds.
            hits = and(hits, and(equal(above, ports), equal(below, ports)));
            let places = load(&block.places);
            let behind = self.avx2._mm256_max_epu32(places, splat(floor));
            hits = and(hits, equal(behind, places));
            self.avx._mm256_movemask_ps(self.avx._mm256_castsi256_ps(hits)).cast_unsigned()
        }

        #[inline(always)]
        fn later(self, places: &[u32; BATCH_LEN], than: u32) -> u64 {
            let than = self.avx._mm256_set1_epi32(than.cast_signed());
            let mut set = 0;
            for lanes in places.as_chunks::<LANES>().0.iter().rev() {
                let lanes: __m256i = pulp::cast(*lanes);
                let higher = self.avx2._mm256_max_epu32(lanes, than);
                let not_later = self.avx2._mm256_cmpeq_epi32(higher, than);
                let bits = self.avx._mm256_movemask_ps(self.avx._mm256_castsi256_ps(not_later));
                set = set << LANES | u64::from(!bits.cast_unsigned() & 0xff);
            }
            set
        }
    }
}
