//! Collects errors and warnings while documents are read, and adds lines and columns at the end.
//!
//! After a syntax error a resource may seem to be missing or incomplete although it is in the file.
//! The collector therefore drops errors that a syntax error may have caused.

use std::collections::HashSet;

use super::document::{Node, SourcePosition, TableEntry, join};
use super::problem::{Location, Problem, ProblemKind};
use super::texts::{Format, Texts};
use crate::model::TargetId;

/// Fields that exist only in TOML files.
const NOT_IN_API: [&str; 5] = ["address", "addresses", "mtu", "device", "rate_limit"];

/// The errors and warnings found so far.
pub(super) struct ProblemCollector<'t> {
    texts: Texts<'t>,
    errors: Vec<PendingProblem>,
    warnings: Vec<PendingProblem>,
    /// Lines with a syntax error: the number of the text, and the line.
    damaged_lines: HashSet<(usize, usize)>,
    /// Whether a whole text could not be read.
    incomplete: bool,
    /// JSON texts that spell keys as TOML files do.
    terraform_texts: HashSet<usize>,
    /// Fields by text and path that were omitted after an error.
    reported: HashSet<(usize, String)>,
}

struct PendingProblem {
    position: SourcePosition,
    path: String,
    field: String,
    kind: ProblemKind,
    /// The position of the first value, for a duplicate.
    first: Option<SourcePosition>,
    /// Whether a syntax error may have caused it.
    is_doubtful: bool,
}

impl<'t> ProblemCollector<'t> {
    /// `incomplete` means that further texts could not be read.
    pub(super) fn new(texts: Texts<'t>, incomplete: bool) -> Self {
        let (errors, warnings, damaged_lines) = (Vec::new(), Vec::new(), HashSet::new());
        let (terraform_texts, reported) = (HashSet::new(), HashSet::new());
        Self { texts, errors, warnings, damaged_lines, incomplete, terraform_texts, reported }
    }

    /// Adds a text that another one names. Returns its index.
    pub(super) fn add_text(&mut self, name: String, format: Format, text: String) -> usize {
        self.texts.push(name, format, text)
    }

    /// The name of the text of `position`.
    pub(super) fn text_name(&self, position: SourcePosition) -> &str {
        self.texts.name(position.text)
    }

    /// The spelling of a key of the TOML schema in the text of `position`.
    pub(super) fn spelling(&self, key: &str, position: SourcePosition) -> String {
        match self.is_toml_spelling(position) || NOT_IN_API.contains(&key) {
            true => key.to_owned(),
            false => api_spelling(key),
        }
    }

    /// Whether the text of `position` has the names of TOML files, which are those of Terraform.
    pub(super) fn is_toml_spelling(&self, position: SourcePosition) -> bool {
        let is_toml = self.texts.format(position.text) == Format::Toml;
        is_toml || self.terraform_texts.contains(&position.text)
    }

    /// The name of a field in messages. In infrastructure code it starts with the name of the
    /// resource.
    fn with_resource(&self, field: String, path: &str, position: SourcePosition) -> String {
        if self.terraform_texts.contains(&position.text) {
            return path.to_owned();
        }
        match path.strip_prefix("Resources.") {
            Some(inside) => inside.replacen(".Properties.", ".", 1),
            None => field,
        }
    }

    /// Marks the text of `position` as Terraform's, which spells keys as TOML files do.
    pub(super) fn use_toml_spelling(&mut self, position: SourcePosition) {
        self.terraform_texts.insert(position.text);
    }

    /// The format of the text of `position`.
    pub(super) fn format(&self, position: SourcePosition) -> Format {
        self.texts.format(position.text)
    }

    /// Reports a syntax error. Other errors on the same line are not reported.
    pub(super) fn report_syntax_error(&mut self, position: SourcePosition, message: String) {
        if !self.damaged_lines.insert((position.text, self.texts.line(position))) {
            return;
        }
        let mut found = PendingProblem::without_field(position, ProblemKind::Note(message));
        found.is_doubtful = false;
        self.errors.push(found);
    }

    /// Whether the configuration has no text at all.
    pub(super) fn has_no_text(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether a part of the configuration could not be read, so that a resource that seems to be
    /// missing may exist.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete || !self.damaged_lines.is_empty()
    }

    /// Reports an error of a whole text or resource.
    pub(super) fn report_error(&mut self, position: SourcePosition, message: impl Into<String>) {
        let kind = ProblemKind::Note(message.into());
        self.errors.push(PendingProblem::without_field(position, kind));
    }

    /// Reports a warning about a whole text or resource.
    pub(super) fn report_warning(&mut self, position: SourcePosition, message: impl Into<String>) {
        let kind = ProblemKind::Note(message.into());
        self.warnings.push(PendingProblem::without_field(position, kind));
    }

    /// Reports a warning about a target without an address.
    pub(super) fn report_no_address(
        &mut self,
        position: SourcePosition,
        target: TargetId,
        hint: String,
    ) {
        let kind = ProblemKind::NoTargetAddress { target, hint };
        self.warnings.push(PendingProblem::without_field(position, kind));
    }

    /// Reports a warning that a value is used in a changed form.
    pub(super) fn report_adjusted(&mut self, entry: &TableEntry<'_>, note: String) {
        let value = entry.value.value.shown();
        let found =
            self.problem_about(entry, entry.value.position, ProblemKind::Adjusted { value, note });
        self.warnings.push(found);
    }

