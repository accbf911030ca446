//! The resources with an error, so that a reference to one of them is not a second error.

use std::collections::BTreeSet;

use super::resource::{Kind, Resource, id};

/// The resources that were refused.
#[derive(Default)]
pub(super) struct RefusedResources(BTreeSet<(Kind, Option<String>)>);

impl RefusedResources {
    /// Adds a resource whose error was reported.
    pub(super) fn insert(&mut self, kind: Kind, resource: &Resource<'_>) {
        let id = id(kind, resource).filter(|id| !id.trim().is_empty());
        self.0.insert((kind, id.map(str::to_owned)));
    }

    /// Whether the resource `id` was refused, or may have been, because the error of a refused
    /// resource is in its id.
    pub(super) fn may_contain(&self, kind: Kind, id: &str) -> bool {
        self.0.contains(&(kind, None)) || self.0.contains(&(kind, Some(id.to_owned())))
    }
}
