//! A metric family: a name, what it means, and a count for each set of labels.

use std::collections::BTreeMap;

/// Label names and values. Prometheus takes an empty value for a label that is not there.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What a reader may do with the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricKind {
    /// Only grows; its samples bear the name and `_total`.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Only grows, but bears a name of AWS, which has no `_total` at its end.
    Alias,
}

/// One name with all its samples. Counts of the same labels add up: a text with two samples of
/// the same name and labels is refused as a whole by Prometheus.
#[derive(Debug)]
pub(super) struct MetricFamily {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricKind,
    pub(super) samples: BTreeMap<Labels, u64>,
}

impl MetricFamily {
    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricKind::Counter, samples: BTreeMap::new() }
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricKind::Gauge, samples: BTreeMap::new() }
    }

    pub(super) const fn alias(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricKind::Alias, samples: BTreeMap::new() }
    }

    /// The same family with one sample more.
    pub(super) fn with_sample(mut self, labels: Labels, count: u64) -> Self {
        self.add(labels, count);
        self
    }

    pub(super) fn add(&mut self, labels: Labels, count: u64) {
        let sum = self.samples.entry(labels).or_default();
        *sum = sum.saturating_add(count);
    }
}
