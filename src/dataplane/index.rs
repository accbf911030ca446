//! The indices of a mirror table: one type for each list, so that the index of one list cannot be
//! used with another.
//!
//! An index is stored as the bitwise complement of its number: 0 as 4,294,967,295, 1 as
//! 4,294,967,294. The complement is never zero, so `Option<SessionIndex>` stores `None` as zero and
//! has four bytes, like the index alone. The conversion is one instruction. The number
//! 4,294,967,295, whose complement is zero, has no index; no list of a table is that long.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;

/// Defines an index type with the documentation and the name that are given.
macro_rules! index_type {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The index of the first element: 0.
            pub const FIRST: Self = Self::new(0);

            /// The highest index: 4,294,967,294.
            pub const MAX: Self = Self(NonZeroU32::MIN);

            /// The index with this number, which counts from 0. The number 4,294,967,295 gives
            /// the highest index, which no list has.
            #[inline(always)]
            #[must_use]
            pub const fn new(number: u32) -> Self {
                match NonZeroU32::new(!number) {
                    Some(complement) => Self(complement),
                    None => Self::MAX,
                }
            }

            /// The index with this number. A number that is too high gives the highest index.
            #[inline(always)]
            #[must_use]
            pub fn from_usize(number: usize) -> Self {
                u32::try_from(number).map_or(Self::MAX, Self::new)
            }

            /// The number, as the index of a slice.
            #[inline(always)]
            #[must_use]
            pub fn get(self) -> usize {
                usize::try_from(self.number()).unwrap_or(usize::MAX)
            }

            /// The number.
            #[inline(always)]
            #[must_use]
            pub const fn number(self) -> u32 {
                !self.0.get()
            }

            /// The index that is `count` elements later; at most the highest index.
            #[inline(always)]
            #[must_use]
            pub const fn saturating_add(self, count: u32) -> Self {
                match NonZeroU32::new(self.0.get().saturating_sub(count)) {
                    Some(complement) => Self(complement),
                    None => Self::MAX,
                }
            }

            /// The items with their indices, from 0 on.
            #[inline(always)]
            pub fn enumerate<I: IntoIterator>(items: I) -> impl Iterator<Item = (Self, I::Item)> {
                (0..).map(Self::new).zip(items)
            }
        }

        impl PartialOrd for $name {
            #[inline(always)]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            #[inline(always)]
            fn cmp(&self, other: &Self) -> Ordering {
                // The complements have the reverse order.
                other.0.cmp(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.debug_tuple(stringify!($name)).field(&self.number()).finish()
            }
        }

        impl fmt::Display for $name {
            #[inline(always)]
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.number(), formatter)
            }
        }
    };
}

index_type! {
    /// Index of an interface in [`MirrorTable::interfaces`](super::MirrorTable::interfaces).
    InterfaceIndex
}

index_type! {
    /// Index of a session in [`MirrorTable::sessions`](super::MirrorTable::sessions).
    SessionIndex
}

index_type! {
    /// Index of a rule in [`Filter::all_rules`](crate::model::Filter::all_rules) of its session.
    RuleIndex
}

index_type! {
    /// Index of a target in [`MirrorTable::targets`](super::MirrorTable::targets).
    TargetIndex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_its_number_and_order() {
        for number in [0, 1, 7, 1 << 31, u32::MAX - 1] {
            let index = SessionIndex::new(number);
            assert_eq!((index.number(), index.to_string()), (number, number.to_string()));
            assert_eq!(index.get(), usize::try_from(number).unwrap());
            assert_eq!(SessionIndex::from_usize(index.get()), index);
        }
        assert!(RuleIndex::FIRST < RuleIndex::new(1) && RuleIndex::new(1) < RuleIndex::MAX);
        assert_eq!(format!("{:?}", TargetIndex::new(3)), "TargetIndex(3)");
    }

    #[test]
    fn numbers_that_are_too_high_give_the_highest_index() {
        let highest = InterfaceIndex::new(u32::MAX - 1);
        assert_eq!(InterfaceIndex::new(u32::MAX), highest);
        assert_eq!(InterfaceIndex::from_usize(usize::MAX), highest);
        assert_eq!(InterfaceIndex::FIRST.saturating_add(u32::MAX), highest);
        assert_eq!(highest.saturating_add(1), highest);
        assert_eq!(InterfaceIndex::new(5).saturating_add(2), InterfaceIndex::new(7));
    }

    #[test]
    fn an_optional_index_has_four_bytes() {
        assert_eq!(size_of::<Option<SessionIndex>>(), 4);
    }
}
