//! What `terraform show -json` prints of a state or a plan, put into the shape of a TOML file,
//! whose names are Terraform's own. What is not known before it is applied is found by the
//! references of the configuration; there a resource's address stands for its id.

use std::borrow::Cow;
use std::collections::HashMap;

use super::collector::Collector;
use super::document::{Entry, Node, Place, Table, Value};
use super::filters::{FILTER, RULE};
use super::loose_rules::LooseRule;
use super::resource::{Kind, Resource, Resources};
use super::resources::{NETWORK_INTERFACE, SESSION, TARGET};

const TYPES: [(&str, What); 5] = [
    ("aws_ec2_traffic_mirror_filter", What::One(Kind::Filter)),
    ("aws_ec2_traffic_mirror_filter_rule", What::Rule),
    ("aws_ec2_traffic_mirror_target", What::One(Kind::Target)),
    ("aws_ec2_traffic_mirror_session", What::One(Kind::Session)),
    ("aws_network_interface", What::One(Kind::NetworkInterface)),
];

/// Deeper modules are not read.
const DEEPEST: usize = 12;

#[derive(Clone, Copy)]
enum What {
    One(Kind),
    Rule,
}

/// Whether a document is of Terraform: its state, or a plan.
pub(super) fn is_state_or_plan(root: &Node<'_>) -> bool {
    let Value::Table(table) = &root.value else { return false };
    table.has("format_version") && table.has("terraform_version")
}

/// Takes the resources of a state or a plan.
pub(super) fn take<'a>(root: &Node<'a>, into: &mut Resources<'a>, out: &mut Collector<'_>) {
    let Value::Table(document) = &root.value else { return };
    out.spells_as_toml(root.place);
    let values = table_in(document, "planned_values").or_else(|| table_in(document, "values"));
    let Some(module) = values.and_then(|values| table_in(values, "root_module")) else {
        return out.wrong(
            root.place,
            "expected what `terraform show -json` prints, with resources in values or \
             planned_values",
        );
    };
    let mut found = Vec::new();
    resources_of(module, &mut found, DEEPEST);
    // What a plan has looked up is not in what it plans.
    let before = table_in(document, "prior_state").and_then(|state| table_in(state, "values"));
    if let Some(module) = before.and_then(|values| table_in(values, "root_module")) {
        let mut earlier = Vec::new();
        resources_of(module, &mut earlier, DEEPEST);
        found.extend(earlier.into_iter().filter(|one| one.string("mode") == Some("data")));
    }
    let configuration =
        table_in(document, "configuration").and_then(|one| table_in(one, "root_module"));
    let mut references = HashMap::new();
    if let Some(configuration) = configuration {
        references_of(configuration, "", &mut references, DEEPEST);
    }
    let ids = found.iter().filter_map(|one| Some((one.string("address")?, id_of(one)?)));
    let known = Known { ids: ids.collect(), references };
    for resource in found {
        known.take(resource, into, out);
    }
}

fn table_in<'n, 'a>(table: &'n Table<'a>, key: &str) -> Option<&'n Table<'a>> {
    match &table.entry(key)?.value.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

fn tables_in<'n, 'a>(table: &'n Table<'a>, key: &str) -> impl Iterator<Item = &'n Table<'a>> {
    let items = match table.entry(key).map(|entry| &entry.value.value) {
        Some(Value::Array(items)) => &**items,
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.value {
        Value::Table(table) => Some(table),
        _ => None,
    })
}

fn resources_of<'n, 'a>(module: &'n Table<'a>, into: &mut Vec<&'n Table<'a>>, left: usize) {
    into.extend(tables_in(module, "resources"));
    if left > 0 {
        tables_in(module, "child_modules").for_each(|child| resources_of(child, into, left - 1));
    }
}

/// The id where it is known, else the address.
fn id_of<'n>(resource: &'n Table<'_>) -> Option<&'n str> {
    let values = table_in(resource, "values")?;
    let known = values.string("id").filter(|id| !id.is_empty());
    known.or_else(|| resource.string("address"))
}

/// By resource and argument: the resource that it refers to.
type References<'n> = HashMap<(String, &'n str), String>;

fn references_of<'n>(module: &'n Table<'_>, prefix: &str, into: &mut References<'n>, left: usize) {
    for resource in tables_in(module, "resources") {
        let Some(address) = resource.string("address") else { continue };
        let Some(expressions) = table_in(resource, "expressions") else { continue };
        for argument in &expressions.entries {
            let Value::Table(expression) = &argument.value.value else { continue };
            // The last one is the resource without its attribute.
            let Some(Value::Array(names)) =
                expression.entry("references").map(|entry| &entry.value.value)
            else {
                continue;
            };
            let Some(name) = names.last().map(|name| name.value.shown()) else { continue };
            into.insert((format!("{prefix}{address}"), &argument.key), format!("{prefix}{name}"));
        }
    }
    let Some(calls) = table_in(module, "module_calls").filter(|_| left > 0) else { return };
    for call in &calls.entries {
        let Value::Table(body) = &call.value.value else { continue };
        if let Some(inner) = table_in(body, "module") {
            let prefix = format!("{prefix}module.{}.", call.key);
            references_of(inner, &prefix, into, left - 1);
        }
    }
}

