//! Finds files of the source that import each other, directly or through other files.
//!
//! A re-export is no dependency of the file that has it: a path through it depends on the file that
//! it leads to. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::rust_text::{Path, Token, paths, tokens};
use super::{Source, sources_under};

/// Files that may import each other: one type or parser that is divided over two files.
const DIVIDED_FILES: [&str; 4] = [
    "dataplane/flow_key -> dataplane/headers",
    "dataplane/headers -> dataplane/flow_key",
    "io/capture/frames -> io/capture/source",
    "io/capture/source -> io/capture/frames",
];

/// The most re-exports that lead from one to the next.
const MAX_REEXPORTS: usize = 8;

/// A file: its module, such as `["model", "filter"]`, and its dependencies.
struct File {
    module: Vec<String>,
    imports: Vec<Path>,
    reexports: Vec<Path>,
}

/// The imports that are part of a cycle, as `model/filter -> model/rule`, sorted.
fn cyclic_imports(sources: &[(Vec<&str>, Vec<Token>)]) -> Vec<String> {
    let files: Vec<File> =
        sources.iter().map(|(module, tokens)| File::new(module, tokens)).collect();
    let by_module: BTreeMap<&[String], &File> =
        files.iter().map(|file| (file.module.as_slice(), file)).collect();
    let dependencies: BTreeMap<&[String], BTreeSet<&[String]>> =
        files.iter().map(|file| (file.module.as_slice(), file.dependencies(&by_module))).collect();
    let imports =
        dependencies.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to)));
    let cyclic = imports.filter(|(from, to)| reachable_from(to, &dependencies).contains(from));
    cyclic.map(|(from, to)| format!("{} -> {}", from.join("/"), to.join("/"))).collect()
}

fn reachable_from<'a>(
    module: &[String],
    dependencies: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
) -> BTreeSet<&'a [String]> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&[String]> = dependencies[module].iter().copied().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&dependencies[next]);
        }
    }
    found
}

impl File {
    fn new(module: &[&str], tokens: &[Token]) -> Self {
        let (reexports, others) = split_reexports(&without_unit_tests(tokens));
        Self {
            module: module.iter().map(|name| (*name).to_owned()).collect(),
            imports: paths(&others, module),
            reexports: paths(&reexports, module),
        }
    }

    fn dependencies<'a>(&self, files: &BTreeMap<&'a [String], &'a Self>) -> BTreeSet<&'a [String]> {
        let found = self.imports.iter().filter_map(|path| {
            let path = self.absolute(&path.segments, files)?;
            resolve(&path, files, MAX_REEXPORTS)
        });
        found.filter(|module| !module.is_empty() && *module != self.module).collect()
    }

    /// The segments behind `crate` of a path in this file; `None` if it leads out of the crate.
    fn absolute(
        &self,
        segments: &[String],
        files: &BTreeMap<&[String], &Self>,
    ) -> Option<Vec<String>> {
        let (first, rest) = segments.split_first()?;
        if first == "crate" {
            return Some(rest.to_vec());
        }
        let child: Vec<String> = self.module.iter().chain([first]).cloned().collect();
        files.contains_key(child.as_slice()).then(|| [&self.module, segments].concat())
    }
}

/// The module of the file that defines what a path names.
fn resolve<'a>(
    path: &[String],
    files: &BTreeMap<&'a [String], &'a File>,
    reexports_left: usize,
) -> Option<&'a [String]> {
    let len = (0..=path.len()).rev().find(|len| files.contains_key(&path[..*len]))?;
    let file = files[&path[..len]];
    let reexport = path.get(len).and_then(|name| {
        file.reexports.iter().find(|reexport| reexport.segments.last() == Some(name))
    });
    let target = reexport.and_then(|reexport| file.absolute(&reexport.segments, files));
    match target {
        Some(target) if reexports_left > 0 => {
            let target = [&target, &path[len + 1..]].concat();
            resolve(&target, files, reexports_left - 1)
        }
        _ => Some(&file.module),
    }
}

/// The tokens without modules behind `#[cfg(test)]`.
fn without_unit_tests(tokens: &[Token]) -> Vec<Token> {
    const ATTRIBUTE: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = ATTRIBUTE
            .iter()
            .enumerate()
            .all(|(ahead, text)| tokens.get(at + ahead).is_some_and(|token| token.text == *text));
        let opens = tokens.get(at + ATTRIBUTE.len() + 1).is_some_and(|token| token.text == "{");
        if starts && opens {
            at = end_of_block(tokens, at + ATTRIBUTE.len() + 1);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The index behind the block that opens at `at`.
fn end_of_block(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The tokens of `pub use` statements, and all others.
fn split_reexports(tokens: &[Token]) -> (Vec<Token>, Vec<Token>) {
    let (mut reexports, mut others) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let is_word =
            |index: usize, word| tokens.get(index).is_some_and(|one: &Token| one.text == word);
        let mut next = at + 1;
        if is_word(at, "pub") && is_word(next, "(") {
            // A visibility such as `pub(in super::super)` is no import.
            next += tokens[next..].iter().position(|one| one.text == ")").map_or(1, |len| len + 1);
        }
        if is_word(at, "pub") && is_word(next, "use") {
            let end = tokens[next..].iter().position(|one| one.text == ";");
            let end = end.map_or(tokens.len(), |len| next + len + 1);
            reexports.extend_from_slice(&tokens[next..end]);
            at = end;
        } else {
            others.push(tokens[at].clone());
            at = next;
        }
    }
    (reexports, others)
}

/// The imports between files that are part of a cycle.
fn cyclic_imports_of(sources: &[Source]) -> Vec<String> {
    let is_test = |source: &&Source| source.path.contains("/tests");
    let files = sources.iter().filter(|source| source.path != "src/main.rs" && !is_test(source));
    let files: Vec<_> = files.map(|source| (source.module(), tokens(&source.text))).collect();
    cyclic_imports(&files)
}

#[test]
fn files_do_not_import_each_other() {
    let found = cyclic_imports_of(&sources_under("src"));
    assert_eq!(found, DIVIDED_FILES, "{}", found.join("\n"));
}

#[test]
fn a_cycle_is_found_in_every_spelling() {
    let cycles = |texts: &[(&str, &str)]| {
        let sources: Vec<Source> =
            texts.iter().map(|(path, text)| Source::new(path, text)).collect();
        cyclic_imports_of(&sources)
    };
    let a_and_b =
        |a, b| cycles(&[("src/m/mod.rs", "pub use b::B;"), ("src/m/a.rs", a), ("src/m/b.rs", b)]);
    for (a, b) in [
        ("use super::b::B;", "use crate::m::a::A;"),
        ("use super::B;", "use super::{a::A, c};"),
        ("use crate::{m::B};", "fn f(a: super::a::A) {}"),
        ("mod inner { use super::super::b; }", "pub use super::x; use super::a;"),
    ] {
        assert_eq!(a_and_b(a, b), ["m/a -> m/b", "m/b -> m/a"], "{a} {b}");
    }
    for (a, b) in [
        ("use super::b::B;", "use super::c;"),
        ("use super::b::B;", "#[cfg(test)] mod tests { use super::super::a::A; }"),
        ("use super::b::B;", "pub use super::a::A;"),
        ("// use super::b::B;", "use super::a;"),
    ] {
        assert_eq!(a_and_b(a, b), [""; 0], "{a} {b}");
    }
    let parent = [("src/m.rs", "mod a; use self::a::A;"), ("src/m/a.rs", "use super::M;")];
    assert_eq!(cycles(&parent), ["m -> m/a", "m/a -> m"]);
}
