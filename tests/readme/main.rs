//! Executes every command of README.md and of the pages in docs/, compares the output that they
//! show, and checks the links between all documents.
//!
//! A block ```` ```sh ```` is one script, and the blocks of a document share a scratch folder.
//! These words may follow `sh`: `namespace` runs the block as root of a new network namespace that
//! has a device eth0 with the addresses 192.0.2.1/24 and 10.0.0.5/24; `needs=PROGRAM` runs it if
//! the program is installed; `no-run: REASON` does not run it. A block that does not run prints
//! `NOT RUN:` and the reason.

#![expect(clippy::unwrap_used, reason = "tests")]

mod blocks;
mod execute;
mod links;

use std::fs;
use std::path::{Path, PathBuf};

use blocks::{blocks, single_spaced};
use execute::{Ended, obstacle, run, scratch_folder};
use testkit::print_uncaptured;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// README.md and all pages of docs/.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages = vec![root.join("README.md")];
    pages.extend(links::documents(&root.join("docs")));
    pages
}

/// The number of blocks of a page that ran, and a message for each one that failed.
fn check(page: &Path) -> (usize, Vec<String>) {
    let folder = scratch_folder();
    let name = page.strip_prefix(ROOT).unwrap_or(page).display().to_string();
    let blocks = match blocks(&fs::read_to_string(page).unwrap()) {
        Ok(blocks) => blocks,
        Err(complaint) => return (0, vec![format!("{name}: {complaint}")]),
    };
    let (mut ran, mut failures) = (0, Vec::new());
    for block in blocks {
        let place = format!("{name}:{}", block.line);
        if let Some(reason) = obstacle(&block) {
            print_uncaptured(&format!("NOT RUN: {place}: {reason}\n"));
            continue;
        }
        let Ended { status, printed } = run(&block, folder.path());
        let all = printed.concat();
        if !status.success() {
            failures.push(format!("{place}: {status}\n{}\n{all}", block.script));
        }
        let printed = printed.each_ref().map(|text| single_spaced(text));
        for part in &block.output {
            if !printed.iter().any(|printed| printed.contains(part.as_str())) {
                failures.push(format!("{place}: expected the output `{part}`\n{all}"));
            }
        }
        ran += 1;
    }
    (ran, failures)
}

#[test]
fn every_command_of_the_documents_runs() {
    let pages = pages();
    let checked: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = pages.iter().map(|page| scope.spawn(|| check(page))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let ran: usize = checked.iter().map(|(ran, _)| ran).sum();
    let failures: Vec<String> = checked.into_iter().flat_map(|(_, failures)| failures).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(ran >= 20, "only {ran} blocks ran");
}

#[test]
fn the_index_names_every_page_and_the_readme_stays_short() {
    let docs = Path::new(ROOT).join("docs");
    let index = fs::read_to_string(docs.join("README.md")).unwrap();
    for page in links::documents(&docs) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "{name}");
    }
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    assert!(readme.lines().count() <= 140, "README.md has {} lines", readme.lines().count());
    let picture = fs::metadata(docs.join("pictures/wireshark.svg")).unwrap();
    assert!(picture.len() < 30_000, "{} bytes", picture.len());
}

#[test]
fn a_command_that_fails_and_output_that_differs_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.md");
    fs::write(&page, "```sh\nfalse\n```\n```sh\necho yes\n```\n```text output\nno\n```\n").unwrap();
    let (ran, failures) = check(&page);
    assert_eq!((ran, failures.len()), (2, 2), "{failures:?}");
}
