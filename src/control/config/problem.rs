//! An error or warning of a configuration: its location, field, value and the expected value.

use std::fmt;

use crate::model::TargetId;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The name of the file, as the user gave it.
    pub file: String,
    /// Line and column, both from 1, the column in characters; `None` for the whole file.
    pub line_and_column: Option<(usize, usize)>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Escaped(&self.file))?;
        match self.line_and_column {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// One error or warning.
///
/// Displayed on one line, such as
/// ``mirror.toml:12:17: packet_length `9000`: expected a number from 1 to 8500``.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The place in the file.
    pub location: Location,
    /// The path of the field, such as `traffic_mirror_session[2].packet_length`; empty if the
    /// problem has no field.
    pub path: String,
    /// The field, spelled as in the file: the end of `path`, preceded by the name of the resource
    /// in infrastructure code.
    pub field: String,
    /// The kind of the problem.
    pub kind: ProblemKind,
}

/// The kind of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The value is invalid.
    Value {
        /// The given value.
        value: String,
        /// The expected value.
        expected: String,
    },
    /// A required field is missing.
    Missing {
        /// The expected value.
        expected: String,
    },
    /// The field is unknown.
    UnknownKey {
        /// The expected fields, or the one that was probably meant.
        hint: String,
    },
    /// The value is used in a changed form.
    Adjusted {
        /// The given value.
        value: String,
        /// The value that is used, and why.
        note: String,
    },
    /// A target has no address.
    NoTargetAddress {
        /// The target.
        target: TargetId,
        /// What it names, and where its address can be given.
        hint: String,
    },
    /// A sentence about the whole file or resource.
    Note(String),
}

impl Problem {
    /// The target, if the problem is that a target has no address.
    #[must_use]
    pub const fn target_without_address(&self) -> Option<&TargetId> {
        match &self.kind {
            ProblemKind::NoTargetAddress { target, .. } => Some(target),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = Escaped(&self.field);
        write!(f, "{}: ", self.location)?;
        match &self.kind {
            ProblemKind::Value { value, expected } => {
                write!(f, "{field} `{}`: expected {}", Escaped(value), EscapedSentence(expected))
            }
            ProblemKind::Missing { expected } => {
                write!(f, "{field} is missing: expected {}", EscapedSentence(expected))
            }
            ProblemKind::UnknownKey { hint } => {
                write!(f, "unknown key `{field}`: {}", EscapedSentence(hint))
            }
            ProblemKind::Adjusted { value, note } => {
                write!(f, "{field} `{}`: {}", Escaped(value), EscapedSentence(note))
            }
            ProblemKind::NoTargetAddress { target, hint } => {
                let (target, hint) = (Escaped(target.as_str()), EscapedSentence(hint));
                write!(f, "target `{target}` has no address, so its copies are dropped: {hint}")
            }
            ProblemKind::Note(note) => write!(f, "{}", EscapedSentence(note)),
        }
    }
}

/// Text of a user on one line: control characters are escaped, and long text is truncated.
struct Escaped<'a>(&'a str);

/// The maximum length of a displayed value in characters.
const MAX_VALUE_CHARS: usize = 100;

/// The maximum length of a displayed sentence in characters: it may contain several values.
const MAX_SENTENCE_CHARS: usize = 1000;

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_one_line(self.0, MAX_VALUE_CHARS, f)
    }
}

/// A sentence on one line.
struct EscapedSentence<'a>(&'a str);

impl fmt::Display for EscapedSentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_one_line(self.0, MAX_SENTENCE_CHARS, f)
    }
}

fn on_one_line(text: &str, longest: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, character) in text.chars().enumerate() {
        if index == longest {
            return f.write_str("...");
        }
        if character.is_control() || is_bidi_control(character) {
            write!(f, "{}", character.escape_default())?;
        } else {
            fmt::Write::write_char(f, character)?;
        }
    }
    Ok(())
}

/// Whether a character changes the display order of the following text, which could disguise it.
const fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(value: &str) -> Problem {
        Problem {
            location: Location { file: "mirror.toml".into(), line_and_column: Some((12, 17)) },
            path: "traffic_mirror_session[0].packet_length".into(),
            field: "packet_length".into(),
            kind: ProblemKind::Value {
                value: value.into(),
                expected: "a number from 1 to 8500".into(),
            },
        }
    }

    #[test]
    fn a_problem_prints_file_line_column_key_value_and_expectation() {
        assert_eq!(
            problem("9000").to_string(),
            "mirror.toml:12:17: packet_length `9000`: expected a number from 1 to 8500"
        );
    }

    #[test]
    fn control_characters_of_values_are_escaped() {
        let text = problem("a\n\u{1b}[31m\u{202e}").to_string();
        assert!(text.contains("`a\\n\\u{1b}[31m\\u{202e}`"), "{text}");
        let long = problem(&"x".repeat(5000)).to_string();
        assert!(long.contains("xxx...`") && long.len() < 250, "{long}");
    }
}
