//! The way to the captures of other projects, which are not part of this one.

use std::io::Write;
use std::path::PathBuf;

/// The folder of captures from other projects; says aloud where it is absent.
pub(crate) fn shared_captures(test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if folder.join("MANIFEST.tsv").is_file() {
        return Some(folder);
    }
    // Not through eprintln, which the test harness keeps to itself.
    let said = format!("NOT RUN: {test}: {} is absent\n", folder.display());
    std::io::stderr().write_all(said.as_bytes()).unwrap();
    None
}
