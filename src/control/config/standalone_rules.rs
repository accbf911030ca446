//! Rules that the EC2 API lists outside their filters (`TrafficMirrorFilterRules`), and how they
//! are added to the filters.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::aws_parts::rule;
use super::collector::ProblemCollector;
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::resource::{Kind, Resource, indices_by_id};
use crate::control::nearest::expected_id;

const RULE_ID: &str = "traffic_mirror_filter_rule_id";

/// A rule with the id of its filter.
pub(super) struct StandaloneRule<'a> {
    filter: TableEntry<'a>,
    position: SourcePosition,
    table: Table<'a>,
}

impl<'a> StandaloneRule<'a> {
    /// Reads an object of `TrafficMirrorFilterRules`.
    pub(super) fn read(
        position: SourcePosition,
        object: &Table<'a>,
        out: &mut ProblemCollector<'_>,
    ) -> Option<Self> {
        let table = rule(position, object, None, out);
        let filter = object.entry("TrafficMirrorFilterId").cloned();
        Self::of_filter(filter, position, table, out)
    }

    /// The rule of a table, for the filter that the entry `filter` names.
    pub(super) fn of_filter(
        filter: Option<TableEntry<'a>>,
        position: SourcePosition,
        table: Table<'a>,
        out: &mut ProblemCollector<'_>,
    ) -> Option<Self> {
        let key = Kind::Filter.id_key();
        let Some(filter) = filter else {
            out.report_missing(key, &table.path, position, "the id of the filter it belongs to");
            return None;
        };
        let filter = TableEntry { key: Cow::Borrowed(key), ..filter };
        if !matches!(filter.value.value, Value::String(_)) {
            out.report_wrong_type(&filter, &filter.value, "a string");
            return None;
        }
        Some(Self { filter, position, table })
    }

    fn filter_id(&self) -> Cow<'a, str> {
        match &self.filter.value.value {
            Value::String(text) => text.clone(),
            _ => Cow::Borrowed(""),
        }
    }
}

/// Adds rules to the filters that they name. A rule whose id the filter already has is skipped: the
/// output of two describe calls contains it twice.
pub(super) fn join_rules<'a>(
    rules: Vec<StandaloneRule<'a>>,
    filters: &mut Vec<Resource<'a>>,
    toml: &[Resource<'a>],
    out: &mut ProblemCollector<'_>,
) {
    let mut indices = indices_by_id(Kind::Filter, filters);
    let in_toml = indices_by_id(Kind::Filter, toml);
    let embedded = embedded_ids(filters);
    for rule in rules {
        let filter = rule.filter_id();
        let index = match indices.get(&*filter) {
            Some(index) => *index,
            None if in_toml.contains_key(&*filter) => {
                indices.insert(filter.to_string(), filters.len());
                filters.push(empty_filter(&rule));
                filters.len() - 1
            }
            None => {
                report_unknown_filter(&rule, &indices, &in_toml, out);
                continue;
            }
        };
        let rule_id = rule.table.string(RULE_ID).unwrap_or_default();
        let is_known = embedded.get(&index).is_some_and(|ids| ids.contains(rule_id));
        if let Some(resource) = filters.get_mut(index).filter(|_| !is_known) {
            push_rule(resource, rule);
        }
    }
}

fn embedded_ids(filters: &[Resource<'_>]) -> HashMap<usize, HashSet<String>> {
    let mut ids: HashMap<usize, HashSet<String>> = HashMap::new();
    for (index, filter) in filters.iter().enumerate() {
        let Some(entry) = filter.table.entry("rule") else { continue };
        let Value::Array(rules) = &entry.value.value else { continue };
        let known = rules.iter().filter_map(|rule| match &rule.value {
            Value::Table(table) => table.string(RULE_ID).map(str::to_owned),
            _ => None,
        });
        ids.insert(index, known.collect());
    }
    ids
}

/// A filter whose JSON has only rules; a TOML file has its other fields.
fn empty_filter<'a>(rule: &StandaloneRule<'a>) -> Resource<'a> {
    let entries = vec![rule.filter.clone(), empty_rule_list(rule)];
    Resource { position: rule.position, table: Table { path: rule.table.path.clone(), entries } }
}

fn empty_rule_list<'a>(rule: &StandaloneRule<'a>) -> TableEntry<'a> {
    let (parent, position) = (rule.table.path.clone(), rule.position);
    let value = Node { position, value: Value::Array(Vec::new()) };
    TableEntry { key: Cow::Borrowed("rule"), parent, position, value }
}

fn push_rule<'a>(filter: &mut Resource<'a>, rule: StandaloneRule<'a>) {
    let entries = &mut filter.table.entries;
    if !entries.iter().any(|entry| entry.key == "rule") {
        entries.push(empty_rule_list(&rule));
    }
    let entry = entries.iter_mut().find(|entry| entry.key == "rule");
    if let Some(Value::Array(rules)) = entry.map(|entry| &mut entry.value.value) {
        rules.push(Node { position: rule.position, value: Value::Table(rule.table) });
    }
}

fn report_unknown_filter(
    rule: &StandaloneRule<'_>,
    indices: &HashMap<String, usize>,
    in_toml: &HashMap<String, usize>,
    out: &mut ProblemCollector<'_>,
) {
    if out.is_incomplete() {
        return;
    }
    let mut names: Vec<&str> = indices.keys().chain(in_toml.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let wanted = rule.filter_id();
    let expected = expected_id("filter", &wanted, names.iter().copied());
    out.report_invalid(&rule.filter, &rule.filter.value, wanted.to_string(), expected);
}
