//! The tables of resources of all files, and how tables that describe the same resource are merged.
//! A TOML table completes an AWS JSON or infrastructure-code table of the same id field by field.

use std::collections::{BTreeMap, HashMap};

use super::collector::ProblemCollector;
use super::document::{SourcePosition, Table, Value};
use super::resource::{Kind, Resource, id, indices_by_id};
use super::resources::TARGET_KINDS;
use super::standalone_rules::{StandaloneRule, join_rules};

/// All tables of the files of one format.
#[derive(Default)]
pub(super) struct ResourceSet<'a> {
    by_kind: BTreeMap<Kind, Vec<Resource<'a>>>,
    /// Rules of the API that stand outside their filter.
    pub(super) standalone_rules: Vec<StandaloneRule<'a>>,
    /// Network interfaces of infrastructure code: they are taken where sessions or targets name
    /// them.
    pub(super) known_interfaces: Vec<Resource<'a>>,
    /// What infrastructure code names as a network interface: there will be one.
    implied_interfaces: Vec<Resource<'a>>,
}

impl<'a> ResourceSet<'a> {
    pub(super) fn push(&mut self, kind: Kind, resource: Resource<'a>) {
        self.by_kind.entry(kind).or_default().push(resource);
    }

    /// Whoever writes infrastructure code names interfaces that are elsewhere; such a one is known by
    /// its name alone where no file says more.
    pub(super) fn imply_interface(&mut self, table: &Table<'a>) {
        let Some(entry) = table.entry(Kind::NetworkInterface.id_key()) else { return };
        if matches!(entry.value.value, Value::String(_)) {
            let (position, entry) = (entry.value.position, entry.clone());
            let table = Table { path: table.path.clone(), entries: vec![entry] };
            self.implied_interfaces.push(Resource { position, table });
        }
    }

    /// The interfaces that are named, each once, with what is known of it.
    fn take_implied(&mut self, known: &mut HashMap<String, usize>) -> Vec<Resource<'a>> {
        let kind = Kind::NetworkInterface;
        let mut interfaces = std::mem::take(&mut self.known_interfaces);
        let mut taken = Vec::new();
        for implied in std::mem::take(&mut self.implied_interfaces) {
            let Some(name) = id(kind, &implied).map(str::to_owned) else { continue };
            if known.contains_key(&name) {
                continue;
            }
            let index = interfaces.iter().position(|one| id(kind, one) == Some(&name));
            taken.push(index.map_or(implied, |index| interfaces.swap_remove(index)));
            known.insert(name, usize::MAX);
        }
        taken
    }

    fn take(&mut self, kind: Kind) -> Vec<Resource<'a>> {
        self.by_kind.remove(&kind).unwrap_or_default()
    }

    /// Those of one kind that `aws` and `toml` have together, each id once, in the order of the
    /// files. Where both have one the TOML table completes the other field by field, and wins.
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
            all.extend(aws.take_implied(&mut indices_by_id(kind, &all)));
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

/// Leaves out those whose id another one has had before, with a complaint.
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

/// The fields of the TOML table win; where it names a kind of target, that is the kind.
fn merge_toml<'a>(kind: Kind, resource: &mut Resource<'a>, toml: Table<'a>) {
    let names_kind = kind == Kind::Target && TARGET_KINDS.iter().any(|key| toml.has(key));
    resource.table.entries.retain(|entry| {
        let is_other_kind = names_kind && TARGET_KINDS.contains(&&*entry.key);
        !is_other_kind && !toml.has(&entry.key)
    });
    resource.table.entries.extend(toml.entries);
}
