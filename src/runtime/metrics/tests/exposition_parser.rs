//! Parses an exposition as Prometheus does, as far as the tests need it.

use std::collections::BTreeMap;

/// Samples by name and labels.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Sample>);

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Samples {
    /// Panics if the text is invalid or contains a sample twice.
    pub(super) fn read(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let sample = read_sample(line);
            let known = samples.0.iter();
            let twice = known.filter(|one| one.name == sample.name && one.labels == sample.labels);
            assert_eq!(twice.count(), 0, "twice: {line}");
            samples.0.push(sample);
        }
        samples
    }

    pub(super) fn all(&self) -> &[Sample] {
        &self.0
    }

    /// The sum of all samples of a name; panics if there is none.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, &[])
    }

    /// The same sum over the samples with these labels.
    pub(super) fn sum_where(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            let same =
                |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|is| is == value);
            sample.name == name && labels.iter().all(same)
        };
        let found: Vec<f64> = self.0.iter().filter(has).map(|sample| sample.value).collect();
        assert!(!found.is_empty(), "no {name} with {labels:?}");
        found.iter().sum()
    }
}

fn read_sample(line: &str) -> Sample {
    let (head, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
    assert!(name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_'), "{line}");
    let labels = read_labels(labels.strip_suffix('}').unwrap());
    Sample { name: name.to_owned(), labels, value: value.parse().unwrap() }
}

/// `a="b",c="d\"e"`
fn read_labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((key, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(key.trim_start_matches(',').to_owned(), value).is_none());
        text = rest.split_at(end + 1).1;
    }
    assert_eq!(text, "");
    labels
}
