//! Classes of ports: ports of one class are allowed by the same rules.

use std::collections::HashMap;

/// The first and the last port of a rule; `None` if it does not restrict ports.
pub(super) type PortBounds = Option<(u16, u16)>;

/// The classes of the source ports or of the destination ports. Class 0 has the packets without
/// ports.
#[derive(Debug)]
pub(super) struct PortClasses {
    /// By class: one of its ports; `None` for packets without ports.
    pub(super) representatives: Vec<Option<u16>>,
    /// The first port of each range, in ascending order, and the class of the range.
    ranges: Vec<(u16, u16)>,
}

impl PortClasses {
    /// The classes of the ports for which some rules match; `None` if no rule restricts them.
    pub(super) fn new(rules: &[PortBounds]) -> Option<Self> {
        let bounds: Vec<(u16, u16)> = rules.iter().copied().flatten().collect();
        if bounds.is_empty() {
            return None;
        }
        let mut starts = vec![0];
        starts.extend(bounds.iter().map(|(low, _)| *low));
        starts.extend(bounds.iter().filter_map(|(_, high)| high.checked_add(1)));
        starts.sort_unstable();
        starts.dedup();
        let mut classes = Self { representatives: vec![None], ranges: Vec::new() };
        let mut known: HashMap<Vec<bool>, u16> = HashMap::new();
        for start in starts {
            let allowed = bounds.iter().map(|(low, high)| (*low..=*high).contains(&start));
            // At most 1,008 rules divide the ports into at most 2,017 ranges.
            let next = u16::try_from(classes.representatives.len()).unwrap_or(u16::MAX);
            let class = *known.entry(allowed.collect()).or_insert(next);
            if class == next {
                classes.representatives.push(Some(start));
            }
            classes.ranges.push((start, class));
        }
        Some(classes)
    }

    /// The class of each port, in the order of the ports: one byte each if `is_wide` is false, else
    /// two, in the byte order of the machine.
    pub(super) fn index(&self, is_wide: bool) -> Vec<u8> {
        let mut index = Vec::new();
        let ends = self.ranges.iter().skip(1).map(|(start, _)| usize::from(*start));
        for ((start, class), end) in self.ranges.iter().zip(ends.chain([1 << 16])) {
            let len = end.saturating_sub(usize::from(*start));
            let bytes = class.to_ne_bytes();
            let narrow = u8::try_from(*class).unwrap_or_default();
            let one = if is_wide { bytes.as_slice() } else { std::slice::from_ref(&narrow) };
            index.extend(one.repeat(len));
        }
        index
    }
}

/// Whether a rule with these ports allows a packet with this port.
pub(super) fn allows(bounds: PortBounds, port: Option<u16>) -> bool {
    bounds.is_none_or(|(low, high)| port.is_some_and(|port| (low..=high).contains(&port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_the_same_rules_allow_have_one_class() {
        let rules = [None, Some((10, 20)), Some((0, 65_535)), Some((15, 65_535)), Some((0, 5))];
        let classes = PortClasses::new(&rules).unwrap();
        let narrow = classes.index(false);
        assert_eq!(narrow.len(), 65_536);
        for port in 0..=u16::MAX {
            let class = usize::from(narrow[usize::from(port)]);
            let same = classes.representatives[class];
            for rule in rules {
                assert_eq!(allows(rule, Some(port)), allows(rule, same), "{port} {rule:?}");
            }
        }
        assert_eq!(classes.index(true).len(), 2 * 65_536);
        assert!(PortClasses::new(&[None, None]).is_none());
    }
}
