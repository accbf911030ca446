//! Enforces the rules that the compiler cannot: layers, the place of `unsafe`, names, file length.
//!
//! Each rule is a function from the text of a file to violations. The tests at the end prove each
//! rule with text that breaks it.

#![expect(clippy::indexing_slicing, reason = "a test may stop where its input is not as it should")]

#[path = "architecture/cycles.rs"]
mod cycles;
#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/rust_text.rs"]
mod rust_text;

use std::fs;
use std::path::Path;

use names::{no_replaced_words, no_vague_names, questions_return_bool};
use rust_text::{Token, paths, tokens};

/// Each layer with the layers that it may import: "cli -> runtime -> ec2 -> {http, control}",
/// "runtime -> io" and "{control, io} -> dataplane -> model".
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("bpf", &["bpf"]),
    ("dataplane", &["dataplane", "bpf", "model"]),
    ("report", &["report", "io", "dataplane", "model"]),
    ("io", &["io", "dataplane", "bpf", "model"]),
    ("control", &["control", "dataplane", "model"]),
    ("http", &["http"]),
    ("ec2", &["ec2", "http", "control", "dataplane", "model"]),
    ("runtime", &["runtime", "ec2", "http", "control", "io", "dataplane", "model"]),
    ("lab", &["lab", "ec2", "http", "control", "io", "report", "dataplane", "model"]),
    ("bench", &["bench", "control", "io", "dataplane", "model"]),
    (
        "cli",
        &[
            "cli",
            "lab",
            "bench",
            "runtime",
            "ec2",
            "http",
            "control",
            "io",
            "report",
            "dataplane",
            "model",
        ],
    ),
];

/// What no file of `model` and `dataplane` may use: they run in memory and do not wait.
const SYSTEM_PATHS: &[&str] =
    &["std::fs", "std::thread", "std::process", "std::env", "std::os", "pnet::datalink"];
const SYSTEM_NAMES: &[&str] = &[
    "tokio",
    "libc",
    "socket2",
    "memmap2",
    "tempfile",
    "crossbeam_channel",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "ToSocketAddrs",
];

/// Files have fewer lines than this, including tests.
const MAX_LINES: usize = 400;

/// Exceptions of rules: rule, part of the complaint, reason.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("names", "src/http/body.rs", "the trait of hyper has an associated type of this name")];

/// A source file: its path from the root of the repository, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// `["model", "filter"]` for src/model/filter.rs; nothing for src/lib.rs and src/main.rs.
    fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut names: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        names.pop_if(|name| matches!(*name, "mod" | "lib" | "main"));
        names
    }

    fn violation(&self, line: usize, complaint: &str) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }
}

type Rule = fn(&Source, &[Token]) -> Vec<String>;

/// Rules for the library and the binary.
const SRC_RULES: &[(&str, Rule)] = &[
    ("layers", only_lower_layers),
    ("system", no_system_access),
    ("unsafe", unsafe_only_in_io_sys),
    ("allow", no_allow),
    ("names", no_vague_names),
    ("questions", questions_return_bool),
    ("replaced", no_replaced_words),
    ("doc", first_line_is_doc),
    ("length", short_files),
];

/// Rules for tests, benches, examples and fuzz targets.
const OTHER_RULES: &[(&str, Rule)] = &[
    ("unsafe", unsafe_only_in_io_sys),
    ("allow", no_allow),
    ("names", no_vague_names),
    ("doc", first_line_is_doc),
    ("length", short_files),
];

fn only_lower_layers(source: &Source, tokens: &[Token]) -> Vec<String> {
    let module = source.module();
    let own = module.first().copied().unwrap_or_default();
    let allowed: &[&str] =
        match (source.path.as_str(), LAYERS.iter().find(|(name, _)| *name == own)) {
            ("src/lib.rs", _) => return Vec::new(), // the map of the crate names all of it
            ("src/main.rs", _) => &["cli"],
            (_, Some((_, allowed))) => allowed,
            (_, None) => return vec![source.violation(1, "is in no layer; see LAYERS")],
        };
    let wrong = |path: &rust_text::Path| {
        let inside = path.segments.first().is_some_and(|first| first == "crate");
        inside && !path.segments.get(1).is_some_and(|layer| allowed.contains(&layer.as_str()))
    };
    let complaint = |path: rust_text::Path| {
        let allowed = allowed.join(", ");
        let named = path.segments.join("::");
        source.violation(path.line, &format!("names {named}, but may name only {allowed}"))
    };
    paths(tokens, &module).into_iter().filter(wrong).map(complaint).collect()
}

