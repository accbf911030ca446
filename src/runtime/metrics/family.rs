//! A metric family: a name, a help text, and a count for each set of labels.

use std::collections::BTreeMap;

/// Label names and values. Prometheus treats a label with an empty value as absent.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricKind {
    /// Only increases. The suffix `_total` is appended to the name of its samples.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Only increases, but has a name of AWS without the suffix `_total`.
    Alias,
}

/// One name with all its samples. Counts with the same labels are added up, because Prometheus
/// rejects a text with two samples of the same name and labels.
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

    /// The family with one more sample.
    pub(super) fn with_sample(mut self, labels: Labels, count: u64) -> Self {
        self.add(labels, count);
        self
    }

    pub(super) fn add(&mut self, labels: Labels, count: u64) {
        let sum = self.samples.entry(labels).or_default();
        *sum = sum.saturating_add(count);
    }
}
