//! From texts to a registry.

use std::collections::HashMap;
use std::sync::Arc;

use super::collector::Collector;
use super::document::{Entry, Node, Place, Table, Value};
use super::fields::{Fields, tables_of};
use super::filters::{FILTER, filter};
use super::resource::{Kind, Resource, Resources};
use super::resources::{
    NETWORK_INTERFACE, SESSION, SETTINGS, TARGET, UNKNOWN_ADDRESS, network_interface, session,
    settings, target,
};
use super::texts::{Format, Text, Texts};
use super::warnings::{Seen, warn};
use super::{Outcome, aws, cloudformation, json_text, terraform, toml_text, yaml_text};
use crate::control::Registry;
use crate::model::{InvalidValue, NetworkInterfaceId, SessionNumber, Settings};

const ROOT: [&str; 5] = [
    "settings",
    "network_interface",
    "traffic_mirror_target",
    "traffic_mirror_filter",
    "traffic_mirror_session",
];

/// Reads texts as one configuration. `incomplete` says that there are more that cannot be read.
pub(super) fn read(texts: &[Text<'_>], incomplete: bool) -> Outcome {
    let texts = Texts::new(texts);
    let mut out = Collector::new(&texts, incomplete);
    let mut read = Read::default();
    for (number, text) in texts.iter().enumerate() {
        match text.format {
            Format::Toml => read.take_toml(number, text.text, &mut out),
            Format::AwsJson => {
                read.take_tree(number, json_text::read(number, text.text), &mut out);
            }
            Format::Yaml => read.take_tree(number, yaml_text::read(number, text.text), &mut out),
        }
    }
    let registry = read.into_registry(&mut out);
    let (problems, warnings) = out.finish();
    Outcome { registry: problems.is_empty().then_some(registry), problems, warnings }
}

/// What the texts hold, before it is put together.
#[derive(Default)]
struct Read<'a> {
    settings: Vec<Entry<'a>>,
    settings_place: Option<Place>,
    toml: Resources<'a>,
    aws: Resources<'a>,
}

impl<'a> Read<'a> {
    fn take_tree(
        &mut self,
        text: usize,
        root: Result<Node<'a>, (usize, String)>,
        out: &mut Collector<'_>,
    ) {
        match root {
            Ok(root) if cloudformation::is_template(&root) => {
                cloudformation::take(&root, &mut self.aws, out);
            }
            Ok(root) if terraform::is_state_or_plan(&root) => {
                terraform::take(&root, &mut self.aws, out);
            }
            Ok(root) => aws::take(root, &mut self.aws, out),
            Err((offset, message)) => out.damaged(Place { text, offset }, message),
        }
    }

