//! Parses YAML text to a document in CloudFormation's dialect: without aliases, and with short
//! forms of functions (`!Ref x`).

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::document::{Node, SourcePosition, Table, TableEntry, Value, join};
use super::fields::has_leading_zero;

/// The maximum depth in levels. Templates in use are less than half as deep.
const MAX_DEPTH: usize = 64;

/// Parses `source`, the text with index `text`.
///
/// # Errors
/// The offset in bytes and the message of the first syntax error, or of YAML that CloudFormation
/// does not support.
pub(super) fn read(text: usize, source: &str) -> Result<Node<'_>, (usize, String)> {
    let offsets: Vec<usize> = source.char_indices().map(|(offset, _)| offset).collect();
    let mut reader = YamlReader { text, offsets, parser: Parser::new_from_str(source) };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => {
                return Err((0, "invalid YAML: the file is empty".to_owned()));
            }
            (event, span) => {
                let root = reader.node(event, span, "", MAX_DEPTH)?;
                return reader.nothing_more().map(|()| root);
            }
        }
    }
}

struct YamlReader<'a> {
    text: usize,
    /// The offset of each character in bytes.
    offsets: Vec<usize>,
    parser: Parser<'a, StrInput<'a>>,
}

type YamlResult<T> = Result<T, (usize, String)>;

impl<'a> YamlReader<'a> {
    fn next(&mut self) -> YamlResult<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Err((0, "invalid YAML: unexpected end of file".to_owned())),
        }
    }

    /// Checks that nothing follows the root.
    fn nothing_more(&mut self) -> YamlResult<()> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    let message = "expected one YAML document, but a second one begins here";
                    return Err((self.offset(span.start.index()), message.to_owned()));
                }
                _ => {}
            }
        }
    }

    fn syntax_error(&self, error: &ScanError) -> (usize, String) {
        (self.offset(error.marker().index()), format!("invalid YAML: {}", error.info()))
    }

    /// The offset in bytes of the character with that index.
    fn offset(&self, index: usize) -> usize {
        let last = self.offsets.last().copied().unwrap_or_default();
        self.offsets.get(index).copied().unwrap_or(last)
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        path: &str,
        depth_left: usize,
    ) -> YamlResult<Node<'a>> {
        let offset = self.offset(span.start.index());
        let position = SourcePosition { text: self.text, offset };
        if depth_left == 0 {
            return Err((offset, format!("expected values at most {MAX_DEPTH} levels deep")));
        }
        let (value, tag) = match event {
            Event::Scalar(text, style, _, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.as_deref().is_none_or(is_guessed);
                (if is_plain { plain(text) } else { Value::String(text) }, tag)
            }
            Event::SequenceStart(_, tag) => (Value::Array(self.items(path, depth_left - 1)?), tag),
            Event::MappingStart(_, tag) => (Value::Table(self.table(path, depth_left - 1)?), tag),
            Event::Alias(_) => {
                let message = "expected no alias: CloudFormation does not support YAML aliases";
                return Err((offset, message.to_owned()));
            }
            _ => return Err((offset, "invalid YAML: a value is missing".to_owned())),
        };
        let node = Node { position, value };
        Ok(match tag.filter(|tag| tag.handle == "!" && !tag.suffix.is_empty()) {
            Some(tag) => function(&tag, node, path),
            None => node,
        })
    }

    fn items(&mut self, path: &str, depth_left: usize) -> YamlResult<Vec<Node<'a>>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            let path = format!("{path}[{}]", items.len());
            items.push(self.node(event, span, &path, depth_left)?);
        }
    }

    fn table(&mut self, path: &str, depth_left: usize) -> YamlResult<Table<'a>> {
        let shared: Arc<str> = Arc::from(path);
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let offset = self.offset(span.start.index());
            let key = match event {
                Event::MappingEnd => return Ok(Table { path: shared, entries }),
                Event::Scalar(key, ..) => key,
                _ => return Err((offset, "expected a string as the key".to_owned())),
            };
            let position = SourcePosition { text: self.text, offset };
            let (event, span) = self.next()?;
            let value = self.node(event, span, &join(path, &key), depth_left)?;
            entries.push(TableEntry { key, parent: shared.clone(), position, value });
        }
    }
}

/// Whether the type of a scalar with this tag depends on its text, as without a tag.
fn is_guessed(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix != "str"
}

