//! The copies that a path has sent, by egress device.
//!
//! A path may change its device when the route changes. The counts of the previous device stay, so
//! that no counter decreases. Example: 40 copies left through device 2, then the route moved to
//! device 3 and 20 more copies left. The counts are (2, 40) and (3, 20).

/// The copies that were sent through one device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DeviceCount {
    /// The index of the device, if it is known.
    pub(super) device_index: Option<u32>,
    /// Whether the device encapsulates the copies in other packets.
    pub(super) is_tunnelled: bool,
    /// Datagrams that the kernel accepted.
    pub(super) sent: u64,
    /// Length of the inner frames in them, in bytes.
    pub(super) sent_bytes: u64,
}

/// The counts of the current device and of the previous ones.
#[derive(Debug, Default)]
pub(super) struct SentCounts {
    current: DeviceCount,
    previous: Vec<DeviceCount>,
}

impl SentCounts {
    /// Copies leave through this device from now on.
    pub(super) fn use_device(&mut self, device_index: Option<u32>, is_tunnelled: bool) {
        if self.current.device_index != device_index {
            let known = self.previous.iter().position(|one| one.device_index == device_index);
            let known = known.map(|index| self.previous.remove(index));
            let count = known.unwrap_or(DeviceCount { device_index, ..DeviceCount::default() });
            let before = std::mem::replace(&mut self.current, count);
            self.previous.extend(Some(before).filter(|before| before.sent > 0));
        }
        self.current.is_tunnelled = is_tunnelled;
    }

    /// Counts datagrams and the bytes of the inner frames in them.
    pub(super) fn add(&mut self, datagrams: usize, inner_bytes: usize) {
        self.current.sent += u64::try_from(datagrams).unwrap_or_default();
        self.current.sent_bytes += u64::try_from(inner_bytes).unwrap_or_default();
    }

    /// Whether copies left through the current device.
    pub(super) const fn has_sent(&self) -> bool {
        self.current.sent > 0
    }

    /// The counts of all devices that copies left through; at least one.
    pub(super) fn by_device(&self) -> impl Iterator<Item = DeviceCount> {
        let current = (self.has_sent() || self.previous.is_empty()).then_some(self.current);
        self.previous.iter().copied().chain(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_with_the_device_that_the_copies_left_through() {
        let mut counts = SentCounts::default();
        counts.use_device(Some(2), false);
        assert_eq!(counts.by_device().count(), 1);
        counts.add(40, 400);
        counts.use_device(Some(3), true);
        assert!(!counts.has_sent());
        counts.add(20, 200);
        counts.use_device(Some(2), false);
        counts.add(1, 10);
        counts.use_device(None, false);
        let counts: Vec<_> = counts
            .by_device()
            .map(|one| (one.device_index, one.is_tunnelled, one.sent, one.sent_bytes))
            .collect();
        assert_eq!(counts, [(Some(3), true, 20, 200), (Some(2), false, 41, 410)]);
    }
}
