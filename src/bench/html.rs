//! A report as one HTML page: a summary first, then the picture, the method and all measurements.

use std::fmt::Write as _;

use super::error::BenchError;
use super::report::{BenchReport, BenchRun, StageResult};
use super::statistics::{LatencyStatistics, TimingStatistics};

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
figure { background: #fff; border-radius: 6px; margin: 1.5rem 0; padding: .5rem; }
figure svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #8886; padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
code { overflow-wrap: anywhere; }
";

const METHOD: &str = "The time of a round is its wall time divided by its packets. The stages \
alternate within each round, so that a disturbance of the machine affects all of them. The fastest \
round (min) is the cost of the work; the median and the 99th percentile of the rounds include other \
activity of the machine. Latency is the time of packets that are processed one by one, after the \
rounds. Compare ratios of the fastest rounds of one machine, not times of two machines.";

const SUMMARY_HEADS: [&str; 8] = [
    "rules of",
    "engine",
    "rules",
    "workers",
    "stage",
    "Mpps",
    "ns per packet (min)",
    "latency p99, ns",
];

const HEADS: [&str; 15] = [
    "rules of",
    "engine",
    "rules",
    "sessions",
    "workers",
    "KiB",
    "compiled in ms",
    "stage",
    "min of rounds, ns",
    "median of rounds, ns",
    "p99 of rounds, ns",
    "latency p50, ns",
    "latency p99, ns",
    "latency p99.9, ns",
    "latency max, ns",
];

impl BenchReport {
    /// The report as an HTML page that includes the picture and needs no other file. `command`
    /// appears as the command that produced it.
    ///
    /// # Errors
    /// [`BenchError::Failed`] if the picture cannot be drawn.
    pub fn to_html(&self, command: &str) -> Result<String, BenchError> {
        Ok(page(self, &self.to_svg()?, command))
    }
}

/// The page, with the picture `svg` and the command that produced the report.
fn page(report: &BenchReport, svg: &str, command: &str) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>traffic-mirror bench</title>\n<style>\n{STYLE}</style>\n\
         <h1>Cost of rules and packets</h1>\n<h2>Summary</h2>\n{}",
        summary(&report.runs)
    );
    let _ = write!(
        text,
        "<p>Machine: {}</p>\n<p>Command: <code>{}</code></p>\n<h2>Picture</h2>\n\
         <figure>\n{svg}\n</figure>\n<h2>Method</h2>\n<p>{METHOD}</p>\n\
         <h2>All measurements</h2>\n",
        escaped(&report.machine.to_string()),
        escaped(command)
    );
    let rows = report.runs.iter().flat_map(|run| run.stages.iter().map(move |one| row(run, one)));
    text + &table(&HEADS, rows) + "</html>\n"
}

/// The fastest and the slowest run in a sentence, then one line for each run.
fn summary(runs: &[BenchRun]) -> String {
    let main = |run: &BenchRun| run.main_stage().map_or(0.0, |stage| stage.ns_per_packet.min);
    let order = |a: &&BenchRun, b: &&BenchRun| main(a).total_cmp(&main(b));
    let describe = |run: &BenchRun| {
        let stage = run.main_stage().map_or("", |stage| stage.stage);
        let BenchRun { engine, rules, workers, .. } = run;
        let (time, noun) = (main(run), if *workers == 1 { "worker" } else { "workers" });
        format!("{time:.1} ns per packet ({stage}, {rules} rules, {engine}, {workers} {noun})")
    };
    let ends = runs.iter().min_by(order).zip(runs.iter().max_by(order));
    let sentence = ends.map_or_else(String::new, |(fastest, slowest)| {
        format!("Fastest: {}. Slowest: {}.", describe(fastest), describe(slowest))
    });
    let rows = runs.iter().filter_map(|run| {
        let StageResult { stage, ns_per_packet, latency_ns, .. } = run.main_stage()?;
        let BenchRun { name, engine, rules, workers, .. } = run;
        let (rate, min, p99) = (ns_per_packet.mpps(), ns_per_packet.min, latency_ns.p99);
        Some(cells(&[
            &escaped(name),
            engine,
            &rules.to_string(),
            &workers.to_string(),
            stage,
            &format!("{rate:.1}"),
            &format!("{min:.1}"),
            &p99.to_string(),
        ]))
    });
    format!("<p>{sentence}</p>\n{}", table(&SUMMARY_HEADS, rows))
}

fn row(run: &BenchRun, result: &StageResult) -> String {
    let BenchRun { name, engine, rules, sessions, workers, bytes, compile_ns, .. } = run;
    let compile_time = std::time::Duration::from_nanos(*compile_ns).as_secs_f64() * 1e3;
    let TimingStatistics { min, median, p99 } = result.ns_per_packet;
    let timing = [min, median, p99].map(|time| format!("{time:.2}"));
    let LatencyStatistics { p50, p99, p99_9, max } = result.latency_ns;
    let latency = [p50, p99, p99_9, max].map(|time| time.to_string());
    let first = [
        escaped(name),
        (*engine).to_owned(),
        rules.to_string(),
        sessions.to_string(),
        workers.to_string(),
        bytes.div_ceil(1024).to_string(),
        format!("{compile_time:.2}"),
        result.stage.to_owned(),
    ];
    let all: Vec<&str> = first.iter().chain(&timing).chain(&latency).map(String::as_str).collect();
    cells(&all)
}

fn table(heads: &[&str], rows: impl Iterator<Item = String>) -> String {
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    format!("<table>\n<tr>{heads}</tr>\n{}</table>\n", rows.collect::<String>())
}

fn cells(values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<td>{value}</td>")).collect();
    format!("<tr>{values}</tr>\n")
}

/// Replaces the characters that HTML reserves.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::*;

    fn report(names: &[&str]) -> BenchReport {
        let run = |name: &&str| BenchRun {
            name: (*name).to_owned(),
            stages: vec![StageResult::default()],
            ..BenchRun::default()
        };
        BenchReport {
            runs: names.iter().map(run).collect(),
            ..BenchReport::new(Machine::default())
        }
    }

    #[test]
    fn names_are_escaped_in_html() {
        let page = page(&report(&["<script>&"]), "<svg>here</svg>", "bench --config \"a<b\"");
        assert!(page.contains("<svg>here</svg>") && page.contains("&lt;script&gt;&amp;"));
        assert!(page.contains("--config &quot;a&lt;b&quot;") && !page.contains("<script"));
    }

    #[test]
    fn the_summary_precedes_the_picture_and_all_measurements() {
        let page = page(&report(&["a", "b"]), "<svg></svg>", "bench");
        let at = |text: &str| page.find(text).unwrap();
        assert!(at("<h2>Summary") < at("Fastest: ") && at("Fastest: ") < at("<svg>"));
        assert!(at("<svg>") < at("<h2>All measurements"));
        let empty = super::page(&report(&[]), "<svg></svg>", "bench");
        assert!(empty.contains("Summary") && !empty.contains("Fastest"));
    }
}
