//! The report of a run as a table.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::io::impair::ImpairmentCounts;
use crate::io::udp::TargetReport;
use crate::report::{DeliveryErrors, MirrorReport};

/// The tables of a report, at most 80 columns wide if the names are short.
pub(super) fn report_table(report: &MirrorReport) -> String {
    let mut text = String::new();
    let nanoseconds = u128::from(report.elapsed_ns.max(1));
    let per_second = u128::from(report.frames) * 1_000_000_000 / nanoseconds;
    let seconds = Duration::from_nanos(report.elapsed_ns).as_secs_f64();
    let mut sums = table_with_columns(&["", "count", "bytes"]);
    sums.add_row(["frames received", &report.received.to_string(), ""]);
    sums.add_row(["mirrored", &report.mirrored.to_string(), &report.mirrored_bytes.to_string()]);
    for (reason, count) in &report.not_mirrored {
        sums.add_row([&*format!("not mirrored: {reason}"), &count.to_string(), ""]);
    }
    for (cause, count) in &report.dropped {
        sums.add_row([&*format!("dropped: {cause}"), &count.to_string(), ""]);
    }
    let impaired = report.impaired.iter().flat_map(ImpairmentCounts::by_name);
    for (name, count) in impaired.filter(|(_, count)| *count > 0) {
        sums.add_row([&*format!("impaired: {name}"), &count.to_string(), ""]);
    }
    if let Some(frames) = report.unaccounted.filter(|frames| *frames > 0) {
        sums.add_row(["not accounted for", &frames.to_string(), ""]);
    }
    let mut sessions =
        table_with_columns(&["session", "number", "VNI", "mirrored", "bytes", "truncated"]);
    for one in &report.sessions {
        let numbers = [
            u64::from(one.session_number),
            u64::from(one.virtual_network_id),
            one.mirrored,
            one.mirrored_bytes,
            one.truncated,
        ];
        let cells = numbers.iter().map(ToString::to_string);
        sessions.add_row(std::iter::once(one.traffic_mirror_session_id.clone()).chain(cells));
    }
    let mut targets = table_with_columns(&["target", "mirrored", "bytes", "ICMP errors"]);
    for one in &report.targets {
        let further: String =
            one.further_addresses.iter().map(|address| format!(" {address}")).collect();
        let address = one.address.as_deref().unwrap_or("(no address)");
        let name = format!("{} {address}{further}", one.traffic_mirror_target_id);
        let numbers = [one.mirrored, one.mirrored_bytes, one.refused + one.unreachable];
        targets.add_row(std::iter::once(name).chain(numbers.iter().map(ToString::to_string)));
    }
    let tables = [sums, sessions, targets];
    for table in tables.iter().filter(|table| !table.is_empty()) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}\n", table.trim_fmt());
    }
    let _ = writeln!(text, "{seconds:.3} s, {per_second} frames/s");
    text
}

/// The ICMP errors of a target.
pub(super) const fn delivery_errors(target: &TargetReport) -> DeliveryErrors {
    DeliveryErrors {
        destination: target.destination,
        refused: target.refused,
        unreachable: target.unreachable,
    }
}

/// An empty table without borders. All columns except the first are aligned to the right.
pub(super) fn table_with_columns(names: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(names.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
