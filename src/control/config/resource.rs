//! The table of one resource in a file, and the kinds of resources with their keys.

use std::collections::HashMap;

use super::collector::ProblemCollector;
use super::document::{SourcePosition, Table};
use super::fields::Fields;

/// The kind of resource of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    NetworkInterface,
    Target,
    Filter,
    Session,
}

impl Kind {
    pub(super) const ALL: [Self; 4] =
        [Self::NetworkInterface, Self::Target, Self::Filter, Self::Session];

    /// The key of the list of tables in TOML.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::NetworkInterface => "network_interface",
            Self::Target => "traffic_mirror_target",
            Self::Filter => "traffic_mirror_filter",
            Self::Session => "traffic_mirror_session",
        }
    }

    /// The key of the id.
    pub(super) const fn id_key(self) -> &'static str {
        match self {
            Self::NetworkInterface => "network_interface_id",
            Self::Target => "traffic_mirror_target_id",
            Self::Filter => "traffic_mirror_filter_id",
            Self::Session => "traffic_mirror_session_id",
        }
    }

    /// The name of the kind in messages.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::NetworkInterface => "network interface",
            Self::Target => "target",
            Self::Filter => "filter",
            Self::Session => "session",
        }
    }
}

/// The table of a resource.
pub(super) struct Resource<'a> {
    pub(super) position: SourcePosition,
    pub(super) table: Table<'a>,
}

impl<'a> Resource<'a> {
    /// Its fields. Reports keys that are not in `known`.
    pub(super) fn fields<'n, 'c, 't>(
        &'n self,
        known: &[&str],
        out: &'c mut ProblemCollector<'t>,
    ) -> Fields<'n, 'a, 'c, 't> {
        Fields::new(&self.table, self.position, known, out)
    }
}

/// The id of a resource, if its table has one.
pub(super) fn id<'r>(kind: Kind, resource: &'r Resource<'_>) -> Option<&'r str> {
    resource.table.string(kind.id_key())
}

/// The index of each id in `resources`.
pub(super) fn indices_by_id(kind: Kind, resources: &[Resource<'_>]) -> HashMap<String, usize> {
    let ids = resources.iter().map(|resource| id(kind, resource));
    let placed = ids.enumerate().filter_map(|(index, id)| Some((id?.to_owned(), index)));
    placed.collect()
}
