//! The folder with captures of other projects, which are not part of this one.

use std::path::PathBuf;

use crate::print_uncaptured;

/// The folder of captures from other projects. None, after `NOT RUN:`, if it is absent.
pub fn shared_captures(test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    if folder.join("MANIFEST.tsv").is_file() {
        return Some(folder);
    }
    print_uncaptured(&format!("NOT RUN: {test}: {} is absent\n", folder.display()));
    None
}
