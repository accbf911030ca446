//! What was measured as one page that needs nothing beside it.

use std::fmt::Write as _;

use super::machine::Machine;
use super::report::{BenchRun, TimingStatistics};

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
figure { background: #fff; border-radius: 6px; margin: 1.5rem 0; padding: .5rem; }
figure svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #8886; padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
code { overflow-wrap: anywhere; }
";

const METHOD: &str = "Every figure is wall time of a whole round divided by its packets. Rounds of \
all stages take turns, so that what disturbs the machine disturbs all of them; the lowest round is \
what the work costs, the median and the 99th percentile are what it cost beside all else. Compare \
ratios of the lowest figures of one run, not figures of two machines.";

/// The page.
pub(super) fn page(machine: &Machine, runs: &[BenchRun], svg: &str, command: &str) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>traffic-mirror bench</title>\n<style>\n{STYLE}</style>\n\
         <h1>What rules and packets cost</h1>\n<p>{}</p>\n<p><code>{}</code></p>\n\
         <figure>\n{svg}\n</figure>\n<p>{METHOD}</p>\n<table>\n<tr>",
        escaped(&machine.to_string()),
        escaped(command),
    );
    let heads = [
        "rules of",
        "engine",
        "rules",
        "sessions",
        "workers",
        "KiB",
        "compiled in ms",
        "stage",
        "min ns",
        "median ns",
        "p99 ns",
    ];
    for head in heads {
        let _ = write!(text, "<th>{head}</th>");
    }
    text += "</tr>\n";
    for run in runs {
        for stage in &run.stages {
            text += &row(run, stage.stage, stage.ns_per_packet);
        }
    }
    text + "</table>\n</html>\n"
}

fn row(run: &BenchRun, stage: &str, figures: TimingStatistics) -> String {
    let BenchRun { name, engine, rules, sessions, workers, bytes, compile_ns, .. } = run;
    let compile_time = std::time::Duration::from_nanos(*compile_ns).as_secs_f64() * 1e3;
    let TimingStatistics { min, median, p99 } = figures;
    format!(
        "<tr><td>{}</td><td>{engine}</td><td>{rules}</td><td>{sessions}</td><td>{workers}</td>\
         <td>{}</td><td>{compile_time:.2}</td><td>{stage}</td><td>{min:.2}</td><td>{median:.2}</td>\
         <td>{p99:.2}</td></tr>\n",
        escaped(name),
        bytes.div_ceil(1024),
    )
}

/// Text that is no markup.
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
    use super::*;

    #[test]
    fn names_are_escaped_in_html() {
        let run = BenchRun { name: "<script>&".to_owned(), ..BenchRun::default() };
        let runs = [BenchRun { stages: vec![super::super::report::StageResult::default()], ..run }];
        let page = page(&Machine::default(), &runs, "<svg>here</svg>", "bench --config \"a<b\"");
        assert!(page.contains("<svg>here</svg>") && page.contains("&lt;script&gt;&amp;"));
        assert!(page.contains("--config &quot;a&lt;b&quot;") && !page.contains("<script"));
    }
}
