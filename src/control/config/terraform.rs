//! What `terraform show -json` prints of a state or a plan, put into the shape of a TOML file,
//! whose names are Terraform's own. What is not known before it is applied is found by the
//! references of the configuration; there a resource's address stands for its id.

use std::borrow::Cow;
use std::sync::Arc;

use super::collector::Collector;
use super::document::{Entry, Node, Place, Table, Value, join};
use super::filters::{FILTER, RULE};
use super::loose_rules::LooseRule;
use super::references::{References, Referred};
use super::resource::{Kind, Resource, Resources};
use super::resources::{NETWORK_INTERFACE, SESSION, TARGET};

const TYPES: [(&str, What); 5] = [
    ("aws_ec2_traffic_mirror_filter", What::One(Kind::Filter)),
    ("aws_ec2_traffic_mirror_filter_rule", What::Rule),
    ("aws_ec2_traffic_mirror_target", What::One(Kind::Target)),
    ("aws_ec2_traffic_mirror_session", What::One(Kind::Session)),
    ("aws_network_interface", What::One(Kind::NetworkInterface)),
];

/// Deeper modules are refused.
const DEEPEST: usize = 12;

#[derive(Clone, Copy)]
enum What {
    One(Kind),
    Rule,
}

/// Whether a document is of Terraform: its state, or a plan.
pub(super) fn is_state_or_plan(root: &Node<'_>) -> bool {
    let Value::Table(table) = &root.value else { return false };
    table.has("format_version")
}

/// Takes the resources of a state or a plan.
pub(super) fn take<'a>(root: &Node<'a>, into: &mut Resources<'a>, out: &mut Collector<'_>) {
    let Value::Table(document) = &root.value else { return };
    out.spells_as_toml(root.place);
    let values = table_in(document, "planned_values").or_else(|| table_in(document, "values"));
    if values.is_none() && !document.has("terraform_version") {
        // That is all that is printed of a state without resources.
        return;
    }
    let Some(module) = values.and_then(|values| table_in(values, "root_module")) else {
        return out.wrong(
            root.place,
            "expected what `terraform show -json` prints, with resources in values or \
             planned_values",
        );
    };
    let mut found = Vec::new();
    if !resources_of(module, &mut found, DEEPEST) {
        out.wrong(root.place, format!("expected modules at most {DEEPEST} deep"));
    }
    // What a plan has looked up is not in what it plans.
    let before = table_in(document, "prior_state").and_then(|state| table_in(state, "values"));
    if let Some(module) = before.and_then(|values| table_in(values, "root_module")) {
        let mut earlier = Vec::new();
        let _ = resources_of(module, &mut earlier, DEEPEST);
        found.extend(earlier.into_iter().filter(|one| one.string("mode") == Some("data")));
    }
    let configuration = table_in(document, "configuration");
    let mut references =
        References::new(configuration.and_then(|one| table_in(one, "root_module")));
    for resource in &found {
        if let (Some(address), Some(id)) = (resource.string("address"), id_of(resource)) {
            references.put(address, id);
        }
    }
    let reader = Reader { references };
    for resource in found {
        reader.take(resource, into, out);
    }
}

