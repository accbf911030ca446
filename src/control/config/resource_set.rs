//! The tables of resources of all files, and how tables that describe the same resource are merged.
//! A TOML table completes an AWS JSON or infrastructure-code table of the same id field by field.

use std::collections::{BTreeMap, HashMap};

use super::collector::ProblemCollector;
use super::document::{SourcePosition, Table, Value};
use super::resource::{Kind, Resource, id, indices_by_id};
use super::resources::TARGET_KINDS;
use super::standalone_rules::{StandaloneRule, join_rules};

/// The tables of the TOML files, or those of all other files.
#[derive(Default)]
pub(super) struct ResourceSet<'a> {
    by_kind: BTreeMap<Kind, Vec<Resource<'a>>>,
    /// Rules that the API lists outside their filters.
    pub(super) standalone_rules: Vec<StandaloneRule<'a>>,
    /// Network interfaces of infrastructure code. They are used only if a session or target names
    /// them.
    pub(super) known_interfaces: Vec<Resource<'a>>,
    /// Network interfaces that infrastructure code names without describing them.
    implied_interfaces: Vec<Resource<'a>>,
}

impl<'a> ResourceSet<'a> {
    pub(super) fn push(&mut self, kind: Kind, resource: Resource<'a>) {
        self.by_kind.entry(kind).or_default().push(resource);
    }

    /// Adds the network interface that a table of infrastructure code names. Its resource is often
    /// defined elsewhere, so the id suffices.
    pub(super) fn imply_interface(&mut self, table: &Table<'a>) {
        let Some(entry) = table.entry(Kind::NetworkInterface.id_key()) else { return };
        if matches!(entry.value.value, Value::String(_)) {
            let (position, entry) = (entry.value.position, entry.clone());
            let table = Table { path: table.path.clone(), entries: vec![entry] };
            self.implied_interfaces.push(Resource { position, table });
        }
    }

    /// The named interfaces, each once, with its description if there is one.
    fn take_implied(
        &mut self,
        known: &mut HashMap<String, usize>,
        out: &mut ProblemCollector<'_>,
    ) -> Vec<Resource<'a>> {
        let kind = Kind::NetworkInterface;
        let mut interfaces: HashMap<String, Vec<Resource<'a>>> = HashMap::new();
        for interface in std::mem::take(&mut self.known_interfaces) {
            let Some(name) = id(kind, &interface).map(str::to_owned) else { continue };
            interfaces.entry(name).or_default().push(interface);
        }
        let mut taken = Vec::new();
        for implied in std::mem::take(&mut self.implied_interfaces) {
            let Some(name) = id(kind, &implied).map(str::to_owned) else { continue };
            if known.contains_key(&name) {
                continue;
            }
            let described = interfaces.remove(&name).unwrap_or_default();
            known.insert(name, usize::MAX);
            taken.extend(without_duplicates(kind, described, out).pop().or(Some(implied)));
        }
        taken
    }

    fn take(&mut self, kind: Kind) -> Vec<Resource<'a>> {
        self.by_kind.remove(&kind).unwrap_or_default()
    }

    /// The resources of one kind in `aws` and `toml`, each id once, in the order of the files. If
    /// both have a table of one id, the fields of the TOML table replace those of the other.
    pub(super) fn merged(
        kind: Kind,
        aws: &mut Self,
        toml: &mut Self,
        out: &mut ProblemCollector<'_>,
    ) -> Vec<Resource<'a>> {
        let mut all = without_duplicates(kind, aws.take(kind), out);
        let toml = without_duplicates(kind, toml.take(kind), out);
        if kind == Kind::Filter {
            join_rules(std::mem::take(&mut aws.standalone_rules), &mut all, &toml, out);
        }
        if kind == Kind::NetworkInterface {
            all.extend(aws.take_implied(&mut indices_by_id(kind, &all), out));
        }
        let indices = indices_by_id(kind, &all);
        for resource in toml {
            let known = id(kind, &resource).and_then(|id| indices.get(id));
            match known.and_then(|index| all.get_mut(*index)) {
                Some(completed) => merge_toml(kind, completed, resource.table),
                None => all.push(resource),
            }
        }
        all.sort_by_key(|resource| resource.position);
        all
    }
}

/// Reports and removes resources with an id that an earlier resource has.
fn without_duplicates<'a>(
    kind: Kind,
    resources: Vec<Resource<'a>>,
    out: &mut ProblemCollector<'_>,
) -> Vec<Resource<'a>> {
    let mut known: HashMap<String, SourcePosition> = HashMap::new();
    let mut once = Vec::with_capacity(resources.len());
    for resource in resources {
        let entry = resource.table.entry(kind.id_key());
        if let (Some(entry), Some(id)) = (entry, id(kind, &resource)) {
            if let Some(first) = known.get(id) {
                let expected = format!("an id that no other {} has", kind.noun());
                out.report_duplicate(entry, expected, *first);
                continue;
            }
            known.insert(id.to_owned(), entry.value.position);
        }
        once.push(resource);
    }
    once
}

/// Merges a TOML table into a resource: its fields replace the resource's fields. If it gives a
/// kind of target, that replaces any other kind.
fn merge_toml<'a>(kind: Kind, resource: &mut Resource<'a>, toml: Table<'a>) {
    let names_kind = kind == Kind::Target && TARGET_KINDS.iter().any(|key| toml.has(key));
    resource.table.entries.retain(|entry| {
        let is_other_kind = names_kind && TARGET_KINDS.contains(&&*entry.key);
        !is_other_kind && !toml.has(&entry.key)
    });
    resource.table.entries.extend(toml.entries);
}
