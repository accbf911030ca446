//! Makes the input captures of `pcaps/`, and asserts that the files in the repository are equal.
//! `BLESS=1 cargo test --test cases` writes them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a case that cannot be built ends the test"
)]

mod capture;
mod dialects;
mod files;
mod frames;
mod lengths;
mod packets;
mod rules;
mod services;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The input of one golden folder.
struct CaptureCase {
    name: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
}

impl CaptureCase {
    const fn new(name: &'static str, file: &'static str, bytes: Vec<u8>) -> Self {
        Self { name, file, bytes }
    }
}

/// Folders of `pcaps/` whose input is recorded, not generated.
const RECORDED: &[&str] = &["quickstart"];

fn all_cases() -> Vec<CaptureCase> {
    let parts = [
        rules::cases(),
        lengths::cases(),
        packets::cases(),
        services::cases(),
        files::cases(),
        dialects::cases(),
    ];
    parts.into_iter().flatten().collect()
}

fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")
}

#[test]
fn committed_captures_match_the_generated_ones() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for case in all_cases() {
        let path = pcaps().join(case.name).join(case.file);
        if bless {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &case.bytes).unwrap();
        } else if fs::read(&path).ok().as_ref() != Some(&case.bytes) {
            wrong.push(path);
        }
    }
    assert!(
        wrong.is_empty(),
        "these files differ from the generated captures (BLESS=1 writes them): {wrong:#?}"
    );
}

#[test]
fn every_folder_has_a_generated_or_recorded_capture() {
    let generated: BTreeSet<String> = all_cases().iter().map(|case| case.name.to_owned()).collect();
    assert_eq!(generated.len(), all_cases().len(), "two cases have one name");
    let entries = fs::read_dir(pcaps()).unwrap().map(Result::unwrap);
    let folders: BTreeSet<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let recorded = RECORDED.iter().map(|name| (*name).to_owned());
    let known: BTreeSet<String> = generated.into_iter().chain(recorded).collect();
    assert!(
        folders == known || std::env::var_os("BLESS").is_some(),
        "folders {folders:?}, cases {known:?}"
    );
}
