//! Converts the output of `terraform show -json` to the tables of a TOML file, which uses
//! Terraform's names. Values of a plan that are known only after it is applied are found through
//! the references of its configuration; the address of a resource is then used as its id.

mod address;
mod expression;
mod instances;
mod references;
mod search;

use std::borrow::Cow;
use std::sync::Arc;

use self::references::{References, Resolution};
use super::collector::ProblemCollector;
use super::document::{Node, SourcePosition, Table, TableEntry, Value, join};
use super::filters::{FILTER, RULE};
use super::parameter_values::ParameterValues;
use super::resource::{Kind, Resource};
use super::resource_set::ResourceSet;
use super::resources::{NETWORK_INTERFACE, SESSION, TARGET};
use super::standalone_rules::StandaloneRule;

const TYPES: [(&str, TerraformType); 7] = [
    ("aws_ec2_traffic_mirror_filter", TerraformType::One(Kind::Filter)),
    ("aws_ec2_traffic_mirror_filter_rule", TerraformType::Rule),
    ("aws_ec2_traffic_mirror_target", TerraformType::One(Kind::Target)),
    ("aws_ec2_traffic_mirror_session", TerraformType::One(Kind::Session)),
    ("aws_network_interface", TerraformType::One(Kind::NetworkInterface)),
    (INSTANCE_TYPES[0], TerraformType::Instance),
    (INSTANCE_TYPES[1], TerraformType::Instance),
];

/// Types of instances. The address of an instance stands for its primary network interface.
const INSTANCE_TYPES: [&str; 2] = ["aws_instance", "aws_spot_instance_request"];

/// The maximum depth of modules.
const MAX_DEPTH: usize = 12;

#[derive(Clone, Copy)]
enum TerraformType {
    One(Kind),
    Rule,
    Instance,
}

/// Whether a document is a state or a plan of Terraform.
pub(super) fn is_state_or_plan(root: &Node<'_>) -> bool {
    let Value::Table(table) = &root.value else { return false };
    table.has("format_version")
}

/// Whether a document is a state file of Terraform, whose format is internal.
pub(super) fn is_state_file(root: &Node<'_>) -> bool {
    let Value::Table(table) = &root.value else { return false };
    table.has("terraform_version") && (table.has("lineage") || table.has("serial"))
}

/// Reports a state file.
pub(super) fn report_state_file(root: &Node<'_>, out: &mut ProblemCollector<'_>) {
    let file = out.text_name(root.position).to_owned();
    let message = format!(
        "expected what `terraform show -json` prints, got Terraform's state file: run `terraform \
         show -json {file} > state.json` and read state.json"
    );
    out.report_error(root.position, message);
}

/// Reads the resources of a state or a plan.
pub(super) fn read<'a>(
    root: &Node<'a>,
    supplied: &ParameterValues,
    into: &mut ResourceSet<'a>,
    out: &mut ProblemCollector<'_>,
) {
    let Value::Table(document) = &root.value else { return };
    out.use_toml_spelling(root.position);
    let values = document.table("planned_values").or_else(|| document.table("values"));
    if values.is_none() && !document.has("terraform_version") {
        // A state without resources has only the format version.
        return;
    }
    let Some(module) = values.and_then(|values| values.table("root_module")) else {
        return out.report_error(
            root.position,
            "expected what `terraform show -json` prints, with resources in values or \
             planned_values",
        );
    };
    let mut found = Vec::new();
    if !resources_of(module, &mut found, MAX_DEPTH) {
        out.report_error(root.position, format!("expected modules at most {MAX_DEPTH} deep"));
    }
    // Data sources that a plan has read are in its prior state only.
    let prior_values = document.table("prior_state").and_then(|state| state.table("values"));
    if let Some(module) = prior_values.and_then(|values| values.table("root_module")) {
        let mut prior = Vec::new();
        let _ = resources_of(module, &mut prior, MAX_DEPTH);
        found.extend(prior.into_iter().filter(|one| one.string("mode") == Some("data")));
    }
    let configuration = document.table("configuration");
    let mut references =
        References::new(configuration.and_then(|one| one.table("root_module")), supplied);
    for resource in &found {
        if let (Some(address), Some(id)) = (resource.string("address"), id_of(resource)) {
            references.put(address, id);
        }
    }
    let reader = StateReader { references, supplied };
    for resource in found {
        reader.read(resource, into, out);
    }
}

/// Collects the resources of a module and its child modules. Returns false if modules are too deep.
fn resources_of<'n, 'a>(
    module: &'n Table<'a>,
    into: &mut Vec<&'n Table<'a>>,
    depth_left: usize,
) -> bool {
    into.extend(module.tables("resources"));
    let mut children = module.tables("child_modules");
    match depth_left.checked_sub(1) {
        Some(depth_left) => {
            children.fold(true, |all, child| resources_of(child, into, depth_left) & all)
        }
        None => children.next().is_none(),
    }
}

