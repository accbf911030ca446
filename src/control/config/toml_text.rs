//! Parses TOML text to a document. All syntax errors of a text are reported together.

use std::borrow::Cow;
use std::sync::Arc;

use toml::de::{DeInteger, DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::document::{Node, SourcePosition, Table, TableEntry, Value, join};

/// Offsets in bytes, with messages.
pub(super) type SyntaxErrors = Vec<(usize, String)>;

/// The maximum depth in levels. The schema needs seven. The parser recurses, and its own limit does
/// not cover dotted keys.
const MAX_DEPTH: usize = 32;

/// Parses `source`, the text with index `text`. Returns the values outside of syntax errors too.
pub(super) fn read(text: usize, source: &str) -> (Table<'_>, SyntaxErrors) {
    if let Some(offset) = too_deep(source) {
        let message = format!("expected values at most {MAX_DEPTH} levels deep");
        return (Table { path: Arc::from(""), entries: Vec::new() }, vec![(offset, message)]);
    }
    let (root, errors) = DeTable::parse_recoverable(source);
    // After an unclosed bracket the parser treats the rest of the file as its content.
    let is_lost = errors.iter().any(|error| error.message().starts_with("unclosed"));
    let mut errors: SyntaxErrors = errors
        .into_iter()
        .map(|error| (error.span().map_or(0, |span| span.start), message(&error)))
        .collect();
    errors.sort_by_key(|(offset, _)| *offset);
    let root = if is_lost { DeTable::new() } else { root.into_inner() };
    (TomlReader { text }.table(root, ""), errors)
}

fn message(error: &toml::de::Error) -> String {
    format!("invalid TOML: {}", error.message())
}

/// The offset where values are deeper than [`MAX_DEPTH`], by an upper bound of the depth: `outside`
/// counts open brackets and the dots before them, `dots` counts the dots of the current key. In
/// `a.b = [{c.d` the bracket adds 2 (itself and one dot), the brace 1, and `c.d` has one dot: depth
/// 4.
fn too_deep(source: &str) -> Option<usize> {
    let mut open: Vec<(TokenKind, usize)> = Vec::new();
    let (mut outside, mut dots) = (0, 0);
    for token in Source::new(source).lex() {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                open.push((token.kind(), dots));
                outside += dots + 1;
                dots = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                let opening = match token.kind() {
                    TokenKind::RightSquareBracket => TokenKind::LeftSquareBracket,
                    _ => TokenKind::LeftCurlyBracket,
                };
                if let Some((_, before)) = open.pop_if(|(kind, _)| *kind == opening) {
                    outside -= before + 1;
                    dots = before;
                }
            }
            TokenKind::Dot => dots += 1,
            TokenKind::Newline | TokenKind::Comma => dots = 0,
            _ => {}
        }
        if outside + dots > MAX_DEPTH {
            return Some(token.span().start());
        }
    }
    None
}

struct TomlReader {
    text: usize,
}

impl TomlReader {
    fn table<'a>(&self, table: DeTable<'a>, path: &str) -> Table<'a> {
        let shared: Arc<str> = Arc::from(path);
        let mut entries: Vec<TableEntry<'a>> = table
            .into_iter()
            .map(|(key, value)| {
                let position = SourcePosition { text: self.text, offset: key.span().start };
                let key = key.into_inner();
                let offset = value.span().start;
                let value = self.node(offset, value.into_inner(), || join(path, &key));
                TableEntry { key, parent: shared.clone(), position, value }
            })
            .collect();
        entries.sort_by_key(|entry| entry.position);
        Table { path: shared, entries }
    }

    /// Calls `path` only for lists and tables, because most values are leaves.
    fn node<'a>(&self, offset: usize, value: DeValue<'a>, path: impl Fn() -> String) -> Node<'a> {
        let value = match value {
            DeValue::String(text) => Value::String(text),
            DeValue::Integer(number) => integer(&number),
            DeValue::Float(number) => Value::OtherNumber(Cow::Owned(number.as_str().to_owned())),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Table(table) => Value::Table(self.table(table, &path())),
            DeValue::Array(array) => {
                let path = path();
                let items = array.into_iter().enumerate().map(|(index, item)| {
                    let offset = item.span().start;
                    let path: &dyn Fn() -> String = &|| format!("{path}[{index}]");
                    self.node(offset, item.into_inner(), path)
                });
                Value::Array(items.collect())
            }
        };
        Node { position: SourcePosition { text: self.text, offset }, value }
    }
}

fn integer<'a>(number: &DeInteger<'_>) -> Value<'a> {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::OtherNumber(Cow::Owned(number.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Much less stack than any thread has.
    fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn all_syntax_errors_are_reported() {
        let (table, errors) = read(0, "a = \nb = 1\nc = 08\n[d]\nb = 2\nb = 3\n");
        let offsets: Vec<usize> = errors.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets, [4, 15, 28], "{errors:?}");
        assert!(matches!(table.entry("b").unwrap().value.value, Value::Integer(1)));
    }

    #[test]
    fn entries_after_an_unclosed_bracket_are_ignored() {
        for text in ["b = 1\n[[d\nc = 3\n", "b = [1\nc = 3\n"] {
            let (table, errors) = read(0, text);
            assert!(table.entries.is_empty() && !errors.is_empty(), "{text}");
        }
    }

    #[test]
    fn entries_have_paths_and_locations() {
        let (table, _) = read(3, "b = 1\na.c = \"x\"\n[[s]]\nk = [1, {q = 2}]\n");
        let keys: Vec<&str> = table.entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, ["b", "a", "s"]);
        let Value::Array(items) = &table.entry("s").unwrap().value.value else { panic!() };
        let Value::Table(first) = &items[0].value else { panic!() };
        assert_eq!(&*first.path, "s[0]");
        let Value::Array(items) = &first.entry("k").unwrap().value.value else { panic!() };
        assert_eq!(items[1].position, SourcePosition { text: 3, offset: 30 });
    }

    #[test]
    fn too_deep_nesting_is_refused_before_parsing() {
        let dotted = vec!["a"; 79].join(".");
        let braces = format!("{}1{}", "{a=".repeat(40), "}".repeat(40));
        let brackets = "[".repeat(100_000);
        let both = format!("{}1", format!("{dotted} = {{").repeat(70));
        let mixed = format!("x = {}", "{a.a.a.a = [] ]".repeat(3000));
        on_a_small_stack(move || {
            for text in [&format!("{dotted} = 1"), &format!("x = {braces}"), &both, &mixed] {
                assert_eq!(read(0, text).1.len(), 1, "{text}");
            }
            assert_eq!(read(0, &format!("x = {brackets}")).1.len(), 1);
        });
    }

    #[test]
    fn the_deepest_allowed_nesting_is_read() {
        on_a_small_stack(|| {
            let text = format!("x = {}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
            assert!(read(0, &text).1.is_empty());
            let text = format!("[{}]\nx = 1", vec!["a"; MAX_DEPTH - 1].join("."));
            assert!(read(0, &text).1.is_empty());
        });
    }

    #[test]
    fn every_kind_of_number_is_kept_or_an_error() {
        let (table, _) = read(0, "a = 0x10\nb = 99999999999999999999\nc = 1.5\nd = -3");
        let shown: Vec<String> =
            table.entries.iter().map(|entry| entry.value.value.shown()).collect();
        assert_eq!(shown, ["16", "99999999999999999999", "1.5", "-3"]);
    }
}
