//! Parses JSON text to a document. Parsing ends at the first syntax error.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use jsonc_parser::ast::{Object, Value as Json};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::document::{Node, SourcePosition, Table, TableEntry, Value, join};

/// The maximum depth in levels. A Terraform plan has three levels for each module.
const MAX_DEPTH: usize = 64;

/// The grammar of RFC 8259, without the extensions of the parser.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Parses `source`, the text with index `text`.
///
/// # Errors
/// The offset of the first syntax error in bytes, and its message.
pub(super) fn read(text: usize, source: &str) -> Result<Node<'_>, (usize, String)> {
    let parsed = parse_to_ast(source, &CollectOptions::default(), &STRICT)
        .map_err(|error| (error.range().start, message(&error.kind().to_string())))?;
    match parsed.value {
        Some(value) => {
            let reader = JsonReader { text, too_deep: Cell::new(None) };
            let root = reader.node(value, &String::new, MAX_DEPTH);
            match reader.too_deep.get() {
                None => Ok(root),
                Some(offset) => {
                    Err((offset, message(&format!("expected at most {MAX_DEPTH} levels"))))
                }
            }
        }
        None => Err((0, message("The file is empty"))),
    }
}

fn message(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    format!("invalid JSON: {}{}", first.unwrap_or_default(), letters.as_str())
}

struct JsonReader {
    text: usize,
    /// The offset of the first value that is too deep.
    too_deep: Cell<Option<usize>>,
}

impl JsonReader {
    /// Calls `path` only for lists and tables, because most values are leaves.
    fn node<'a>(&self, json: Json<'a>, path: &dyn Fn() -> String, depth_left: usize) -> Node<'a> {
        let position = SourcePosition { text: self.text, offset: json.start() };
        let value = match json {
            Json::Object(_) | Json::Array(_) if depth_left == 0 => {
                self.too_deep.set(self.too_deep.get().or(Some(position.offset)));
                Value::Null
            }
            Json::StringLit(literal) => Value::String(literal.value),
            Json::NumberLit(literal) => match literal.value.parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::OtherNumber(Cow::Borrowed(literal.value)),
            },
            Json::BooleanLit(literal) => Value::Bool(literal.value),
            Json::NullKeyword(_) => Value::Null,
            Json::Object(object) => Value::Table(self.table(object, &path(), depth_left - 1)),
            Json::Array(array) => {
                let path = path();
                let items = array.elements.into_iter().enumerate();
                let read = items.map(|(index, item)| {
                    self.node(item, &|| format!("{path}[{index}]"), depth_left - 1)
                });
                Value::Array(read.collect())
            }
        };
        Node { position, value }
    }

    fn table<'a>(&self, object: Object<'a>, path: &str, depth_left: usize) -> Table<'a> {
        let shared: Arc<str> = Arc::from(path);
        let entries = object.properties.into_iter().map(|property| {
            let position = SourcePosition { text: self.text, offset: property.start() };
            let key = match property.name {
                jsonc_parser::ast::ObjectPropName::String(literal) => literal.value,
                jsonc_parser::ast::ObjectPropName::Word(word) => Cow::Borrowed(word.value),
            };
            let value = self.node(property.value, &|| join(path, &key), depth_left);
            TableEntry { key, parent: shared.clone(), position, value }
        });
        let entries = entries.collect();
        Table { path: shared, entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_escapes_are_read() {
        let node = read(0, r#"{"Value": "caf\u00e9 \ud83d\ude00"}"#).unwrap();
        let Value::Table(table) = node.value else { panic!() };
        assert_eq!(table.string("Value"), Some("café 😀"));
    }

    #[test]
    fn invalid_json_is_an_error_with_its_position() {
        for (text, offset, message) in [
            ("", 0, "invalid JSON: the file is empty"),
            ("{\"a\": 1,}", 7, "invalid JSON: trailing commas are not allowed"),
            ("{\"a\" 1}", 5, "invalid JSON: expected colon after"),
            ("{} // note", 3, "invalid JSON: comments are not allowed"),
            ("{\"a\": tru}", 6, "invalid JSON: unexpected"),
        ] {
            let (at, error) = read(0, text).unwrap_err();
            assert_eq!(at, offset, "{text}: {error}");
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
        let work = || {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let deep = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
                assert!(read(0, &deep(MAX_DEPTH)).is_ok());
                let (offset, refused) = read(0, &deep(MAX_DEPTH + 1)).unwrap_err();
                assert_eq!(offset, MAX_DEPTH * open.len());
                assert_eq!(refused, "invalid JSON: expected at most 64 levels");
                assert!(read(0, &deep(100_000)).is_err());
                assert!(read(0, &open.repeat(100_000)).is_err());
            }
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
    }
}
