//! Reads texts, merges their tables, and adds the resources to a registry.

use std::collections::HashMap;
use std::sync::Arc;

use super::collector::ProblemCollector;
use super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::fields::{Fields, tables_of};
use super::file_text::file_problem;
use super::filters::{FILTER, RuleIds, filter};
use super::parameter_values::ParameterValues;
use super::parsed_config::ParsedConfig;
use super::problem::Problem;
use super::refused::RefusedResources;
use super::resource::{Kind, Resource};
use super::resource_set::ResourceSet;
use super::resources::{
    NETWORK_INTERFACE, SESSION, SETTINGS, TARGET, TARGET_KINDS, UNKNOWN_ADDRESS, network_interface,
    session, settings, target,
};
use super::template_files::TemplateFiles;
use super::texts::{Format, Text, Texts};
use super::warnings::{ResourcePositions, warn};
use super::{aws, cloudformation, json_text, terraform, toml_text, yaml_text};
use crate::control::Registry;
use crate::model::{InvalidValue, NetworkInterfaceId, SessionNumber, Settings, TargetKind};

const ROOT: [&str; 5] = [
    "settings",
    "network_interface",
    "traffic_mirror_target",
    "traffic_mirror_filter",
    "traffic_mirror_session",
];

/// Reads texts as one configuration. `incomplete` means that further texts could not be read.
pub(super) fn read(
    texts: &[Text<'_>],
    incomplete: bool,
    values: &ParameterValues,
    files: &TemplateFiles,
) -> ParsedConfig {
    let texts: Vec<Text<'_>> = texts.iter().map(|text| text.without_mark()).collect();
    let mut out = ProblemCollector::new(Texts::new(&texts), incomplete);
    let mut tables = ConfigTables::default();
    for (number, text) in texts.iter().enumerate() {
        match text.format {
            Format::Toml => tables.read_toml(number, text.text, &mut out),
            Format::AwsJson => {
                let root = json_text::read(number, text.text);
                tables.read_tree(number, root, values, &mut out);
            }
            Format::Yaml => {
                let root = yaml_text::read(number, text.text);
                tables.read_tree(number, root, values, &mut out);
            }
        }
    }
    let templates = std::mem::take(&mut tables.templates);
    cloudformation::read(templates, (values, files), &mut tables.aws, &mut out);
    let registry = tables.into_registry(&mut out);
    let (problems, mut warnings) = out.finish();
    if problems.is_empty() {
        warnings.extend(values.unused().into_iter().map(unused_value));
    }
    ParsedConfig { registry: problems.is_empty().then_some(registry), problems, warnings }
}

/// The warning about a supplied value that no file uses.
fn unused_value(name: &str) -> Problem {
    let message = format!(
        "`{name}` is not used: no template or plan has a parameter or value of \
                           this name"
    );
    file_problem("--parameter".to_owned(), None, message)
}

/// The tables of the texts, before they are merged.
#[derive(Default)]
struct ConfigTables<'a> {
    settings: Vec<TableEntry<'a>>,
    settings_position: Option<SourcePosition>,
    toml: ResourceSet<'a>,
    aws: ResourceSet<'a>,
    templates: Vec<Node<'a>>,
}

impl<'a> ConfigTables<'a> {
    fn read_tree(
        &mut self,
        text: usize,
        root: Result<Node<'a>, (usize, String)>,
        values: &ParameterValues,
        out: &mut ProblemCollector<'_>,
    ) {
        match root {
            Ok(root) if cloudformation::is_template(&root) => self.templates.push(root),
            Ok(root) if terraform::is_state_or_plan(&root) => {
                terraform::read(&root, values, &mut self.aws, out);
            }
            Ok(root) if terraform::is_state_file(&root) => terraform::report_state_file(&root, out),
            Ok(root) => aws::read(root, &mut self.aws, out),
            Err((offset, message)) => {
                out.report_syntax_error(SourcePosition { text, offset }, message);
            }
        }
    }

