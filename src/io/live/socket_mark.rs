//! Reserves a mark (`SO_MARK`) that no other mirror in the network namespace uses.
//!
//! The kernel filter recognises copies of this process by their mark. A mark is reserved by a name
//! that contains the mark. Such a name belongs to one network namespace, as marks do, and the kernel
//! frees it when the process ends for any reason.

use crate::io::reserved_name::ReservedName;

/// Number of available marks: those of [`mark_of`].
const MARKS: u32 = 0x3ff;

/// Number of marks that are tried. If all of them are reserved, a mark is used that may not be
/// unique.
const MAX_ATTEMPTS: u32 = 64;

/// A mark and its reservation, which lasts as long as this value.
#[derive(Debug)]
pub struct SocketMark {
    mark: u32,
    reservation: Option<ReservedName>,
}

impl SocketMark {
    /// Chooses a mark for this process and reserves it if possible.
    #[must_use]
    pub fn choose() -> Self {
        Self::choose_from(std::process::id())
    }

    /// The mark: not zero, and without the bits that kube-proxy (0xc000), Cilium (0x0f00) and
    /// Calico or Tailscale (0x10000 and above) use.
    #[must_use]
    pub const fn value(&self) -> u32 {
        self.mark
    }

    /// Whether the mark is reserved, so that no other mirror in the network namespace has it.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.reservation.is_some()
    }

    /// Successive process IDs start at different marks.
    fn choose_from(start: u32) -> Self {
        let reserved = (0..MAX_ATTEMPTS).find_map(|step| {
            let mark = mark_of(start.wrapping_add(step));
            Some(Self { mark, reservation: Some(reserve(mark)?) })
        });
        reserved.unwrap_or(Self { mark: mark_of(start), reservation: None })
    }
}

/// Maps a number to a mark: ten bits of it are spread over the mask 0x30ff.
const fn mark_of(number: u32) -> u32 {
    let number = number % MARKS + 1;
    number & 0xff | (number & 0x300) << 4
}

fn reserve(mark: u32) -> Option<ReservedName> {
    ReservedName::reserve(&format!("mark/{mark:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn marks_are_distinct_and_within_their_bit_mask() {
        let marks: BTreeSet<u32> = (0..MARKS).map(mark_of).collect();
        assert_eq!(marks.len(), 0x3ff);
        assert!(marks.iter().all(|mark| *mark != 0 && mark & !0x30ff == 0));
        assert_eq!((mark_of(0), mark_of(MARKS), mark_of(254), mark_of(255)), (1, 1, 0xff, 0x1000));
    }

    /// One test, because parallel tests would reserve each other's marks.
    #[test]
    fn a_mark_in_use_is_not_chosen_until_it_is_released() {
        let start = std::process::id().wrapping_mul(31);
        let first = SocketMark::choose_from(start);
        let second = SocketMark::choose_from(start);
        assert!(first.is_reserved() && second.is_reserved());
        assert_ne!(first.value(), second.value());
        let value = first.value();
        drop(first);
        assert_eq!(SocketMark::choose_from(start).value(), value);
        // If all tried marks are reserved, the first one is used without a reservation.
        let reservations: Vec<_> =
            (0..MAX_ATTEMPTS).map(|_| SocketMark::choose_from(start)).collect();
        let other = SocketMark::choose_from(start);
        assert!(!other.is_reserved());
        assert_eq!(other.value(), mark_of(start));
        drop(reservations);
    }
}