/// The id of a resource if it is known, else its address.
fn id_of<'n>(resource: &'n Table<'_>) -> Option<&'n str> {
    let values = resource.table("values")?;
    let is_instance = resource.string("type").is_some_and(|kind| INSTANCE_TYPES.contains(&kind));
    let key = if is_instance { "primary_network_interface_id" } else { "id" };
    let known = values.string(key).filter(|id| !id.is_empty());
    known.or_else(|| resource.string("address"))
}

/// Arguments that refer to resources, so their values may be known only after a plan is applied.
const REFERENCE_ARGUMENTS: [&str; 5] = [
    "network_interface_id",
    "traffic_mirror_target_id",
    "traffic_mirror_filter_id",
    "network_load_balancer_arn",
    "gateway_load_balancer_endpoint_id",
];

/// Other arguments without which a resource is not understood. Values that are known only after a
/// plan is applied are errors.
const COMPUTED_ARGUMENTS: [&str; 9] = [
    "session_number",
    "packet_length",
    "virtual_network_id",
    "rule_number",
    "rule_action",
    "traffic_direction",
    "protocol",
    "source_cidr_block",
    "destination_cidr_block",
];

/// Arguments that are numbers.
const NUMBERS: [&str; 5] =
    ["session_number", "packet_length", "virtual_network_id", "rule_number", "protocol"];

struct StateReader<'n, 'a> {
    references: References<'n, 'a>,
    supplied: &'n ParameterValues,
}

/// A resource of the document. Messages name it by its address.
struct ResourceBlock<'n, 'a> {
    address: &'n TableEntry<'a>,
    path: Arc<str>,
    values: &'n Table<'a>,
}

impl<'n, 'a> StateReader<'n, 'a> {
    fn read(
        &self,
        resource: &'n Table<'a>,
        into: &mut ResourceSet<'a>,
        out: &mut ProblemCollector<'_>,
    ) {
        let kind = resource.string("type").unwrap_or_default();
        let Some((_, known_type)) = TYPES.iter().find(|(name, _)| *name == kind) else { return };
        let entries = resource.entry("values").zip(resource.entry("address"));
        let Some((entry, address)) = entries else { return };
        let Value::Table(values) = &entry.value.value else {
            return out.report_wrong_type(entry, &entry.value, "a table");
        };
        let (path, position) = (Arc::from(address.value.value.shown()), entry.value.position);
        let block = ResourceBlock { address, path, values };
        match *known_type {
            TerraformType::One(Kind::NetworkInterface) => {
                let mut table =
                    self.table(&block, Kind::NetworkInterface.id_key(), &NETWORK_INTERFACE, out);
                table.entries.extend(addresses(values, position));
                into.known_interfaces.push(Resource { position, table });
            }
            TerraformType::Instance => {
                let id =
                    values.entry("primary_network_interface_id").filter(|id| is_given(&id.value));
                let value = id.unwrap_or(block.address).value.clone();
                let id = block.entry(Kind::NetworkInterface.id_key(), value);
                let entries = [id].into_iter().chain(addresses(values, position)).collect();
                let table = Table { path: block.path.clone(), entries };
                into.known_interfaces.push(Resource { position, table });
            }
            TerraformType::One(kind) => {
                let keys: &[&'static str] = match kind {
                    Kind::Filter => &FILTER,
                    Kind::Target => &TARGET,
                    _ => &SESSION,
                };
                let table = self.table(&block, kind.id_key(), keys, out);
                into.imply_interface(&table);
                into.push(kind, Resource { position, table });
            }
            TerraformType::Rule => {
                let mut table = self.table(&block, "traffic_mirror_filter_rule_id", &RULE, out);
                if matches!(protocol_of(values), Some(Value::Integer(0))) {
                    ignore_ports(&mut table, out);
                }
                let filter = self.argument(&block, Kind::Filter.id_key(), out);
                let rule = StandaloneRule::of_filter(filter, position, table, out);
                into.standalone_rules.extend(rule);
            }
        }
    }

    /// The arguments that exist in a TOML file too, and the id.
    fn table(
        &self,
        block: &ResourceBlock<'n, 'a>,
        id_key: &'static str,
        keys: &[&'static str],
        out: &mut ProblemCollector<'_>,
    ) -> Table<'a> {
        let arguments = keys.iter().filter(|key| **key != id_key);
        let mut entries: Vec<TableEntry<'a>> =
            arguments.filter_map(|key| self.argument(block, key, out)).collect();
        let known = block.values.entry("id").filter(|id| is_given(&id.value));
        entries.push(block.entry(id_key, known.unwrap_or(block.address).value.clone()));
        Table { path: block.path.clone(), entries }
    }

