//! The texts of a configuration, and the line and column of each byte.

use std::borrow::Cow;

use super::document::SourcePosition;

/// The format of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The configuration file of this program.
    Toml,
    /// JSON: the output of the AWS CLI or an SDK, a CloudFormation template, or the output of
    /// `terraform show -json`.
    AwsJson,
    /// A CloudFormation template in YAML, of which JSON is a subset.
    Yaml,
}

impl Format {
    /// The format of a file: TOML for `.toml`, JSON for `.json`, YAML for `.yaml`, `.yml` and
    /// `.template`. Upper and lower case are equal. `None` for other names, such as `/dev/fd/63`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        match ending.as_deref() {
            Some("toml") => Some(Self::Toml),
            Some("json") => Some(Self::AwsJson),
            Some("yaml" | "yml" | "template") => Some(Self::Yaml),
            _ => None,
        }
    }

    /// The format of a text whose name does not determine it, from its first line: JSON starts with an object or a
    /// list of objects, YAML with `---` or `KEY:`; otherwise TOML.
    #[must_use]
    pub fn of_content(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let list = text.strip_prefix('[').map(str::trim_start);
        if text.starts_with('{') || list.is_some_and(|items| items.starts_with(['{', ']'])) {
            return Self::AwsJson;
        }
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
        let key = line.split('=').next().unwrap_or("");
        if line.starts_with("---") || (!key.starts_with('[') && key.contains(':')) {
            return Self::Yaml;
        }
        Self::Toml
    }
}

/// A text of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The name in messages, such as the path of a file.
    pub name: &'a str,
    /// The format.
    pub format: Format,
    /// The text itself. A byte order mark at its start is skipped.
    pub text: &'a str,
}

impl<'a> Text<'a> {
    /// A text in the format that the ending of its name implies, or that of its content if the
    /// ending is not known.
    #[must_use]
    pub fn new(name: &'a str, text: &'a str) -> Self {
        let format = Format::of_name(name).unwrap_or_else(|| Format::of_content(text));
        Self { name, format, text }
    }

    /// The same text without a byte order mark.
    pub(super) fn without_mark(self) -> Self {
        Self { text: self.text.strip_prefix('\u{feff}').unwrap_or(self.text), ..self }
    }
}

/// Texts with the offsets of their lines.
pub(super) struct Texts<'a> {
    texts: Vec<NamedText<'a>>,
}

struct NamedText<'a> {
    name: Cow<'a, str>,
    format: Format,
    text: Cow<'a, str>,
    line_starts: Vec<usize>,
}

impl<'a> Texts<'a> {
    /// Texts without byte order marks.
    pub(super) fn new(texts: &[Text<'a>]) -> Self {
        let named = texts.iter().map(|text| NamedText {
            name: Cow::Borrowed(text.name),
            format: text.format,
            text: Cow::Borrowed(text.text),
            line_starts: line_starts(text.text),
        });
        Self { texts: named.collect() }
    }

    /// Adds a text that another one names. Returns its index.
    pub(super) fn push(&mut self, name: String, format: Format, text: String) -> usize {
        let line_starts = line_starts(&text);
        let (name, text) = (Cow::Owned(name), Cow::Owned(text));
        self.texts.push(NamedText { name, format, text, line_starts });
        self.texts.len() - 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn name(&self, text: usize) -> &str {
        self.texts.get(text).map_or("", |text| &text.name)
    }

    pub(super) fn format(&self, text: usize) -> Format {
        self.texts.get(text).map_or(Format::Toml, |text| text.format)
    }

    /// The line of a position, from 1.
    pub(super) fn line(&self, position: SourcePosition) -> usize {
        let starts = self.texts.get(position.text).map_or(&[][..], |text| &text.line_starts);
        starts.partition_point(|start| *start <= position.offset).max(1)
    }

    fn line_start(&self, position: SourcePosition) -> usize {
        let text = self.texts.get(position.text);
        let index = self.line(position) - 1;
        text.and_then(|text| text.line_starts.get(index)).copied().unwrap_or(0)
    }

    /// Counts columns of positions in ascending order.
    pub(super) const fn columns(&self) -> ColumnCounter<'_, 'a> {
        ColumnCounter { texts: self, from: SourcePosition { text: 0, offset: 0 }, column: 1 }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
}

/// Counts columns from the previous position, so that many problems on one long line of JSON need
/// only one pass over the line.
pub(super) struct ColumnCounter<'t, 'a> {
    texts: &'t Texts<'a>,
    from: SourcePosition,
    column: usize,
}

impl ColumnCounter<'_, '_> {
    /// The column of `position` in characters, from 1.
    pub(super) fn next(&mut self, position: SourcePosition) -> usize {
        let start = SourcePosition { text: position.text, offset: self.texts.line_start(position) };
        if self.from < start || self.from > position {
            (self.from, self.column) = (start, 1);
        }
        let text = self.texts.texts.get(position.text).map_or("", |text| &text.text);
        let between = text.as_bytes().get(self.from.offset..position.offset).unwrap_or_default();
        // In UTF-8 each character has exactly one byte that is not a continuation byte.
        self.column += between.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        self.from = position;
        self.column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_selects_the_format() {
        for (name, format) in [
            ("mirror.toml", Some(Format::Toml)),
            ("a/b.JSON", Some(Format::AwsJson)),
            (".json", Some(Format::AwsJson)),
            ("json", None),
            ("é.json", Some(Format::AwsJson)),
            ("éééé", None),
            ("/dev/stdin", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
    }

    #[test]
    fn the_first_line_selects_the_format() {
        for (text, format) in [
            ("[[network_interface]]\n", Format::Toml),
            ("# a: comment\n[settings]", Format::Toml),
            ("settings.x = \"a:b\"", Format::Toml),
            ("", Format::Toml),
            ("\u{feff} {\"NetworkInterfaces\": []}", Format::AwsJson),
            ("[\n  {}]", Format::AwsJson),
            ("[]", Format::AwsJson),
            ("---\nResources:", Format::Yaml),
            ("# x\nAWSTemplateFormatVersion: '2010-09-09'", Format::Yaml),
        ] {
            assert_eq!(Format::of_content(text), format, "{text}");
        }
    }

    #[test]
    fn the_content_selects_the_format_if_the_name_does_not() {
        let json = "{\"NetworkInterfaces\": []}";
        for (name, text, format) in [
            ("aws.txt", json, Format::AwsJson),
            ("/dev/fd/63", "Resources:\n", Format::Yaml),
            ("mirror.conf", "[settings]\n", Format::Toml),
            ("mirror.toml", json, Format::Toml),
        ] {
            assert_eq!(Text::new(name, text).format, format, "{name}");
        }
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let source = "\u{feff}a = 1\r\né = \"ü\" # x\n";
        let texts = Texts::new(&[Text::new("a", ""), Text::new("b", source).without_mark()]);
        let at = |offset| SourcePosition { text: 1, offset };
        let mut columns = texts.columns();
        for (offset, line, column) in
            [(0, 1, 1), (4, 1, 5), (7, 2, 1), (9, 2, 2), (12, 2, 5), (21, 3, 1), (21, 3, 1)]
        {
            let position = at(offset);
            assert_eq!((texts.line(position), columns.next(position)), (line, column), "{offset}");
        }
        assert_eq!(texts.columns().next(at(12)), 5);
        assert_eq!(texts.columns().next(SourcePosition { text: 0, offset: 0 }), 1);
    }
}
