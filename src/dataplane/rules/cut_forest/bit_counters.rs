//! Counters for each bit of a word of 64 bits; one operation adds to all 64.

/// Counters for the 64 bits of a word. They are stored in planes: plane `k` has bit `k` of each
/// counter, so that one instruction works on all counters.
///
/// Example: after two words with bit 5 set and one without, counter 5 is 2: bit 5 is clear in plane
/// 0 and set in plane 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitCounters<const PLANES: usize> {
    planes: [u64; PLANES],
}

impl<const PLANES: usize> BitCounters<PLANES> {
    pub(super) const ZERO: Self = Self { planes: [0; PLANES] };

    /// Adds 1 to the counters of the set bits.
    #[inline(always)]
    pub(super) fn add(&mut self, word: u64) {
        self.add_shifted(word, 0);
    }

    /// Adds `2^shift` to the counters of the set bits. A counter that needs more planes overflows.
    #[inline(always)]
    fn add_shifted(&mut self, word: u64, shift: usize) {
        let mut carry = word;
        for plane in self.planes.iter_mut().skip(shift) {
            if carry == 0 {
                return;
            }
            (*plane, carry) = (*plane ^ carry, *plane & carry);
        }
    }

    /// Adds the counters of `other`, which are below `2^width`.
    #[inline(always)]
    pub(super) fn add_all<const OTHER: usize>(&mut self, other: &BitCounters<OTHER>, width: usize) {
        for (shift, plane) in other.planes.iter().enumerate().take(width) {
            self.add_shifted(*plane, shift);
        }
    }

    /// Adds the squares of the counters of `other`, which are below `2^width`.
    #[inline(always)]
    pub(super) fn add_squares<const OTHER: usize>(
        &mut self,
        other: &BitCounters<OTHER>,
        width: usize,
    ) {
        // (a + 2 b + ...)^2 = a + 4 b + 4 a b + ..., as a and b are 0 or 1.
        for (i, a) in other.planes.iter().enumerate().take(width) {
            self.add_shifted(*a, 2 * i);
            for (j, b) in other.planes.iter().enumerate().take(i) {
                self.add_shifted(a & b, i + j + 1);
            }
        }
    }

    /// The counters, from that of the lowest bit on.
    pub(super) fn counts(&self) -> [u64; 64] {
        let mut counts = [0; 64];
        for (shift, plane) in self.planes.iter().enumerate() {
            if *plane != 0 {
                for (bit, count) in counts.iter_mut().enumerate() {
                    *count |= (plane >> bit & 1) << shift;
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counters_sums_and_squares_are_those_of_single_bits(
            cells in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..20), 0..20),
        ) {
            let (mut sums, mut squares) = (BitCounters::<9>::ZERO, BitCounters::<14>::ZERO);
            let (mut expected_sums, mut expected_squares) = ([0; 64], [0; 64]);
            for cell in &cells {
                let mut counters = BitCounters::<5>::ZERO;
                cell.iter().for_each(|word| counters.add(*word));
                sums.add_all(&counters, 5);
                squares.add_squares(&counters, 5);
                for bit in 0..64 {
                    let count = cell.iter().map(|word| word >> bit & 1).sum::<u64>();
                    prop_assert_eq!(counters.counts()[bit], count);
                    expected_sums[bit] += count;
                    expected_squares[bit] += count * count;
                }
            }
            prop_assert_eq!(sums.counts(), expected_sums);
            prop_assert_eq!(squares.counts(), expected_squares);
        }
    }
}