    /// The value of an argument if it is set. If it is not known yet, the resource that the
    /// configuration refers to.
    fn argument(
        &self,
        block: &ResourceBlock<'n, 'a>,
        key: &'static str,
        out: &mut ProblemCollector<'_>,
    ) -> Option<TableEntry<'a>> {
        if let Some(entry) = block.values.entry(key) {
            return given_value(key, entry).map(|value| block.entry(key, value));
        }
        let Value::String(address) = &block.address.value.value else { return None };
        let position = block.address.value.position;
        let entry = |value: Value<'a>| block.entry(key, Node { position, value });
        let text = |text: String| entry(Value::String(Cow::Owned(text)));
        if let Some(given) = self.supplied.value(&format!("{address}.{key}")) {
            let number = given.parse().ok().filter(|_| NUMBERS.contains(&key));
            return Some(
                number
                    .map_or_else(|| text(given.to_owned()), |number| entry(Value::Integer(number))),
            );
        }
        let resolution = match REFERENCE_ARGUMENTS.contains(&key) {
            true => self.references.of(address, key),
            false if COMPUTED_ARGUMENTS.contains(&key) => {
                match self.references.is_computed(address, key) {
                    true => Resolution::Ambiguous("(known after apply)".to_owned()),
                    false => Resolution::Nothing,
                }
            }
            false => Resolution::Nothing,
        };
        match resolution {
            Resolution::Nothing => None,
            Resolution::One(id) => Some(text(id)),
            Resolution::Ambiguous(names) => {
                let entry = text(names.clone());
                let expected = match REFERENCE_ARGUMENTS.contains(&key) {
                    true => {
                        "references, variables and outputs that the plan resolves to one resource"
                    }
                    false => "a value that the plan contains",
                };
                let option = format!("--parameter '{address}.{key}=VALUE'");
                let expected = format!("{expected}, or {option}");
                out.report_invalid_and_omit(&entry, &entry.value, names, expected);
                None
            }
        }
    }
}

impl<'a> ResourceBlock<'_, 'a> {
    fn entry(&self, key: &'static str, mut value: Node<'a>) -> TableEntry<'a> {
        if let Value::Table(table) = &mut value.value {
            let path: Arc<str> = Arc::from(join(&self.path, key));
            table.entries.iter_mut().for_each(|entry| entry.parent = path.clone());
            table.path = path;
        }
        TableEntry {
            key: Cow::Borrowed(key),
            parent: self.path.clone(),
            position: value.position,
            value,
        }
    }
}

fn protocol_of<'n, 'a>(values: &'n Table<'a>) -> Option<&'n Value<'a>> {
    values.entry("protocol").map(|entry| &entry.value.value)
}

/// Removes the port ranges of a rule for all protocols, with a warning.
fn ignore_ports(rule: &mut Table<'_>, out: &mut ProblemCollector<'_>) {
    rule.entries.retain(|entry| {
        let is_range = entry.key.ends_with("port_range");
        if is_range {
            out.report_adjusted(entry, "ignored, because protocol 0 means all protocols".into());
        }
        !is_range
    });
}

fn is_given(node: &Node<'_>) -> bool {
    matches!(&node.value, Value::String(text) if !text.is_empty())
}

/// The value of an entry if it is set. Terraform prints an unset value as null, as an empty string
/// or list, or as zero for some numbers. It prints a block as a list with one table.
fn given_value<'a>(key: &str, entry: &TableEntry<'a>) -> Option<Node<'a>> {
    let is_number = matches!(key, "protocol" | "packet_length");
    match &entry.value.value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Integer(0) if is_number => None,
        Value::Array(items) if items.is_empty() => None,
        // A list of two blocks stays a list and is reported, because a table is expected.
        Value::Array(items) if key.ends_with("port_range") && items.len() == 1 => {
            items.first().cloned()
        }
        _ => Some(entry.value.clone()),
    }
}

/// Attributes of network interfaces and instances with private addresses.
const ADDRESS_LISTS: [&str; 6] = [
    "private_ip",
    "private_ip_list",
    "private_ips",
    "secondary_private_ips",
    "ipv6_address_list",
    "ipv6_addresses",
];

/// All private addresses, with the primary address first.
fn addresses<'a>(values: &Table<'a>, position: SourcePosition) -> Option<TableEntry<'a>> {
    let mut found: Vec<Node<'a>> = Vec::new();
    for key in ADDRESS_LISTS {
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
    let value = Node { position, value: Value::Array(found) };
    let parent = values.path.clone();
    Some(TableEntry { key: Cow::Borrowed("private_ip_addresses"), parent, position, value })
}
