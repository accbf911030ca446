//! Checks that links between the documents of the repository resolve, including their headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every Markdown file below `folder`, without build folders.
pub(crate) fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_skipped = name.starts_with('.') || name == "target" || name == "mutants.out";
        if path.is_dir() && !path.is_symlink() && !is_skipped {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines outside of code fences.
fn prose(document: &str) -> String {
    let mut is_inside = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            is_inside = !is_inside;
        } else if !is_inside {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The targets of the links and pictures of a document.
fn targets(document: &str) -> Vec<String> {
    let prose = prose(document);
    let ends = [("](", ')'), ("src=\"", '"'), ("href=\"", '"')];
    let of_kind = |(begin, end): &(&str, char)| -> Vec<String> {
        let after_begin = prose.split(begin).skip(1);
        after_begin
            .filter_map(|text| text.split_once(*end))
            .map(|(link, _)| link.to_owned())
            .collect()
    };
    ends.iter().flat_map(of_kind).collect()
}

/// The anchors that GitHub makes of the headings of a document.
fn anchors(document: &str) -> BTreeSet<String> {
    let prose = prose(document);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let kept =
        |character: &char| character.is_alphanumeric() || matches!(character, '-' | '_' | ' ');
    let slug = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(kept).map(|one| if one == ' ' { '-' } else { one }).collect()
    };
    headings.map(slug).collect()
}

/// A message for each link of `path` whose file or heading does not exist.
fn broken_links(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut broken = Vec::new();
    for target in targets(&text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let linked =
            if file.is_empty() { path.to_owned() } else { path.parent().unwrap().join(file) };
        if !linked.exists() {
            broken.push(format!("{}: {target}: no such file", path.display()));
        } else if !anchor.is_empty()
            && !anchors(&fs::read_to_string(&linked).unwrap()).contains(anchor)
        {
            broken.push(format!("{}: {target}: no such heading", path.display()));
        }
    }
    broken
}

#[test]
fn every_link_between_documents_resolves() {
    let documents = documents(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(documents.len() > 80, "only {} documents were found", documents.len());
    let broken: Vec<_> = documents.iter().flat_map(|path| broken_links(path)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn links_and_headings_are_found() {
    let text = "# A `b`: C-d\n[x](y.md#z) ![p](q.svg)\n```sh\n[no](no)\n```\n<img src=\"r.svg\">";
    assert_eq!(targets(text), ["y.md#z", "q.svg", "r.svg"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c-d".to_owned()]));
}

#[test]
fn a_broken_link_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.md");
    fs::write(&path, "# One\n[ok](#one) [ok](a.md#one) [no](b.md) [no](#two)").unwrap();
    assert_eq!(broken_links(&path).len(), 2, "{:?}", broken_links(&path));
}