fn no_system_access(source: &Source, tokens: &[Token]) -> Vec<String> {
    let module = source.module();
    if !matches!(module.first(), Some(&"model" | &"dataplane")) {
        return Vec::new();
    }
    let words = tokens.iter().filter(|token| SYSTEM_NAMES.contains(&token.text.as_str()));
    let named = paths(tokens, &module).into_iter().filter(|path| {
        SYSTEM_PATHS.contains(
            &path.segments.iter().take(2).cloned().collect::<Vec<_>>().join("::").as_str(),
        )
    });
    let lines = words.map(|word| (word.line, word.text.clone()));
    lines
        .chain(named.map(|path| (path.line, path.segments.join("::"))))
        .map(|(line, name)| {
            source.violation(line, &format!("{name} belongs to io, control or cli"))
        })
        .collect()
}

fn unsafe_only_in_io_sys(source: &Source, tokens: &[Token]) -> Vec<String> {
    if source.path.starts_with("src/io/sys/") || source.path == "src/io/sys.rs" {
        return Vec::new();
    }
    let found = tokens.iter().filter(|token| token.text == "unsafe");
    found
        .map(|token| source.violation(token.line, "unsafe is allowed only in src/io/sys"))
        .collect()
}

fn no_allow(source: &Source, tokens: &[Token]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut depth = 0; // of brackets, counted from an attribute's own on
    for at in 0..tokens.len() {
        let opens = matches!(
            tokens[at.saturating_sub(2)..at].iter().map(|t| t.text.as_str()).collect::<Vec<_>>()[..],
            [.., "#"] | ["#", "!"]
        );
        match tokens[at].text.as_str() {
            "[" if depth > 0 || opens => depth += 1,
            "]" if depth > 0 => depth -= 1,
            "allow" if depth > 0 => complaints
                .push(source.violation(tokens[at].line, "write #[expect(..., reason = ...)]")),
            _ => {}
        }
    }
    complaints
}

fn first_line_is_doc(source: &Source, _tokens: &[Token]) -> Vec<String> {
    let says = source.text.lines().next().is_some_and(|line| line.starts_with("//! "));
    let complaint =
        || source.violation(1, "the first line must state the purpose of the file (//! ...)");
    (!says).then(complaint).into_iter().collect()
}

fn short_files(source: &Source, _tokens: &[Token]) -> Vec<String> {
    let lines = source.text.lines().count();
    let complaint = || source.violation(lines, &format!("stay under {MAX_LINES} lines"));
    (lines >= MAX_LINES).then(complaint).into_iter().collect()
}

/// Complaints of all rules about one file, without exceptions.
fn violations(rules: &[(&str, Rule)], source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let excepted = |rule: &str, complaint: &str| {
        EXCEPTIONS.iter().any(|(name, part, _)| *name == rule && complaint.contains(part))
    };
    let complaints = rules.iter().flat_map(|(name, rule)| {
        rule(source, &tokens).into_iter().filter(move |complaint| !excepted(name, complaint))
    });
    complaints.collect()
}

/// Every Rust file under `folder` of the repository.
fn sources_under(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && !path.ends_with("/target") {
            found.extend(sources_under(&path));
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            found.push(Source { path, text });
        }
    }
    found
}

fn assert_clean(rules: &[(&str, Rule)], folders: &[&str]) -> usize {
    let sources: Vec<Source> = folders.iter().flat_map(|folder| sources_under(folder)).collect();
    let complaints: Vec<String> =
        sources.iter().flat_map(|source| violations(rules, source)).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    sources.len()
}

#[test]
fn the_source_keeps_the_rules() {
    assert!(assert_clean(SRC_RULES, &["src"]) > 10, "the source was not found");
}

#[test]
fn tests_benches_examples_and_fuzz_targets_keep_the_rules() {
    assert!(assert_clean(OTHER_RULES, &["tests", "benches", "examples", "fuzz"]) > 0);
}

#[test]
fn every_exception_is_still_needed() {
    let all = ["src", "tests", "benches", "examples", "fuzz"];
    let sources: Vec<Source> = all.iter().flat_map(|folder| sources_under(folder)).collect();
    for (name, part, _) in EXCEPTIONS {
        let rule = SRC_RULES.iter().find(|(rule, _)| rule == name).map(|(_, rule)| *rule);
        let hit = |source| {
            rule.is_some_and(|rule| {
                rule(source, &tokens(&source.text)).iter().any(|c| c.contains(part))
            })
        };
        assert!(sources.iter().any(hit), "{name} no longer needs an exception for {part}");
    }
}

/// Complaints about `text` at `path`, to which a first line is added.
fn violations_in(path: &str, text: &str) -> Vec<String> {
    violations(SRC_RULES, &Source::new(path, &format!("//! Job.\n{text}")))
}

