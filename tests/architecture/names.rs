//! Rules for names: no vague word, no replaced word, and functions named `is_` or `has_` return
//! bool.

use super::Source;
use super::rust_text::Token;

/// Words that fit everything.
const VAGUE_WORDS: &[&str] =
    &["data", "info", "manager", "handler", "util", "utils", "helper", "helpers", "common"];

/// Words that were replaced by the standard word of the field, with the replacement.
pub(crate) const REPLACED_WORDS: &[(&str, &str)] = &[
    ("bell", "WakeSocket"),
    ("crew", "Supervisor"),
    ("dismiss", "shut down"),
    ("docket", "LookupBatch"),
    ("fate", "Action"),
    ("fuse", "CircuitBreaker"),
    ("herald", "systemd"),
    ("keeper", "KernelFilterController"),
    ("membership", "InterfaceLookup"),
    ("mender", "FrameRepair"),
    ("muster", "start"),
    ("obey", "apply"),
    ("party", "Batch"),
    ("press", "Transposer"),
    ("roster", "WorkerRegistry"),
    ("ruling", "CompiledRules"),
    ("rulings", "CompiledRules"),
    ("seat", "slot"),
    ("shelf", "OwnershipIndex"),
    ("station", "InterfaceWorkers"),
    ("story", "ExplainLine"),
    ("teller", "ExplainSink"),
    ("walkers", "LaneMask"),
];

pub(crate) fn no_vague_names(source: &Source, tokens: &[Token]) -> Vec<String> {
    let kinds = ["mod", "fn", "struct", "enum", "trait", "type", "union"];
    let named = tokens.windows(2).filter(|pair| kinds.contains(&pair[0].text.as_str()));
    let is_vague = |name: &str| {
        let words = words_of(name);
        // A name of five words or more is a sentence, such as the name of a test.
        words.len() < 5 && words.iter().any(|word| VAGUE_WORDS.contains(&word.as_str()))
    };
    std::iter::once((1, file_name(source)))
        .chain(named.map(|pair| (pair[1].line, pair[1].text.as_str())))
        .filter(|(_, name)| is_vague(name))
        .map(|(line, name)| source.violation(line, &format!("`{name}` is vague: name the thing")))
        .collect()
}

pub(crate) fn no_replaced_words(source: &Source, tokens: &[Token]) -> Vec<String> {
    let names = tokens.iter().map(|token| (token.line, token.text.as_str()));
    let replaced = |name: &str| {
        let words = words_of(name);
        REPLACED_WORDS.iter().find(|(word, _)| words.iter().any(|one| one == word))
    };
    std::iter::once((1, file_name(source)))
        .chain(names)
        .filter_map(|(line, name)| replaced(name).map(|(_, better)| (line, name, better)))
        .map(|(line, name, better)| source.violation(line, &format!("`{name}`: write {better}")))
        .collect()
}

pub(crate) fn questions_return_bool(source: &Source, tokens: &[Token]) -> Vec<String> {
    let is_question = |name: &str| name.starts_with("is_") || name.starts_with("has_");
    let starts = (1..tokens.len())
        .filter(|&at| tokens[at - 1].text == "fn" && is_question(&tokens[at].text));
    starts
        .filter(|&at| !returns_bool(&tokens[at + 1..]))
        .map(|at| {
            let name = &tokens[at].text;
            let complaint = format!("`{name}` does not return bool: name it check_ or by a verb");
            source.violation(tokens[at].line, &complaint)
        })
        .collect()
}

/// Whether a signature, from behind the name on, ends in `-> bool`.
fn returns_bool(tokens: &[Token]) -> bool {
    let mut depth = 0;
    for at in 0..tokens.len() {
        let text = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text.as_str());
        let is_arrow_head = at > 0 && tokens[at - 1].text == "-";
        match text(0) {
            "(" | "<" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            ">" if !is_arrow_head => depth -= 1,
            "-" if depth == 0 && text(1) == ">" => {
                return text(2) == "bool" && matches!(text(3), "{" | ";" | "where");
            }
            "{" | ";" if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// `["frame", "info"]` for both `frame_info` and `FrameInfo`, `["frame", "len"]` for `FRAME_LEN`.
fn words_of(name: &str) -> Vec<String> {
    if !name.contains(char::is_lowercase) {
        return name.split('_').map(str::to_lowercase).collect();
    }
    let mut words = vec![String::new()];
    for character in name.chars() {
        if character == '_' || character.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character != '_') {
            word.extend(character.to_lowercase());
        }
    }
    words
}

fn file_name(source: &Source) -> &str {
    source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs")
}
