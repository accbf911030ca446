//! Collects what is wrong while documents are read, and puts lines and columns to it at the end.

use std::collections::HashSet;

use super::document::{Entry, Node, Place, join};
use super::problem::{Complaint, Location, Problem};
use super::texts::{Format, Texts};

/// Fields that only a TOML file can have.
const NOT_IN_API: [&str; 5] = ["address", "addresses", "mtu", "device", "rate_limit"];

/// What was found so far.
pub(super) struct Collector<'t> {
    texts: &'t Texts<'t>,
    errors: Vec<Found>,
    warnings: Vec<Found>,
    /// Texts and their lines that are damaged.
    damage: HashSet<(usize, usize)>,
    /// Whether a whole text is not there.
    incomplete: bool,
    /// Texts in the shape of the API whose names are those of TOML.
    of_terraform: HashSet<usize>,
    /// Fields by text and path that were left out because they cannot be.
    refused: HashSet<(usize, String)>,
}

struct Found {
    place: Place,
    path: String,
    field: String,
    complaint: Complaint,
    /// Where the same thing was given first.
    first: Option<Place>,
    /// Whether it may come of damage to the text.
    is_doubtful: bool,
}

impl<'t> Collector<'t> {
    /// `incomplete` says that there are more texts, which could not be read.
    pub(super) fn new(texts: &'t Texts<'t>, incomplete: bool) -> Self {
        let (errors, warnings, damage) = (Vec::new(), Vec::new(), HashSet::new());
        let (of_terraform, refused) = (HashSet::new(), HashSet::new());
        Self { texts, errors, warnings, damage, incomplete, of_terraform, refused }
    }

    /// How a key of the TOML schema is spelled in the text of `place`.
    pub(super) fn spelled(&self, key: &str, place: Place) -> String {
        let is_api = self.texts.format(place.text) != Format::Toml;
        let is_spelled = is_api && !self.of_terraform.contains(&place.text);
        match is_spelled && !NOT_IN_API.contains(&key) {
            true => api_spelling(key),
            false => key.to_owned(),
        }
    }

    /// The field as it is shown: behind the name of its resource in infrastructure code, where that
    /// is how users know it.
    fn with_resource(&self, field: String, path: &str, place: Place) -> String {
        if self.of_terraform.contains(&place.text) {
            return path.to_owned();
        }
        match path.strip_prefix("Resources.") {
            Some(inside) => inside.replacen(".Properties.", ".", 1),
            None => field,
        }
    }

    /// The text of `place` is Terraform's, whose names are those of TOML.
    pub(super) fn spells_as_toml(&mut self, place: Place) {
        self.of_terraform.insert(place.text);
    }

    /// What the text of `place` is written in.
    pub(super) fn format(&self, place: Place) -> Format {
        self.texts.format(place.text)
    }

    /// The text is broken there. What else is found wrong on that line is not told.
    pub(super) fn damaged(&mut self, place: Place, message: String) {
        if !self.damage.insert((place.text, self.texts.line(place))) {
            return;
        }
        let mut found = Found::without_field(place, Complaint::Note(message));
        found.is_doubtful = false;
        self.errors.push(found);
    }

    /// Whether there is no text at all, so that nothing can be said about one.
    pub(super) fn is_without_text(&self) -> bool {
        self.texts.iter().next().is_none()
    }

    /// Whether a part of the configuration could not be read at all, so that what seems to be
    /// missing may well be there.
    pub(super) fn is_damaged(&self) -> bool {
        self.incomplete || !self.damage.is_empty()
    }

    /// Something about a whole text or resource is wrong.
    pub(super) fn wrong(&mut self, place: Place, message: impl Into<String>) {
        let complaint = Complaint::Note(message.into());
        self.errors.push(Found::without_field(place, complaint));
    }

    /// Something about a whole text or resource is odd.
    pub(super) fn odd(&mut self, place: Place, message: impl Into<String>) {
        let complaint = Complaint::Note(message.into());
        self.warnings.push(Found::without_field(place, complaint));
    }

    /// A value is taken, but not as it stands.
    pub(super) fn taken(&mut self, entry: &Entry<'_>, note: String) {
        let value = entry.value.value.shown();
        let found = self.about(entry, entry.value.place, Complaint::Taken { value, note });
        self.warnings.push(found);
    }

