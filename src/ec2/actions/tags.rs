//! CreateTags, DeleteTags and DescribeTags, for all kinds of resources.

use std::borrow::Cow;

use super::super::describe::{Filterable, PageCursor, Query};
use super::Call;
use super::interface_view::tags_of;
use crate::control::account::{Account, ApiError, Resource, TagToDelete};
use crate::control::vpc::instance_id;
use crate::model::Tags;

/// "Up to 1000 resource IDs" (EC2 API, CreateTags).
const MAX_RESOURCES: usize = 1000;

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let ids = resources(call)?;
    let pairs = call.pairs("Tag")?;
    if pairs.is_empty() {
        return Err(ApiError::missing_parameter("Tag.1.Key"));
    }
    let tags = crate::control::account::tags(pairs)?;
    call.check_parameters()?;
    account.create_tags(&call.caller, &ids, &tags)?;
    Ok(call.answer(|xml| xml.text("return", true)))
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let ids = resources(call)?;
    let tags = call.form.members("Tag").into_iter().map(|member| {
        let key = call.form.required(&format!("{member}.Key"))?.to_owned();
        Ok(TagToDelete { key, value: call.form.owned(&format!("{member}.Value")) })
    });
    let tags: Vec<TagToDelete> = tags.collect::<Result<_, ApiError>>()?;
    call.check_parameters()?;
    account.delete_tags(&call.caller, &ids, &tags)?;
    Ok(call.answer(|xml| xml.text("return", true)))
}

fn resources(call: &Call<'_>) -> Result<Vec<String>, ApiError> {
    let ids = call.form.texts("ResourceId");
    match ids.len() {
        0 => Err(ApiError::missing_parameter("ResourceId.1")),
        1..=MAX_RESOURCES => Ok(ids),
        count => Err(ApiError::invalid_value("ResourceId", count, "at most 1000 ids")),
    }
}

/// A tag that filters can be applied to.
struct TagView<'a> {
    id: &'a str,
    kind: &'static str,
    key: &'a str,
    value: &'a str,
    tags: Tags,
}

/// The names of the filters of DescribeTags.
const FILTERS: &[&str] = &["key", "value", "resource-id", "resource-type"];

impl Filterable for TagView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let value = match name {
            "key" => self.key,
            "value" => self.value,
            "resource-id" => self.id,
            "resource-type" => self.kind,
            _ => return None,
        };
        Some(vec![value.to_owned()])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    // DescribeTags has no list of ids: clients filter by resource-id.
    let query = Query::read(call.form, call.action, "NoId", FILTERS)?;
    call.check_parameters()?;
    let resources = resources_of(account, call);
    // The last page may have ended between two tags of the resource at `after`.
    let remaining = resources.iter().filter(|one| one.sequence >= query.after());
    let tags = remaining.flat_map(|resource| {
        resource.tags.iter().map(move |(key, value)| {
            let tags = Tags::from([(key.clone(), value.clone())]);
            let (id, kind) = (&*resource.id, resource.kind);
            (resource.cursor(key), TagView { id, kind, key, value, tags })
        })
    });
    let with_cursors = tags.filter(|(cursor, _)| query.is_after(cursor)).map(|(cursor, view)| {
        let selected = query.selects(view.id, &view);
        (cursor, selected.map(|is_selected| is_selected.then_some(view)))
    });
    let (page, token) = query.page(with_cursors)?;
    Ok(call.answer(|xml| {
        xml.list("tagSet", page, |xml, view| {
            xml.text("resourceId", view.id);
            xml.text("resourceType", view.kind);
            xml.text("key", view.key);
            xml.text("value", view.value);
        });
        Call::next_token(xml, token);
    }))
}

/// A resource that has tags.
struct TaggedResource<'a> {
    /// Zero for network interfaces and instances, which are in the order of their ids.
    sequence: u64,
    id: String,
    kind: &'static str,
    tags: Cow<'a, Tags>,
}

impl TaggedResource<'_> {
    /// The position of a tag in the list of all tags.
    fn cursor(&self, tag_key: &str) -> PageCursor {
        let key = match self.sequence {
            0 => format!("{} {tag_key}", self.id),
            _ => tag_key.to_owned(),
        };
        PageCursor { sequence: self.sequence, key: Some(key) }
    }
}

/// All resources that the caller can see: network interfaces and instances, then the others in the
/// order of creation.
fn resources_of<'a>(account: &'a Account, call: &Call<'_>) -> Vec<TaggedResource<'a>> {
    let sessions = account.sessions().after(0).map(|(sequence, id, ownership)| {
        (sequence, ownership, "traffic-mirror-session", Resource::Session(id.clone()))
    });
    let targets = account.targets().after(0).map(|(sequence, id, ownership)| {
        (sequence, ownership, "traffic-mirror-target", Resource::Target(id.clone()))
    });
    let filters = account.filters().after(0).map(|(sequence, id, ownership)| {
        (sequence, ownership, "traffic-mirror-filter", Resource::Filter(id.clone()))
    });
    let rules = account.rules().after(0).map(|(sequence, id, ownership)| {
        (sequence, ownership, "traffic-mirror-filter-rule", Resource::Rule(id.clone()))
    });
    let all = sessions.chain(targets).chain(filters).chain(rules);
    let visible = all.filter(|(_, ownership, ..)| call.can_see(ownership));
    let created = visible.filter_map(|(sequence, _, kind, resource)| {
        let tags = Cow::Borrowed(account.tags_of(&resource)?);
        Some(TaggedResource { sequence, id: resource.id().to_owned(), kind, tags })
    });
    let has_instances = !account.has_emulator();
    let interfaces = account.visible_interfaces(call.caller.owner).flat_map(|interface| {
        let (id, tags) = (interface.id(), tags_of(interface));
        let has_instance = has_instances && !interface.is_detached;
        let instance = has_instance.then(|| ("instance", instance_id(id)));
        let ids = std::iter::once(("network-interface", id.to_string())).chain(instance);
        ids.map(move |(kind, id)| {
            let tags = Cow::Owned(tags.clone());
            TaggedResource { sequence: 0, id, kind, tags }
        })
    });
    let mut resources: Vec<_> = interfaces.chain(created).collect();
    resources.sort_by(|left, right| (left.sequence, &left.id).cmp(&(right.sequence, &right.id)));
    resources
}