/// The table of that key.
pub(super) fn table_in<'n, 'a>(table: &'n Table<'a>, key: &str) -> Option<&'n Table<'a>> {
    match &table.entry(key)?.value.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// The tables in the list of that key.
pub(super) fn tables_in<'n, 'a>(
    table: &'n Table<'a>,
    key: &str,
) -> impl Iterator<Item = &'n Table<'a>> {
    let items = match table.entry(key).map(|entry| &entry.value.value) {
        Some(Value::Array(items)) => &**items,
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.value {
        Value::Table(table) => Some(table),
        _ => None,
    })
}

/// Collects the resources of a module and those below it; whether all modules were read.
fn resources_of<'n, 'a>(module: &'n Table<'a>, into: &mut Vec<&'n Table<'a>>, left: usize) -> bool {
    into.extend(tables_in(module, "resources"));
    let mut children = tables_in(module, "child_modules");
    match left.checked_sub(1) {
        Some(left) => children.fold(true, |all, child| resources_of(child, into, left) & all),
        None => children.next().is_none(),
    }
}

/// The id where it is known, else the address.
fn id_of<'n>(resource: &'n Table<'_>) -> Option<&'n str> {
    let values = table_in(resource, "values")?;
    let known = values.string("id").filter(|id| !id.is_empty());
    known.or_else(|| resource.string("address"))
}

/// Arguments that name resources, and so may be known only when a plan is applied.
const NAMES: [&str; 5] = [
    "network_interface_id",
    "traffic_mirror_target_id",
    "traffic_mirror_filter_id",
    "network_load_balancer_arn",
    "gateway_load_balancer_endpoint_id",
];

struct Reader<'n, 'a> {
    references: References<'n, 'a>,
}

/// A resource of the document: its address is how its users know it.
struct Block<'n, 'a> {
    address: &'n Entry<'a>,
    path: Arc<str>,
    values: &'n Table<'a>,
}

impl<'n, 'a> Reader<'n, 'a> {
    fn take(&self, resource: &'n Table<'a>, into: &mut Resources<'a>, out: &mut Collector<'_>) {
        let kind = resource.string("type").unwrap_or_default();
        let Some((_, what)) = TYPES.iter().find(|(name, _)| *name == kind) else { return };
        let entries = resource.entry("values").zip(resource.entry("address"));
        let Some((entry, address)) = entries else { return };
        let Value::Table(values) = &entry.value.value else {
            return out.refuse_type(entry, &entry.value, "a table");
        };
        let (path, place) = (Arc::from(address.value.value.shown()), entry.value.place);
        let block = Block { address, path, values };
        match *what {
            What::One(Kind::NetworkInterface) => {
                let mut table =
                    self.table(&block, Kind::NetworkInterface.id_key(), &NETWORK_INTERFACE, out);
                table.entries.extend(addresses(values, place));
                into.known_interfaces.push(Resource { place, table });
            }
            What::One(kind) => {
                let keys: &[&'static str] = match kind {
                    Kind::Filter => &FILTER,
                    Kind::Target => &TARGET,
                    _ => &SESSION,
                };
                let table = self.table(&block, kind.id_key(), keys, out);
                into.imply_interface(&table);
                into.push(kind, Resource { place, table });
            }
            What::Rule => {
                let table = self.table(&block, "traffic_mirror_filter_rule_id", &RULE, out);
                let filter = self.argument(&block, Kind::Filter.id_key(), out);
                let rule = LooseRule::of_filter(filter, place, table, out);
                into.loose_rules.extend(rule);
            }
        }
    }

    /// The arguments that a TOML file has too, and the id.
    fn table(
        &self,
        block: &Block<'n, 'a>,
        id_key: &'static str,
        keys: &[&'static str],
        out: &mut Collector<'_>,
    ) -> Table<'a> {
        let arguments = keys.iter().filter(|key| **key != id_key);
        let mut entries: Vec<Entry<'a>> =
            arguments.filter_map(|key| self.argument(block, key, out)).collect();
        let known = block.values.entry("id");
        let known =
            known.filter(|id| matches!(&id.value.value, Value::String(id) if !id.is_empty()));
        entries.push(block.entry(id_key, known.unwrap_or(block.address).value.clone()));
        Table { path: block.path.clone(), entries }
    }

    /// What stands in the values if it says anything; where it is not known yet, what the
    /// configuration refers to.
    fn argument(
        &self,
        block: &Block<'n, 'a>,
        key: &'static str,
        out: &mut Collector<'_>,
    ) -> Option<Entry<'a>> {
        if let Some(entry) = block.values.entry(key) {
            return said(key, entry).map(|value| block.entry(key, value));
        }
        let Value::String(address) = &block.address.value.value else { return None };
        if !NAMES.contains(&key) {
            return None;
        }
        let place = block.address.value.place;
        let entry =
            |text: String| block.entry(key, Node { place, value: Value::String(text.into()) });
        match self.references.of(address, key) {
            Referred::Nothing => None,
            Referred::One(id) => Some(entry(id)),
            Referred::Unclear(names) => {
                let entry = entry(names.clone());
                let expected = "one resource that the plan tells, by its references, variables and \
                                outputs";
                out.refuse_and_leave_out(&entry, &entry.value, names, expected.to_owned());
                None
            }
        }
    }
}

impl<'a> Block<'_, 'a> {
    fn entry(&self, key: &'static str, mut value: Node<'a>) -> Entry<'a> {
        if let Value::Table(table) = &mut value.value {
            let path: Arc<str> = Arc::from(join(&self.path, key));
            table.entries.iter_mut().for_each(|entry| entry.parent = path.clone());
            table.path = path;
        }
        Entry { key: Cow::Borrowed(key), parent: self.path.clone(), place: value.place, value }
    }
}

/// Terraform prints what is not set as null, as an empty text or list, or as zero, where zero means
/// nothing; a block comes in a list.
fn said<'a>(key: &str, entry: &Entry<'a>) -> Option<Node<'a>> {
    let is_number = matches!(key, "protocol" | "packet_length");
    match &entry.value.value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Integer(0) if is_number => None,
        Value::Array(items) if items.is_empty() => None,
        // A second block is not dropped: the list is refused where a table is expected.
        Value::Array(items) if key.ends_with("port_range") && items.len() == 1 => {
            items.first().cloned()
        }
        _ => Some(entry.value.clone()),
    }
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