    /// A value cannot be.
    pub(super) fn refuse(
        &mut self,
        entry: &Entry<'_>,
        node: &Node<'_>,
        value: String,
        expected: impl Into<String>,
    ) {
        let complaint = Complaint::Value { value, expected: expected.into() };
        let found = self.about(entry, node.place, complaint);
        self.errors.push(found);
    }

    /// A value cannot be, and will not be found where it is looked for.
    pub(super) fn refuse_and_leave_out(
        &mut self,
        entry: &Entry<'_>,
        node: &Node<'_>,
        value: String,
        expected: String,
    ) {
        self.refuse(entry, node, value, expected);
        let path = join(&entry.parent, &entry.key);
        self.refused.insert((node.place.text, path));
    }

    /// A value is of the wrong type.
    pub(super) fn refuse_type(&mut self, entry: &Entry<'_>, node: &Node<'_>, expected: &str) {
        let expected = format!("{expected}, got {}", node.value.kind());
        self.refuse(entry, node, node.value.shown(), expected);
    }

    /// A value was given before, at `first`.
    pub(super) fn refuse_repeated(
        &mut self,
        entry: &Entry<'_>,
        expected: impl Into<String>,
        first: Place,
    ) {
        let value = entry.value.value.shown();
        let complaint = Complaint::Value { value, expected: expected.into() };
        let mut found = self.about(entry, entry.value.place, complaint);
        found.first = Some(first);
        self.errors.push(found);
    }

    /// A key has to be in the table at `path` and is not.
    pub(super) fn missing(&mut self, key: &str, path: &str, place: Place, expected: &str) {
        let field = self.spelled(key, place);
        let path = join(path, &field);
        if self.refused.contains(&(place.text, path.clone())) {
            // It was there, and has been complained about.
            return;
        }
        let field = self.with_resource(field, &path, place);
        let complaint = Complaint::Missing { expected: expected.to_owned() };
        self.errors.push(Found { place, path, field, complaint, first: None, is_doubtful: true });
    }

    /// Nobody knows that key.
    pub(super) fn unknown(&mut self, entry: &Entry<'_>, hint: String) {
        let complaint = Complaint::UnknownKey { hint };
        let found = self.about(entry, entry.place, complaint);
        self.errors.push(found);
    }

    fn about(&self, entry: &Entry<'_>, place: Place, complaint: Complaint) -> Found {
        let field = self.spelled(&entry.key, place);
        let path = join(&entry.parent, &field);
        let field = self.with_resource(field, &path, place);
        Found { place, path, field, complaint, first: None, is_doubtful: true }
    }

    /// All errors and all warnings, each in the order of the texts.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let is_damaged = self.is_damaged();
        let Self { texts, mut errors, mut warnings, damage, .. } = self;
        if is_damaged {
            let damaged_texts = damage.iter().map(|(text, _)| *text).collect();
            errors.retain(|found| found.is_sure(texts, &damage, &damaged_texts));
            warnings.clear();
        }
        (resolve(texts, errors), resolve(texts, warnings))
    }
}

impl Found {
    fn without_field(place: Place, complaint: Complaint) -> Self {
        let (path, field) = (String::new(), String::new());
        Self { place, path, field, complaint, first: None, is_doubtful: true }
    }

    /// Whether it is none of the consequences of damage to its text.
    fn is_sure(
        &self,
        texts: &Texts<'_>,
        damage: &HashSet<(usize, usize)>,
        damaged_texts: &HashSet<usize>,
    ) -> bool {
        let text = self.place.text;
        if !self.is_doubtful || !damaged_texts.contains(&text) {
            return true;
        }
        let is_missing = matches!(self.complaint, Complaint::Missing { .. });
        !is_missing && !damage.contains(&(text, texts.line(self.place)))
    }
}

fn resolve(texts: &Texts<'_>, mut found: Vec<Found>) -> Vec<Problem> {
    found.sort_by_key(|found| found.place);
    let mut columns = texts.columns();
    let problems = found.into_iter().map(|found| {
        let Found { place, path, field, mut complaint, first, .. } = found;
        if let (Some(first), Complaint::Value { expected, .. }) = (first, &mut complaint) {
            let (name, line) = (texts.name(first.text), texts.line(first));
            expected.push_str(&format!(", but it is given before, in {name}:{line}"));
        }
        let line_and_column = Some((texts.line(place), columns.next(place)));
        let file = texts.name(place.text).to_owned();
        Problem { location: Location { file, line_and_column }, path, field, complaint }
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
