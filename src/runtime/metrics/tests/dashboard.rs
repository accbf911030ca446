//! Checks that the Grafana dashboard uses only metrics and labels that exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::text::{ExpositionFormat, exposition};
use super::busy;
use super::exposition_parser::Samples;

/// Labels that Prometheus adds.
const FOREIGN_LABELS: [&str; 2] = ["instance", "job"];

/// Keywords of PromQL that precede a list of labels.
const GROUPINGS: [&str; 2] = ["by", "without"];

fn dashboard() -> Value {
    let text = include_str!("../../../../contrib/grafana/traffic-mirror.json");
    serde_json::from_str(text).unwrap()
}

/// Every object of the dashboard, at any depth.
fn objects(value: &Value) -> Vec<&Value> {
    let inside: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    let own = value.is_object().then_some(value);
    own.into_iter().chain(inside.into_iter().flat_map(objects)).collect()
}

/// The tokens of an expression: words, and single other characters, without `"text"` and `[range]`.
fn words(expression: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut closing, mut is_inside) = (None, false);
    for character in expression.chars() {
        let is_of_word = character.is_ascii_alphanumeric() || character == '_';
        match (closing, character) {
            (Some(end), _) if character == end => closing = None,
            (Some(_), _) => {}
            (None, '"') => closing = Some('"'),
            (None, '[') => closing = Some(']'),
            (None, _) if is_of_word && is_inside => words.last_mut().unwrap().push(character),
            (None, ' ') => {}
            (None, _) => words.push(character.to_string()),
        }
        is_inside = closing.is_none() && is_of_word;
    }
    words
}

/// The names of metrics and labels in an expression.
fn names(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let words = words(expression);
    let mut closing = None;
    for (at, word) in words.iter().enumerate() {
        let is_name = word.starts_with(|first: char| first.is_ascii_alphabetic());
        let next = words.get(at + 1).map(String::as_str);
        let is_function = next.is_some_and(|next| next == "(" || GROUPINGS.contains(&next));
        let is_after_grouping = at > 0 && GROUPINGS.contains(&words[at - 1].as_str());
        match word.as_str() {
            "{" => closing = Some("}"),
            "(" if is_after_grouping => closing = Some(")"),
            word if Some(word) == closing => closing = None,
            word if is_name && closing.is_some() => _ = labels.insert(word.to_owned()),
            word if is_name && !is_function && !GROUPINGS.contains(&word) => {
                metrics.insert(word.to_owned());
            }
            _ => {}
        }
    }
    (metrics, labels)
}

/// The labels in `{{label}} and so on`.
fn legend_labels(legend: &str) -> Vec<&str> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).collect()
}

/// The labels of each metric in the exposition.
fn exported_metrics() -> BTreeMap<String, BTreeSet<String>> {
    let text = exposition(&busy(), ExpositionFormat::OpenMetrics).unwrap();
    let mut exported = BTreeMap::<String, BTreeSet<String>>::new();
    for sample in Samples::read(&text).all() {
        exported.entry(sample.name.clone()).or_default().extend(sample.labels.keys().cloned());
    }
    exported
}

#[test]
fn every_metric_and_label_of_the_dashboard_is_exported() {
    let (dashboard, exported) = (dashboard(), exported_metrics());
    let mut queried = BTreeSet::new();
    for object in objects(&dashboard) {
        let Some(expression) = object.get("expr").and_then(Value::as_str) else { continue };
        let (metrics, mut labels) = names(expression);
        assert!(!metrics.is_empty(), "{expression}");
        let legend = object["legendFormat"].as_str().unwrap();
        labels.extend(legend_labels(legend).into_iter().map(str::to_owned));
        for metric in &metrics {
            let known = exported.get(metric).unwrap_or_else(|| panic!("no {metric}: {expression}"));
            let is_known = |l: &String| known.contains(l) || FOREIGN_LABELS.contains(&l.as_str());
            assert!(labels.iter().all(is_known), "{labels:?} of {metric}, which has {known:?}");
        }
        queried.extend(metrics);
    }
    // Every metric of the health of the mirror has a panel.
    for name in exported.keys() {
        let is_left_out = name.contains("_retired_")
            || ["ring_size_bytes", "config_reloads_total"].iter().any(|end| name.ends_with(end));
        assert!(queried.contains(name) || is_left_out, "no panel shows {name}");
    }
}

#[test]
fn the_expression_parser_finds_names_and_labels() {
    let expression = r#"sum by (a, b) (rate(one_total{c=~"$x", d!="two"}[5m])) - max(1e3 * three)"#;
    let (metrics, labels) = names(expression);
    assert_eq!(metrics.into_iter().collect::<Vec<_>>(), ["one_total", "three"]);
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(legend_labels("{{a}} of {{b}}"), ["a", "b"]);
}

#[test]
fn the_dashboard_takes_its_datasource_from_a_variable() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 38, "that of Grafana 10");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|one| one["type"] == "datasource" && one["name"] == "datasource"));
    for object in objects(&dashboard) {
        if let Some(source) = object.get("datasource") {
            assert_eq!(source["uid"], "${datasource}");
        }
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
}