struct Known<'n> {
    ids: HashMap<&'n str, &'n str>,
    references: References<'n>,
}

impl Known<'_> {
    fn take<'a>(&self, resource: &Table<'a>, into: &mut Resources<'a>, out: &mut Collector<'_>) {
        let kind = resource.string("type").unwrap_or_default();
        let Some((_, what)) = TYPES.iter().find(|(name, _)| *name == kind) else { return };
        let Some(entry) = resource.entry("values") else { return };
        let Value::Table(values) = &entry.value.value else {
            return out.refuse_type(entry, &entry.value, "a table");
        };
        let place = entry.value.place;
        let of_kind =
            |kind: Kind, keys: &[&'static str]| self.table(resource, values, (kind.id_key(), keys));
        match *what {
            What::One(Kind::NetworkInterface) => {
                let mut table = of_kind(Kind::NetworkInterface, &NETWORK_INTERFACE);
                table.entries.extend(addresses(values, place));
                into.known_interfaces.push(Resource { place, table });
            }
            What::One(kind) => {
                let keys: &[&'static str] = match kind {
                    Kind::Filter => &FILTER,
                    Kind::Target => &TARGET,
                    _ => &SESSION,
                };
                let table = of_kind(kind, keys);
                into.imply_interface(&table);
                into.push(kind, Resource { place, table });
            }
            What::Rule => {
                let id = ("traffic_mirror_filter_rule_id", &RULE[..]);
                let table = self.table(resource, values, id);
                let filter = self.argument(resource, values, Kind::Filter.id_key());
                let rule = LooseRule::of_filter(filter, place, table, out);
                into.loose_rules.extend(rule);
            }
        }
    }

    /// The arguments that a TOML file has too, and the id.
    fn table<'a>(
        &self,
        resource: &Table<'a>,
        values: &Table<'a>,
        (id_key, keys): (&'static str, &[&'static str]),
    ) -> Table<'a> {
        let arguments = keys.iter().filter(|key| **key != id_key);
        let mut entries: Vec<Entry<'a>> =
            arguments.filter_map(|key| self.argument(resource, values, key)).collect();
        let from = values.entry("id").or_else(|| resource.entry("address"));
        if let (Some(from), Some(id)) = (from, id_of(resource)) {
            let value = Value::String(id.to_owned().into());
            let value = Node { place: from.value.place, value };
            entries.push(Entry { key: Cow::Borrowed(id_key), value, ..from.clone() });
        }
        Table { path: values.path.clone(), entries }
    }

    /// What stands in the values if it says anything, else what the configuration refers to.
    fn argument<'a>(
        &self,
        resource: &Table<'a>,
        values: &Table<'a>,
        key: &str,
    ) -> Option<Entry<'a>> {
        if let Some(entry) = values.entry(key).and_then(|entry| said(key, entry)) {
            return Some(entry);
        }
        let address = resource.string("address")?;
        let (bare, _) = address.rsplit_once('[').unwrap_or((address, ""));
        let name = self.references.get(&(bare.to_owned(), key))?;
        let id = self.ids.get(&**name).copied().unwrap_or(name);
        let from = resource.entry("address")?;
        let value = Node { place: from.value.place, value: Value::String(id.to_owned().into()) };
        Some(Entry {
            key: key.to_owned().into(),
            parent: values.path.clone(),
            place: from.place,
            value,
        })
    }
}

/// Terraform prints what is not set as null, as an empty text or list, or as zero, where zero means
/// nothing; a block comes in a list.
fn said<'a>(key: &str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let is_number = matches!(key, "protocol" | "packet_length");
    let value = match &entry.value.value {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::Integer(0) if is_number => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) if key.ends_with("port_range") => items.first()?.clone(),
        _ => entry.value.clone(),
    };
    Some(Entry { value, ..entry.clone() })
}

/// The primary address first.
fn addresses<'a>(values: &Table<'a>, place: Place) -> Option<Entry<'a>> {
    let mut found: Vec<Node<'a>> = Vec::new();
    for key in
        ["private_ip", "private_ip_list", "private_ips", "ipv6_address_list", "ipv6_addresses"]
    {
        let nodes = match values.entry(key).map(|entry| &entry.value) {
            Some(Node { value: Value::Array(items), .. }) => items.clone(),
            Some(node @ Node { value: Value::String(text), .. }) if !text.is_empty() => {
                vec![node.clone()]
            }
            _ => Vec::new(),
        };
        for node in nodes {
            if !found.iter().any(|known| known.value.shown() == node.value.shown()) {
                found.push(node);
            }
        }
    }
    let value = Node { place, value: Value::Array(found) };
    let parent = values.path.clone();
    Some(Entry { key: Cow::Borrowed("private_ip_addresses"), parent, place, value })
}
