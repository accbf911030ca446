//! Rules of the EC2 API that are printed outside their filter (`TrafficMirrorFilterRules`), and
//! how they come into it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::aws_parts::rule;
use super::collector::Collector;
use super::document::{Entry, Node, Place, Table, Value};
use super::resource::{Kind, Resource, places_of};
use crate::control::nearest::one_of;

const RULE_ID: &str = "traffic_mirror_filter_rule_id";

/// A rule that names its filter.
pub(super) struct LooseRule<'a> {
    filter: Entry<'a>,
    place: Place,
    table: Table<'a>,
}

impl<'a> LooseRule<'a> {
    /// Reads an object of `TrafficMirrorFilterRules`.
    pub(super) fn read(place: Place, object: &Table<'a>, out: &mut Collector<'_>) -> Option<Self> {
        let table = rule(place, object, None, out);
        let filter = object.entry("TrafficMirrorFilterId").cloned();
        Self::of_filter(filter, place, table, out)
    }

    /// The rule of a table, of the filter that the entry names.
    pub(super) fn of_filter(
        filter: Option<Entry<'a>>,
        place: Place,
        table: Table<'a>,
        out: &mut Collector<'_>,
    ) -> Option<Self> {
        let key = Kind::Filter.id_key();
        let Some(filter) = filter else {
            out.missing(key, &table.path, place, "the id of the filter it belongs to");
            return None;
        };
        let filter = Entry { key: Cow::Borrowed(key), ..filter };
        if !matches!(filter.value.value, Value::String(_)) {
            out.refuse_type(&filter, &filter.value, "a string");
            return None;
        }
        Some(Self { filter, place, table })
    }

    fn filter_id(&self) -> Cow<'a, str> {
        match &self.filter.value.value {
            Value::String(text) => text.clone(),
            _ => Cow::Borrowed(""),
        }
    }
}

/// Puts rules into the filters that they name. One that the filter has already, by its id, was
/// printed twice and is taken once.
pub(super) fn join_rules<'a>(
    rules: Vec<LooseRule<'a>>,
    filters: &mut Vec<Resource<'a>>,
    toml: &[Resource<'a>],
    out: &mut Collector<'_>,
) {
    let mut places = places_of(Kind::Filter, filters);
    let in_toml = places_of(Kind::Filter, toml);
    let embedded = embedded_ids(filters);
    for rule in rules {
        let filter = rule.filter_id();
        let place = match places.get(&*filter) {
            Some(place) => *place,
            None if in_toml.contains_key(&*filter) => {
                places.insert(filter.to_string(), filters.len());
                filters.push(stub(&rule));
                filters.len() - 1
            }
            None => {
                refuse_dangling(&rule, &places, &in_toml, out);
                continue;
            }
        };
        let rule_id = rule.table.string(RULE_ID).unwrap_or_default();
        let is_known = embedded.get(&place).is_some_and(|ids| ids.contains(rule_id));
        if let Some(resource) = filters.get_mut(place).filter(|_| !is_known) {
            push_rule(resource, rule);
        }
    }
}

fn embedded_ids(filters: &[Resource<'_>]) -> HashMap<usize, HashSet<String>> {
    let mut ids: HashMap<usize, HashSet<String>> = HashMap::new();
    for (place, filter) in filters.iter().enumerate() {
        let Some(entry) = filter.table.entry("rule") else { continue };
        let Value::Array(rules) = &entry.value.value else { continue };
        let known = rules.iter().filter_map(|rule| match &rule.value {
            Value::Table(table) => table.string(RULE_ID).map(str::to_owned),
            _ => None,
        });
        ids.insert(place, known.collect());
    }
    ids
}

/// A filter of which JSON knows only rules; a TOML file has the rest.
fn stub<'a>(rule: &LooseRule<'a>) -> Resource<'a> {
    let entries = vec![rule.filter.clone(), no_rules(rule)];
    Resource { place: rule.place, table: Table { path: rule.table.path.clone(), entries } }
}

fn no_rules<'a>(rule: &LooseRule<'a>) -> Entry<'a> {
    let (parent, place) = (rule.table.path.clone(), rule.place);
    let value = Node { place, value: Value::Array(Vec::new()) };
    Entry { key: Cow::Borrowed("rule"), parent, place, value }
}

fn push_rule<'a>(filter: &mut Resource<'a>, rule: LooseRule<'a>) {
    let entries = &mut filter.table.entries;
    if !entries.iter().any(|entry| entry.key == "rule") {
        entries.push(no_rules(&rule));
    }
    let entry = entries.iter_mut().find(|entry| entry.key == "rule");
    if let Some(Value::Array(rules)) = entry.map(|entry| &mut entry.value.value) {
        rules.push(Node { place: rule.place, value: Value::Table(rule.table) });
    }
}

fn refuse_dangling(
    rule: &LooseRule<'_>,
    places: &HashMap<String, usize>,
    in_toml: &HashMap<String, usize>,
    out: &mut Collector<'_>,
) {
    if out.is_damaged() {
        return;
    }
    let mut names: Vec<&str> = places.keys().chain(in_toml.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let wanted = rule.filter_id();
    let expected = one_of("filter", &wanted, names.iter().copied());
    out.refuse(&rule.filter, &rule.filter.value, wanted.to_string(), expected);
}
