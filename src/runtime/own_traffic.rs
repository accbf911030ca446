//! Counts the copies that were sent by mirrored devices.
//!
//! The kernel filter excludes these copies by their socket mark before they reach a ring, so only
//! the senders can count them. A device counts only while it is mirrored. Example: 40 copies left
//! through device 2, then device 2 is mirrored, 10 more copies leave, and the device is removed.
//! The count is 10, then and later.

use std::collections::BTreeMap;

use crate::io::udp::TargetReport;

/// The number of copies that left through each device, by its index.
pub(super) type SentByDevice = BTreeMap<u32, u64>;

/// Sums reports by the device that the copies left through.
pub(super) fn sent_by_device<'r>(
    reports: impl IntoIterator<Item = &'r TargetReport>,
) -> SentByDevice {
    let mut sent = SentByDevice::new();
    for report in reports {
        if let Some(index) = report.device_index {
            *sent.entry(index).or_default() += report.sent;
        }
    }
    sent
}

#[derive(Debug, Default)]
struct OwnDevice {
    is_mirrored: bool,
    /// All copies that the device had sent at the last update.
    sent: u64,
    /// Those that it sent while it was mirrored.
    own: u64,
}

/// The copies that devices sent while they were mirrored. The counts never decrease.
#[derive(Debug, Default)]
pub(super) struct OwnTraffic {
    devices: BTreeMap<u32, OwnDevice>,
}

impl OwnTraffic {
    /// Adds the copies that were sent since the last call. Returns the sum of all devices.
    pub(super) fn update(&mut self, sent: &SentByDevice) -> u64 {
        for (index, device) in &mut self.devices {
            let now = sent.get(index).copied().unwrap_or_default().max(device.sent);
            if device.is_mirrored {
                device.own += now - device.sent;
            }
            device.sent = now;
        }
        self.devices.values().map(|device| device.own).sum()
    }

    /// Sets the indices of the devices that are mirrored from now on.
    pub(super) fn set_mirrored(&mut self, indices: impl Iterator<Item = u32>, sent: &SentByDevice) {
        self.update(sent);
        self.devices.values_mut().for_each(|device| device.is_mirrored = false);
        for index in indices {
            let before = sent.get(&index).copied().unwrap_or_default();
            let new = || OwnDevice { sent: before, ..OwnDevice::default() };
            self.devices.entry(index).or_insert_with(new).is_mirrored = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_count_while_their_device_is_mirrored() {
        let mut own = OwnTraffic::default();
        own.set_mirrored([2].into_iter(), &[(2, 40), (3, 5)].into());
        assert_eq!(own.update(&[(2, 50), (3, 9)].into()), 10);
        own.set_mirrored([3].into_iter(), &[(2, 51), (3, 9)].into());
        assert_eq!(own.update(&[(2, 70), (3, 12)].into()), 14);
        own.set_mirrored([2].into_iter(), &[(2, 70), (3, 12)].into());
        assert_eq!(own.update(&[(2, 71), (3, 20)].into()), 15);
    }

    #[test]
    fn the_count_never_decreases() {
        let mut own = OwnTraffic::default();
        own.set_mirrored([2].into_iter(), &SentByDevice::new());
        assert_eq!(own.update(&[(2, 10)].into()), 10);
        assert_eq!(own.update(&SentByDevice::new()), 10);
        own.set_mirrored([].into_iter(), &SentByDevice::new());
        assert_eq!(own.update(&[(2, 30)].into()), 10);
    }
}
