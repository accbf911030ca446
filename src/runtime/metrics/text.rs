//! The text of a snapshot: OpenMetrics if the client accepts it, else Prometheus text 0.0.4.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::family::{MetricFamily, MetricKind};
use super::{aws, sessions, targets_and_rings, tiers, totals};
use crate::runtime::snapshot::Snapshot;

/// The format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpositionFormat {
    /// OpenMetrics 1.0, which Prometheus prefers.
    OpenMetrics,
    /// Prometheus text 0.0.4, which all clients accept.
    Plain,
}

impl ExpositionFormat {
    /// The format for the value of an `Accept` header.
    pub(super) fn negotiate(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The text with all metrics of a snapshot.
///
/// # Errors
/// The encoder fails. This does not happen when it writes to a string.
pub(super) fn exposition(
    snapshot: &Snapshot,
    format: ExpositionFormat,
) -> Result<String, fmt::Error> {
    let families = families(snapshot);
    let counters = families.iter().filter(|family| family.kind == MetricKind::Counter);
    let counters: Vec<&str> = counters.map(|family| family.name).collect();
    let mut registry = Registry::default();
    let uptime_s = snapshot.uptime_s;
    registry.register_collector(Box::new(Exposition { uptime_s, families }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(if format == ExpositionFormat::Plain { to_prometheus_text(&text, &counters) } else { text })
}

fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let total = snapshot.total();
    let mut families = totals::families(snapshot, &total);
    families.extend(sessions::families(snapshot));
    families.extend(targets_and_rings::targets(snapshot));
    families.push(targets_and_rings::known_addresses(snapshot));
    families.extend(targets_and_rings::rings(snapshot));
    families.extend(tiers::families(snapshot));
    families.extend(aws::families(snapshot));
    families
}

#[derive(Debug)]
struct Exposition {
    uptime_s: f64,
    families: Vec<MetricFamily>,
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let name = "traffic_mirror_uptime_seconds";
        let help = "How long the run has lasted.";
        let mut uptime = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        uptime.encode_gauge(&self.uptime_s)?;
        self.families.iter().try_for_each(|family| write_family(family, &mut encoder))
    }
}

fn write_family(family: &MetricFamily, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = match family.kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        // OpenMetrics requires the suffix `_total` for every counter.
        MetricKind::Alias => MetricType::Unknown,
    };
    let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
    for (labels, count) in &family.samples {
        if labels.is_empty() {
            write_count(&mut metric, family.kind, *count)?;
        } else {
            write_count(&mut metric.encode_family(labels)?, family.kind, *count)?;
        }
    }
    Ok(())
}

fn write_count(metric: &mut MetricEncoder<'_>, kind: MetricKind, count: u64) -> fmt::Result {
    match kind {
        MetricKind::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&count, None),
        MetricKind::Gauge | MetricKind::Alias => metric.encode_gauge(&count),
    }
}

/// Converts OpenMetrics to Prometheus text 0.0.4. There, HELP and TYPE have the name of the samples
/// including `_total`, the type `unknown` is called `untyped`, and no `# EOF` marks the end.
fn to_prometheus_text(text: &str, counters: &[&str]) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(word @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                let ending = if counters.contains(&name) { "_total" } else { "" };
                let rest = if (word, rest) == ("TYPE", "unknown") { "untyped" } else { rest };
                plain.extend(["# ", word, " ", name, ending, " ", rest]);
            }
            _ => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}
