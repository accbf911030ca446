//! Collects what is wrong while documents are read, and puts lines and columns to it at the end.

use std::collections::HashSet;

use super::document::{Node, SourcePosition, TableEntry, join};
use super::problem::{Location, Problem, ProblemKind};
use super::texts::{Format, Texts};

/// Fields that only a TOML file can have.
const NOT_IN_API: [&str; 5] = ["address", "addresses", "mtu", "device", "rate_limit"];

/// What was found so far.
pub(super) struct ProblemCollector<'t> {
    texts: &'t Texts<'t>,
    errors: Vec<PendingProblem>,
    warnings: Vec<PendingProblem>,
    /// Texts and their lines that are damaged.
    damaged_lines: HashSet<(usize, usize)>,
    /// Whether a whole text is not there.
    incomplete: bool,
    /// Texts in the shape of the API whose names are those of TOML.
    terraform_texts: HashSet<usize>,
    /// Fields by text and path that were left out because they cannot be.
    reported: HashSet<(usize, String)>,
}

struct PendingProblem {
    position: SourcePosition,
    path: String,
    field: String,
    kind: ProblemKind,
    /// Where the same thing was given first.
    first: Option<SourcePosition>,
    /// Whether it may come of damage to the text.
    is_doubtful: bool,
}

impl<'t> ProblemCollector<'t> {
    /// `incomplete` says that there are more texts, which could not be read.
    pub(super) fn new(texts: &'t Texts<'t>, incomplete: bool) -> Self {
        let (errors, warnings, damaged_lines) = (Vec::new(), Vec::new(), HashSet::new());
        let (terraform_texts, reported) = (HashSet::new(), HashSet::new());
        Self { texts, errors, warnings, damaged_lines, incomplete, terraform_texts, reported }
    }

    /// How a key of the TOML schema is spelled in the text of `position`.
    pub(super) fn spelling(&self, key: &str, position: SourcePosition) -> String {
        let is_api = self.texts.format(position.text) != Format::Toml;
        let is_spelled = is_api && !self.terraform_texts.contains(&position.text);
        match is_spelled && !NOT_IN_API.contains(&key) {
            true => api_spelling(key),
            false => key.to_owned(),
        }
    }

    /// The field as it is shown: behind the name of its resource in infrastructure code, where that
    /// is how users know it.
    fn with_resource(&self, field: String, path: &str, position: SourcePosition) -> String {
        if self.terraform_texts.contains(&position.text) {
            return path.to_owned();
        }
        match path.strip_prefix("Resources.") {
            Some(inside) => inside.replacen(".Properties.", ".", 1),
            None => field,
        }
    }

    /// The text of `position` is Terraform's, whose names are those of TOML.
    pub(super) fn use_toml_spelling(&mut self, position: SourcePosition) {
        self.terraform_texts.insert(position.text);
    }

    /// What the text of `position` is written in.
    pub(super) fn format(&self, position: SourcePosition) -> Format {
        self.texts.format(position.text)
    }

    /// The text is broken there. What else is found wrong on that line is not told.
    pub(super) fn report_syntax_error(&mut self, position: SourcePosition, message: String) {
        if !self.damaged_lines.insert((position.text, self.texts.line(position))) {
            return;
        }
        let mut found = PendingProblem::without_field(position, ProblemKind::Note(message));
        found.is_doubtful = false;
        self.errors.push(found);
    }

    /// Whether there is no text at all, so that nothing can be said about one.
    pub(super) fn has_no_text(&self) -> bool {
        self.texts.iter().next().is_none()
    }

    /// Whether a part of the configuration could not be read at all, so that what seems to be
    /// missing may well be there.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete || !self.damaged_lines.is_empty()
    }

    /// Something about a whole text or resource is wrong.
    pub(super) fn report_error(&mut self, position: SourcePosition, message: impl Into<String>) {
        let kind = ProblemKind::Note(message.into());
        self.errors.push(PendingProblem::without_field(position, kind));
    }

    /// Something about a whole text or resource is odd.
    pub(super) fn report_warning(&mut self, position: SourcePosition, message: impl Into<String>) {
        let kind = ProblemKind::Note(message.into());
        self.warnings.push(PendingProblem::without_field(position, kind));
    }

    /// A value is taken, but not as it stands.
    pub(super) fn report_adjusted(&mut self, entry: &TableEntry<'_>, note: String) {
        let value = entry.value.value.shown();
        let found =
            self.problem_about(entry, entry.value.position, ProblemKind::Adjusted { value, note });
        self.warnings.push(found);
    }

    /// A value cannot be.
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

    /// A value cannot be, and will not be found where it is looked for.
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

    /// A value is of the wrong type.
    pub(super) fn report_wrong_type(
        &mut self,
        entry: &TableEntry<'_>,
        node: &Node<'_>,
        expected: &str,
    ) {
        let expected = format!("{expected}, got {}", node.value.kind());
        self.report_invalid(entry, node, node.value.shown(), expected);
    }

    /// A value was given before, at `first`.
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

    /// A key has to be in the table at `path` and is not.
    pub(super) fn report_missing(
        &mut self,
        key: &str,
        path: &str,
        position: SourcePosition,
        expected: &str,
    ) {
        let field = self.spelling(key, position);
        let path = join(path, &field);
        if self.reported.contains(&(position.text, path.clone())) {
            // It was there, and has been complained about.
            return;
        }
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

    /// Nobody knows that key.
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

    /// All errors and all warnings, each in the order of the texts.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let is_incomplete = self.is_incomplete();
        let Self { texts, mut errors, mut warnings, damaged_lines, .. } = self;
        if is_incomplete {
            let damaged_texts = damaged_lines.iter().map(|(text, _)| *text).collect();
            errors.retain(|found| found.is_certain(texts, &damaged_lines, &damaged_texts));
            warnings.clear();
        }
        (resolve(texts, errors), resolve(texts, warnings))
    }
}

impl PendingProblem {
    fn without_field(position: SourcePosition, kind: ProblemKind) -> Self {
        let (path, field) = (String::new(), String::new());
        Self { position, path, field, kind, first: None, is_doubtful: true }
    }

    /// Whether it is none of the consequences of damage to its text.
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
            expected.push_str(&format!(", but it is given before, in {name}:{line}"));
        }
        let line_and_column = Some((texts.line(position), columns.next(position)));
        let file = texts.name(position.text).to_owned();
        Problem { location: Location { file, line_and_column }, path, field, kind }
    });
    let mut problems: Vec<Problem> = problems.collect();
    problems.dedup();
    problems
}

/// `packet_length` is `PacketLength` in the EC2 API, and so are all the others.
pub(super) fn api_spelling(key: &str) -> String {
    let mut spelled = String::with_capacity(key.len());
    for word in key.split('_') {
        let mut letters = word.chars();
        spelled.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        spelled.push_str(letters.as_str());
    }
    spelled
}