    /// Reports an invalid value.
    pub(super) fn report_invalid(
        &mut self,
        entry: &TableEntry<'_>,
        node: &Node<'_>,
        value: String,
        expected: impl Into<String>,
    ) {
        let kind = ProblemKind::Value { value, expected: expected.into() };
        let found = self.problem_about(entry, node.position, kind);
        self.errors.push(found);
    }

    /// Reports an invalid value that is omitted, so that it is not reported as missing later.
    pub(super) fn report_invalid_and_omit(
        &mut self,
        entry: &TableEntry<'_>,
        node: &Node<'_>,
        value: String,
        expected: String,
    ) {
        self.report_invalid(entry, node, value, expected);
        let path = join(&entry.parent, &entry.key);
        self.reported.insert((node.position.text, path));
    }

    /// Reports a value of the wrong type.
    pub(super) fn report_wrong_type(
        &mut self,
        entry: &TableEntry<'_>,
        node: &Node<'_>,
        expected: &str,
    ) {
        let expected = format!("{expected}, got {}", node.value.kind());
        self.report_invalid(entry, node, node.value.shown(), expected);
    }

    /// Reports a value that is already given at `first`.
    pub(super) fn report_duplicate(
        &mut self,
        entry: &TableEntry<'_>,
        expected: impl Into<String>,
        first: SourcePosition,
    ) {
        let value = entry.value.value.shown();
        let kind = ProblemKind::Value { value, expected: expected.into() };
        let mut found = self.problem_about(entry, entry.value.position, kind);
        found.first = Some(first);
        self.errors.push(found);
    }

    /// Reports a required key that is missing in the table at `path`.
    pub(super) fn report_missing(
        &mut self,
        key: &str,
        path: &str,
        position: SourcePosition,
        expected: &str,
    ) {
        if self.is_omitted(key, path, position) {
            return;
        }
        let field = self.spelling(key, position);
        let path = join(path, &field);
        let field = self.with_resource(field, &path, position);
        let kind = ProblemKind::Missing { expected: expected.to_owned() };
        self.errors.push(PendingProblem {
            position,
            path,
            field,
            kind,
            first: None,
            is_doubtful: true,
        });
    }

    /// Whether the key was given in the table at `path`, but was omitted after an error.
    pub(super) fn is_omitted(&self, key: &str, path: &str, position: SourcePosition) -> bool {
        let path = join(path, &self.spelling(key, position));
        self.reported.contains(&(position.text, path))
    }

    /// Whether there is an error.
    pub(super) const fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Reports an unknown key.
    pub(super) fn report_unknown_key(&mut self, entry: &TableEntry<'_>, hint: String) {
        let kind = ProblemKind::UnknownKey { hint };
        let found = self.problem_about(entry, entry.position, kind);
        self.errors.push(found);
    }

    fn problem_about(
        &self,
        entry: &TableEntry<'_>,
        position: SourcePosition,
        kind: ProblemKind,
    ) -> PendingProblem {
        let field = self.spelling(&entry.key, position);
        let path = join(&entry.parent, &field);
        let field = self.with_resource(field, &path, position);
        PendingProblem { position, path, field, kind, first: None, is_doubtful: true }
    }

    /// Returns all errors and all warnings, each in the order of the texts.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let is_incomplete = self.is_incomplete();
        let Self { texts, mut errors, mut warnings, damaged_lines, .. } = self;
        if is_incomplete {
            let damaged_texts = damaged_lines.iter().map(|(text, _)| *text).collect();
            errors.retain(|found| found.is_certain(&texts, &damaged_lines, &damaged_texts));
            warnings.clear();
        }
        (resolve(&texts, errors), resolve(&texts, warnings))
    }
}

impl PendingProblem {
    fn without_field(position: SourcePosition, kind: ProblemKind) -> Self {
        let (path, field) = (String::new(), String::new());
        Self { position, path, field, kind, first: None, is_doubtful: true }
    }

    /// Whether no syntax error of its text can have caused it.
    fn is_certain(
        &self,
        texts: &Texts<'_>,
        damaged_lines: &HashSet<(usize, usize)>,
        damaged_texts: &HashSet<usize>,
    ) -> bool {
        let text = self.position.text;
        if !self.is_doubtful || !damaged_texts.contains(&text) {
            return true;
        }
        let is_missing = matches!(self.kind, ProblemKind::Missing { .. });
        !is_missing && !damaged_lines.contains(&(text, texts.line(self.position)))
    }
}

fn resolve(texts: &Texts<'_>, mut found: Vec<PendingProblem>) -> Vec<Problem> {
    found.sort_by_key(|found| found.position);
    let mut columns = texts.columns();
    let problems = found.into_iter().map(|found| {
        let PendingProblem { position, path, field, mut kind, first, .. } = found;
        if let (Some(first), ProblemKind::Value { expected, .. }) = (first, &mut kind) {
            let (name, line) = (texts.name(first.text), texts.line(first));
            expected.push_str(&format!(", but it is already given in {name}:{line}"));
        }
        let line_and_column = Some((texts.line(position), columns.next(position)));
        let file = texts.name(position.text).to_owned();
        Problem { location: Location { file, line_and_column }, path, field, kind }
    });
    let mut problems: Vec<Problem> = problems.collect();
    problems.dedup();
    problems
}

/// The spelling of a key in the EC2 API: `packet_length` becomes `PacketLength`.
pub(super) fn api_spelling(key: &str) -> String {
    let mut spelled = String::with_capacity(key.len());
    for word in key.split('_') {
        let mut letters = word.chars();
        spelled.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        spelled.push_str(letters.as_str());
    }
    spelled
}
