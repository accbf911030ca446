//! What is wrong with a configuration, or odd about it: where, which field, which value, what
//! would be right.

use std::fmt;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, both from 1, the column in characters; none where the whole file is meant.
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

/// One thing that is wrong, or odd.
///
/// Displayed on one line, such as
/// ``mirror.toml:12:17: packet_length `9000`: expected a number from 1 to 8500``.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Where.
    pub location: Location,
    /// The whole way to the field, such as `traffic_mirror_session[2].packet_length`; empty where
    /// no field is meant.
    pub path: String,
    /// The field, spelled as in the file: the end of `path`, behind the name of its resource where
    /// infrastructure code gives it one.
    pub field: String,
    /// What about it.
    pub kind: ProblemKind,
}

/// What is said about a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// Its value cannot be.
    Value {
        /// The value as it was given.
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// It has to be there and is not.
    Missing {
        /// What would have been right.
        expected: String,
    },
    /// Nobody knows such a field.
    UnknownKey {
        /// What would have been right.
        hint: String,
    },
    /// The value is taken, but not quite as it stands.
    Adjusted {
        /// The value as it was given.
        value: String,
        /// What became of it.
        note: String,
    },
    /// Something about the whole file or resource, as a sentence.
    Note(String),
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
            ProblemKind::Note(note) => write!(f, "{}", EscapedSentence(note)),
        }
    }
}

/// Text of a user on one line: control characters are written out, what is long is cut.
struct Escaped<'a>(&'a str);

/// Characters of a value that are shown.
const MAX_VALUE_CHARS: usize = 100;

/// Characters of a sentence that are shown: it may hold several values.
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

/// Characters that change the order of what follows and so could make a terminal lie.
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
