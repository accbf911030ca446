//! The keys of the EC2 API. Unknown keys are ignored, as SDKs do. A key that differs from a known
//! one only in its capitals is likely a mistake, so it gives a warning.

use super::collector::ProblemCollector;
use super::document::Table;

/// Warns about keys of `object` that differ from a known key only in their capitals.
pub(super) fn warn_of_capitals(
    object: &Table<'_>,
    known: impl IntoIterator<Item = String>,
    out: &mut ProblemCollector<'_>,
) {
    for known in known {
        let is_meant = |key: &str| key != known && key.eq_ignore_ascii_case(&known);
        for entry in object.entries.iter().filter(|entry| is_meant(&entry.key)) {
            let note = format!("`{}` is ignored; did you mean `{known}`?", entry.key);
            out.report_adjusted(entry, note);
        }
    }
}