    fn read_toml(&mut self, text: usize, source: &'a str, out: &mut ProblemCollector<'_>) {
        let (root, errors) = toml_text::read(text, source);
        if let (false, Some(message)) = (errors.is_empty(), other_format_error(source)) {
            let start = SourcePosition { text, offset: 0 };
            return out.report_syntax_error(start, message.to_owned());
        }
        for (offset, message) in errors {
            out.report_syntax_error(SourcePosition { text, offset }, message);
        }
        let start = SourcePosition { text, offset: 0 };
        let mut fields = Fields::new(&root, start, &ROOT, out);
        if let Some((entry, table)) = fields.table("settings") {
            self.settings_position.get_or_insert(entry.value.position);
            self.settings.extend(table.entries.iter().cloned());
        }
        for mut entry in root.entries {
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.key() == entry.key) else {
                continue;
            };
            // Reports values that are not tables.
            tables_of(&entry, out);
            let Value::Array(items) = std::mem::replace(&mut entry.value.value, Value::Null) else {
                continue;
            };
            for Node { position, value } in items {
                if let Value::Table(table) = value {
                    self.toml.push(kind, Resource { position, table });
                }
            }
        }
    }

    fn into_registry(mut self, out: &mut ProblemCollector<'_>) -> Registry {
        let mut registry = Registry::default();
        let mut positions = ResourcePositions::default();
        let mut refused = RefusedResources::default();
        if let Some(position) = self.settings_position {
            *registry.settings_mut() = self.settings(position, out);
        }
        for resource in self.merged(Kind::NetworkInterface, out) {
            let mut fields = resource.fields(&NETWORK_INTERFACE, out);
            if let Some(interface) = network_interface(&mut fields)
                && added(registry.add_network_interface(interface), &mut fields)
            {
                positions.network_interfaces.push(resource.position);
            } else {
                refused.insert(Kind::NetworkInterface, &resource);
            }
        }
        for resource in self.merged(Kind::Target, out) {
            let mut fields = resource.fields(&TARGET, out);
            if add_target(&mut registry, &mut fields) {
                positions.targets.push(resource.position);
            } else {
                refused.insert(Kind::Target, &resource);
            }
        }
        let mut rule_ids = RuleIds::new();
        for resource in self.merged(Kind::Filter, out) {
            let mut fields = resource.fields(&FILTER, out);
            if let Some(filter) = filter(&mut fields, &mut rule_ids)
                && added(registry.add_filter(filter), &mut fields)
            {
                positions.filters.push(resource.position);
            } else {
                refused.insert(Kind::Filter, &resource);
            }
        }
        let mut numbers = Numbers::new();
        for resource in self.merged(Kind::Session, out) {
            let mut fields = resource.fields(&SESSION, out);
            if add_session(&mut registry, &mut numbers, &refused, &mut fields) {
                positions.sessions.push(resource.position);
            }
        }
        // Without the resources that are refused, others would seem to be unused.
        if !out.has_errors() {
            warn(&registry, &positions, out);
        }
        registry
    }

    fn merged(&mut self, kind: Kind, out: &mut ProblemCollector<'_>) -> Vec<Resource<'a>> {
        ResourceSet::merged(kind, &mut self.aws, &mut self.toml, out)
    }

    /// The settings of all files. Reports a setting that is given twice.
    fn settings(&mut self, position: SourcePosition, out: &mut ProblemCollector<'_>) -> Settings {
        let mut known: HashMap<String, SourcePosition> = HashMap::new();
        let mut entries = std::mem::take(&mut self.settings);
        entries.retain(|entry| match known.get(&*entry.key) {
            Some(first) => {
                out.report_duplicate(entry, "one value in all files", *first);
                false
            }
            None => {
                known.insert(entry.key.to_string(), entry.value.position);
                true
            }
        });
        let table = Table { path: Arc::from("settings"), entries };
        settings(&mut Fields::new(&table, position, &SETTINGS, out))
    }
}

/// The error of a text that is not TOML but JSON or YAML. Every line of it would be an error.
fn other_format_error(source: &str) -> Option<&'static str> {
    match Format::of_content(source) {
        Format::Toml => None,
        Format::AwsJson => {
            Some("expected TOML, but the content is JSON: give the file a name that ends in .json")
        }
        Format::Yaml => Some(
            "expected TOML, but the first line is YAML: give a CloudFormation template a name that \
             ends in .yaml",
        ),
    }
}

/// The position of each session number of an interface.
type Numbers = HashMap<(NetworkInterfaceId, SessionNumber), SourcePosition>;

/// Whether a resource was added; reports the error if it was not.
fn added(result: Result<(), InvalidValue>, fields: &mut Fields<'_, '_, '_, '_>) -> bool {
    match result {
        Ok(()) => true,
        Err(invalid) => {
            fields.report_invalid(invalid);
            false
        }
    }
}

/// Reads a target and adds it. Returns whether it was added.
fn add_target(registry: &mut Registry, fields: &mut Fields<'_, '_, '_, '_>) -> bool {
    let Some(mut target) = target(fields) else { return false };
    if target.kind == TargetKind::Address && target.address.is_none() {
        let is_omitted = TARGET_KINDS.iter().any(|key| fields.is_omitted(key));
        if !fields.out.is_incomplete()
            && !is_omitted
            && let Err(mut invalid) = registry.add_target(target.clone())
        {
            if fields.out.format(fields.position()) != Format::Toml {
                let place = ", in a [[traffic_mirror_target]] of this id in a TOML file";
                invalid.expected.push_str(place);
            }
            fields.report_invalid(invalid);
        }
        // The part of the file that could not be read may have the address.
        target.address = Some(UNKNOWN_ADDRESS);
    }
    added(registry.add_target(target), fields)
}

/// Reads a session and adds it, or reports every wrong reference, except those to `refused`
/// resources. Returns whether it was added.
fn add_session(
    registry: &mut Registry,
    numbers: &mut Numbers,
    refused: &RefusedResources,
    fields: &mut Fields<'_, '_, '_, '_>,
) -> bool {
    let draft = session(fields);
    let position = fields.entry("session_number").map(|entry| entry.value.position);
    if let (Some(interface), Some(number), Some(position)) =
        (&draft.network_interface, draft.number, position)
    {
        let first = *numbers.entry((interface.clone(), number)).or_insert(position);
        if let Some(entry) = fields.entry("session_number").filter(|_| first != position) {
            let expected = format!("a number that no other session of `{interface}` has");
            fields.out.report_duplicate(entry, expected, first);
            return false;
        }
    }
    if let Some(session) = draft.to_session()
        && registry.add_session(session).is_ok()
    {
        return true;
    }
    if !fields.out.is_incomplete() {
        let is_refused = |kind, id: &str| refused.may_contain(kind, id);
        let errors = registry.reference_errors(
            draft
                .network_interface
                .as_ref()
                .filter(|id| !is_refused(Kind::NetworkInterface, id.as_str())),
            draft.target.as_ref().filter(|id| !is_refused(Kind::Target, id.as_str())),
            draft.filter.as_ref().filter(|id| !is_refused(Kind::Filter, id.as_str())),
        );
        errors.into_iter().for_each(|invalid| fields.report_invalid(invalid));
    }
    false
}