    fn take_toml(&mut self, text: usize, source: &'a str, out: &mut Collector<'_>) {
        let (root, errors) = toml_text::read(text, source);
        for (offset, message) in errors {
            out.damaged(Place { text, offset }, message);
        }
        let start = Place { text, offset: 0 };
        let mut fields = Fields::new(&root, start, &ROOT, out);
        if let Some((entry, table)) = fields.table("settings") {
            self.settings_place.get_or_insert(entry.value.place);
            self.settings.extend(table.entries.iter().cloned());
        }
        for mut entry in root.entries {
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.key() == entry.key) else {
                continue;
            };
            // Complains about what is no table.
            tables_of(&entry, out);
            let Value::Array(items) = std::mem::replace(&mut entry.value.value, Value::Null) else {
                continue;
            };
            for Node { place, value } in items {
                if let Value::Table(table) = value {
                    self.toml.push(kind, Resource { place, table });
                }
            }
        }
    }

    fn into_registry(mut self, out: &mut Collector<'_>) -> Registry {
        let mut registry = Registry::default();
        let mut seen = Seen::default();
        if let Some(place) = self.settings_place {
            *registry.settings_mut() = self.settings(place, out);
        }
        for resource in self.together(Kind::NetworkInterface, out) {
            let mut fields = resource.fields(&NETWORK_INTERFACE, out);
            if let Some(interface) = network_interface(&mut fields)
                && added(registry.add_network_interface(interface), &mut fields)
            {
                seen.network_interfaces.push(resource.place);
            }
        }
        for resource in self.together(Kind::Target, out) {
            let mut fields = resource.fields(&TARGET, out);
            if add_target(&mut registry, &mut fields) {
                seen.targets.push(resource.place);
            }
        }
        for resource in self.together(Kind::Filter, out) {
            let mut fields = resource.fields(&FILTER, out);
            if let Some(filter) = filter(&mut fields)
                && added(registry.add_filter(filter), &mut fields)
            {
                seen.filters.push(resource.place);
            }
        }
        let mut numbers = Numbers::new();
        for resource in self.together(Kind::Session, out) {
            let mut fields = resource.fields(&SESSION, out);
            if add_session(&mut registry, &mut numbers, &mut fields) {
                seen.sessions.push(resource.place);
            }
        }
        warn(&registry, &seen, out);
        registry
    }

    fn together(&mut self, kind: Kind, out: &mut Collector<'_>) -> Vec<Resource<'a>> {
        Resources::together(kind, &mut self.aws, &mut self.toml, out)
    }

    /// The settings of all files, each given once.
    fn settings(&mut self, place: Place, out: &mut Collector<'_>) -> Settings {
        let mut known: HashMap<String, Place> = HashMap::new();
        let mut entries = std::mem::take(&mut self.settings);
        entries.retain(|entry| match known.get(&*entry.key) {
            Some(first) => {
                out.refuse_repeated(entry, "one value in all files", *first);
                false
            }
            None => {
                known.insert(entry.key.to_string(), entry.value.place);
                true
            }
        });
        let table = Table { path: Arc::from("settings"), entries };
        settings(&mut Fields::new(&table, place, &SETTINGS, out))
    }
}

/// Where the sessions of an interface have their numbers.
type Numbers = HashMap<(NetworkInterfaceId, SessionNumber), Place>;

fn added(result: Result<(), InvalidValue>, fields: &mut Fields<'_, '_, '_, '_>) -> bool {
    match result {
        Ok(()) => true,
        Err(invalid) => {
            fields.refuse(invalid);
            false
        }
    }
}

fn add_target(registry: &mut Registry, fields: &mut Fields<'_, '_, '_, '_>) -> bool {
    let Some(mut target) = target(fields) else { return false };
    if registry.target_address(&target).is_none() {
        if fields.out.is_damaged() {
            // The interface that has the address may be in the part that is broken.
            target.address = Some(UNKNOWN_ADDRESS);
        } else if let Err(mut invalid) = registry.add_target(target.clone()) {
            if fields.out.format(fields.place()) != Format::Toml {
                let where_to = ", in a [[traffic_mirror_target]] of this id in a TOML file";
                invalid.expected.push_str(where_to);
            }
            fields.refuse(invalid);
            target.address = Some(UNKNOWN_ADDRESS);
        }
    }
    added(registry.add_target(target), fields)
}

fn add_session(
    registry: &mut Registry,
    numbers: &mut Numbers,
    fields: &mut Fields<'_, '_, '_, '_>,
) -> bool {
    let draft = session(fields);
    let place = fields.entry("session_number").map(|entry| entry.value.place);
    if let (Some(interface), Some(number), Some(place)) =
        (&draft.network_interface, draft.number, place)
    {
        let first = *numbers.entry((interface.clone(), number)).or_insert(place);
        if let Some(entry) = fields.entry("session_number").filter(|_| first != place) {
            let expected = format!("a number that no other session of `{interface}` has");
            fields.out.refuse_repeated(entry, expected, first);
            return false;
        }
    }
    if let Some(session) = draft.whole()
        && registry.add_session(session).is_ok()
    {
        return true;
    }
    if !fields.out.is_damaged() {
        let faults = registry.reference_faults(
            draft.network_interface.as_ref(),
            draft.target.as_ref(),
            draft.filter.as_ref(),
        );
        faults.into_iter().for_each(|invalid| fields.refuse(invalid));
    }
    false
}