/// The value of a scalar without quotes in YAML 1.1.
fn plain(text: Cow<'_, str>) -> Value<'_> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["", "~", "null"]) {
        return Value::Null;
    }
    if is_one_of(&["true", "yes", "on"]) {
        return Value::Bool(true);
    }
    if is_one_of(&["false", "no", "off"]) {
        return Value::Bool(false);
    }
    match text.parse() {
        Ok(number) if !text.starts_with('+') && !has_leading_zero(&text) => Value::Integer(number),
        _ if looks_like_number(&text) => Value::OtherNumber(text),
        _ => Value::String(text),
    }
}

fn looks_like_number(text: &str) -> bool {
    let starts = text.trim_start_matches(['-', '+']).starts_with(|one: char| one.is_ascii_digit());
    starts && text.parse::<f64>().is_ok()
}

/// `!Ref x` as `{"Ref": x}`, `!GetAtt a.b` as `{"Fn::GetAtt": [a, b]}`, `!X y` as `{"Fn::X": y}`.
fn function<'a>(tag: &Tag, node: Node<'a>, path: &str) -> Node<'a> {
    let position = node.position;
    let key = match &*tag.suffix {
        known @ ("Ref" | "Condition") => known.to_owned(),
        other => format!("Fn::{other}"),
    };
    let value = match node.value {
        Value::String(text) if key == "Fn::GetAtt" => {
            let (name, attribute) = text.split_once('.').unwrap_or((&text, ""));
            let part = |text: &str| Node { position, value: Value::String(text.to_owned().into()) };
            Node { position, value: Value::Array(vec![part(name), part(attribute)]) }
        }
        value => Node { position, value },
    };
    let path: Arc<str> = Arc::from(path);
    let entry = TableEntry { key: Cow::Owned(key), parent: path.clone(), position, value };
    Node { position, value: Value::Table(Table { path, entries: vec![entry] }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node<'_>) -> String {
        match &node.value {
            Value::Table(table) => {
                let pairs = table.entries.iter();
                let pairs: Vec<String> =
                    pairs.map(|one| format!("{}: {}", one.key, shown(&one.value))).collect();
                format!("{{{}}}", pairs.join(", "))
            }
            Value::Array(items) => {
                format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
            }
            Value::String(text) => format!("'{text}'"),
            other => other.shown(),
        }
    }

    #[test]
    fn yaml_values_are_read_as_cloudformation_reads_them() {
        for (text, value) in [
            ("a: 6\nb: '6'\nc: !!str 6", "{a: 6, b: '6', c: '6'}"),
            ("a: !Ref b\nc: !GetAtt d.Id", "{a: {Ref: 'b'}, c: {Fn::GetAtt: ['d', 'Id']}}"),
            ("- !Sub '${A}'\n- ~\n- yes\n- 1.5", "[{Fn::Sub: '${A}'}, null, true, 1.5]"),
            ("a: 2010-09-09", "{a: '2010-09-09'}"),
            ("[YES, yes, Yes, ON, on, TRUE]", "[true, true, true, true, true, true]"),
            ("[NO, no, No, OFF, Off, FALSE]", "[false, false, false, false, false, false]"),
            ("[NULL, 'NO', \"ON\", yess]", "[null, 'NO', 'ON', 'yess']"),
            ("a: 010\nb: 0\n...\n", "{a: 010, b: 0}"),
            ("{\"a\": [1, \"x\"]}", "{a: [1, 'x']}"),
            ("é: |\n  two\n  lines\n", "{é: 'two\nlines\n'}"),
        ] {
            assert_eq!(shown(&read(0, text).unwrap()), value);
        }
    }

    #[test]
    fn unsupported_yaml_is_an_error_with_its_position() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]";
        for (text, offset, message) in [
            ("", 0, "empty"),
            ("a: [1", 5, "invalid YAML"),
            (bomb, 20, "no alias"),
            ("? [x]\n: 1", 2, "a string as the key"),
            (&deep, 64, "64 levels"),
            ("a: 1\n---\nb: 2\n", 8, "one YAML document"),
        ] {
            let (at, error) = read(0, text).unwrap_err();
            assert!(error.contains(message), "{error}");
            assert_eq!(at.min(offset), at, "{text}: {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_yaml_text_panics(text in "[\\-:\\[\\]{}!&*?|>'\"# \na-c0-9,.~%@`]{0,60}") {
            let _ = read(0, &text);
        }
    }
}