#[test]
fn a_dependency_on_a_higher_layer_is_found_in_every_spelling() {
    for (path, text) in [
        ("src/model/a.rs", "use crate::dataplane::Frame;"),
        ("src/model/a.rs", "use super::super::io;"),
        ("src/model/mod.rs", "use super::io;"),
        ("src/dataplane/a.rs", "fn f() { crate::io::read(); }"),
        ("src/dataplane/a.rs", "use crate::{model::{Mtu, Filter}, control};"),
        ("src/dataplane/a.rs", "#[cfg(test)] mod tests { use super::super::super::io; }"),
        ("src/dataplane/deep/a.rs", "type T = Vec<super::super::super::cli::Plan>;"),
        ("src/io/a.rs", "pub use crate::control::Registry;"),
        ("src/control/a.rs", "use crate::io::pcap;"),
        ("src/control/a.rs", "use crate as all;"),
        ("src/io/a.rs", "use crate::*;"),
        ("src/ec2/a.rs", "use crate::io::sys;"),
        ("src/http/a.rs", "use crate::ec2::Endpoint;"),
        ("src/main.rs", "use traffic_mirror::io;"),
        ("src/common_ground.rs", ""),
    ] {
        assert!(!violations_in(path, text).is_empty(), "{path}: {text}");
    }
}

#[test]
fn a_dependency_on_a_lower_layer_is_allowed() {
    for (path, text) in [
        ("src/dataplane/a.rs", "use crate::model::{Filter, Mtu}; use std::{io, sync::Arc};"),
        ("src/dataplane/a.rs", "pub(crate) fn f() -> io::Result<()> { super::b::g::<u8>() }"),
        ("src/dataplane/a.rs", "// use crate::io;\n/* crate::cli::x /* nested */ crate::io */"),
        ("src/dataplane/a.rs", "const A: &str = \"crate::io::x \\\" crate::cli::y\";"),
        ("src/dataplane/a.rs", "const A: &str = r#\"\" use crate::io; \"#; const B: char = '\"';"),
        ("src/dataplane/a.rs", "mod tests { use super::*; mod more { use super::super::b; } }"),
        ("src/io/sys/a.rs", "use super::super::pcap; use crate::dataplane::Frame;"),
        ("src/cli/a.rs", "use crate::{control, io::{self, pcap}};"),
        ("src/main.rs", "fn main() -> ExitCode { traffic_mirror::cli::main() }"),
    ] {
        assert_eq!(violations_in(path, text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn each_other_rule_finds_a_violation() {
    for (path, text) in [
        ("src/dataplane/a.rs", "use std::time::Instant;"),
        ("src/dataplane/a.rs", "use std::{fmt, thread};"),
        ("src/model/a.rs", "fn f() { std::fs::read(\"x\"); }"),
        ("src/model/a.rs", "use std::net::{IpAddr, UdpSocket};"),
        ("src/model/a.rs", "use tokio;"),
        ("src/io/a.rs", "fn f() { unsafe { g() } }"),
        ("src/io/a.rs", "#[allow(dead_code)] fn f() {}"),
        ("src/io/a.rs", "#![allow(dead_code)]"),
        ("src/io/a.rs", "#[cfg_attr(test, allow(dead_code))] fn f() {}"),
        ("src/io/a.rs", "struct FrameInfo;"),
        ("src/io/a.rs", "fn read_data() {}"),
        ("src/io/a.rs", "mod utils;"),
        ("src/io/handler.rs", ""),
        ("src/io/a.rs", &"\n".repeat(MAX_LINES)),
        ("src/io/a.rs", "fn is_known(a: u8) -> Result<(), E> { f() }"),
        ("src/io/a.rs", "trait T { fn has_room<F: Fn() -> bool>(&self, f: F) -> Option<bool>; }"),
        ("src/io/a.rs", "fn is_gone(&mut self) { f() } fn f() -> bool {}"),
        ("src/io/a.rs", "struct FrameMender;"),
        ("src/io/a.rs", "use shelf;"),
        ("src/io/a.rs", "const CREW_LEN: u8 = 1;"),
        ("src/io/docket.rs", ""),
    ] {
        assert_eq!(violations_in(path, text).len(), 1, "{path}: {text}");
    }
    assert_eq!(
        violations(SRC_RULES, &Source::new("src/io/a.rs", "use std::fs;")).len(),
        1,
        "no doc"
    );
}

#[test]
fn each_other_rule_accepts_valid_code() {
    for (path, text) in [
        (
            "src/dataplane/a.rs",
            "//! No Mutex here, no std::fs.\nuse std::net::{IpAddr, SocketAddr};",
        ),
        ("src/io/sys/a.rs", "fn f() { unsafe { g() } }"),
        ("src/io/a.rs", "// unsafe\n#[expect(unsafe_code, reason = \"no unsafe\")] fn allow() {}"),
        (
            "src/io/a.rs",
            "fn is_even<F>(f: F) -> bool where F: Fn() -> u8 {} trait T { fn has_room(&self) -> bool; }",
        ),
        (
            "src/io/a.rs",
            "fn is_a(f: impl Fn() -> u8, b: [u8; 2]) -> bool { true } fn is() {} fn express() {}",
        ),
        (
            "src/io/a.rs",
            "struct Metadata; fn informed() {} fn the_data_plane_is_one_loop() {} fn f() { g(allow(), allow()) }",
        ),
    ] {
        assert_eq!(violations_in(path, text), [""; 0], "{path}: {text}");
    }
}
