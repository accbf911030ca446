//! Tags: their limits, and changes of the tags of existing resources.

use super::api_error::ApiError;
use super::{Account, Caller, Resource};
use crate::model::{ADDRESS_TAG, Filter, FilterRule, Tags, Target};

/// The maximum number of tags of a resource (EC2 user guide).
const MAX_TAGS: usize = 50;

/// "Tag keys are case-sensitive and accept a maximum of 127 Unicode characters" (EC2 API, Tag).
const MAX_KEY_CHARS: usize = 127;

/// "Tag values are case-sensitive and accept a maximum of 256 Unicode characters" (EC2 API, Tag).
const MAX_VALUE_CHARS: usize = 256;

/// A tag that `DeleteTags` deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagToDelete {
    /// The key.
    pub key: String,
    /// Delete the tag only if it has this value; without it, always.
    pub value: Option<String>,
}

/// Checks the keys and values of a request.
///
/// # Errors
/// [`ApiError`] for a key that is too long, reserved or duplicate, for a value that is too long,
/// and for too many tags.
pub fn tags(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > MAX_KEY_CHARS {
            return Err(ApiError::invalid_value("Tag.Key", &key, "1 to 127 characters"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = format!("Tag keys starting with 'aws:' are reserved: {key}");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        if value.chars().count() > MAX_VALUE_CHARS {
            return Err(ApiError::invalid_value("Tag.Value", &value, "at most 256 characters"));
        }
        if let Some(known) = tags.insert(key.clone(), value) {
            let message = format!("Duplicate tag key '{key}' specified, with '{known}' before.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    }
    check_tag_count(&tags)?;
    Ok(tags)
}

fn check_tag_count(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() <= MAX_TAGS {
        return Ok(());
    }
    let message = format!("The maximum number of tags per resource is {MAX_TAGS}.");
    Err(ApiError::new("TagLimitExceeded", message))
}

impl Account {
    /// Adds or overwrites tags of all these resources, or of none on an error.
    ///
    /// # Errors
    /// [`ApiError`] if a resource does not exist, cannot be changed, or would have too many tags.
    pub fn create_tags(
        &mut self,
        caller: &Caller<'_>,
        ids: &[String],
        tags: &Tags,
    ) -> Result<(), ApiError> {
        let overwrite = |known: &mut Tags| known.extend(tags.clone());
        self.change_tags(caller, ids, &overwrite)
    }

    /// Deletes the given tags of resources; without any given tags, all of them.
    ///
    /// # Errors
    /// [`ApiError`] if a resource does not exist or cannot be changed.
    pub fn delete_tags(
        &mut self,
        caller: &Caller<'_>,
        ids: &[String],
        tags: &[TagToDelete],
    ) -> Result<(), ApiError> {
        let is_deleted = |key: &str, value: &str| {
            let mut named = tags.iter().filter(|tag| tag.key == key);
            tags.is_empty() || named.any(|tag| tag.value.as_deref().is_none_or(|own| own == value))
        };
        self.change_tags(caller, ids, &|known| known.retain(|key, value| !is_deleted(key, value)))
    }

    fn change_tags(
        &mut self,
        caller: &Caller<'_>,
        ids: &[String],
        change: &dyn Fn(&mut Tags),
    ) -> Result<(), ApiError> {
        let mut changed = Vec::with_capacity(ids.len());
        for id in ids {
            let resource = self.resource(caller, id)?;
            let mut tags = self.tags_of(&resource).cloned().unwrap_or_default();
            change(&mut tags);
            check_tag_count(&tags)?;
            if let Resource::Target(id) = &resource
                && let Some(target) = self.registry.target(id)
                && target.tags.get(ADDRESS_TAG) != tags.get(ADDRESS_TAG)
            {
                self.with_other_address(target, tags.clone())?;
            }
            changed.push((resource, tags));
        }
        caller.check_not_dry_run()?;
        changed.into_iter().try_for_each(|(resource, tags)| self.set_tags(resource, tags))
    }

    /// The same target with other tags, and with the address that it has then.
    fn with_other_address(&self, target: &Target, tags: Tags) -> Result<Target, ApiError> {
        let mut changed = Self::with_tags(target, tags);
        let addresses = self.resolve_for_client(&changed)?.addresses;
        self.check_addresses_leave_all(changed.id(), &addresses)?;
        changed.set_addresses(addresses);
        Ok(changed)
    }

    /// The tags of a resource, or `None` if it was deleted.
    #[must_use]
    pub fn tags_of(&self, resource: &Resource) -> Option<&Tags> {
        match resource {
            Resource::NetworkInterface(id) => {
                self.registry.network_interface(id).map(|one| &one.tags)
            }
            Resource::Session(id) => self.registry.session(id).map(|one| &one.tags),
            Resource::Target(id) => self.registry.target(id).map(|one| &one.tags),
            Resource::Filter(id) => self.registry.filter(id).map(|one| &one.tags),
            Resource::Rule(id) => self.rule(id).map(|(_, one)| &one.tags),
        }
    }

    fn set_tags(&mut self, resource: Resource, tags: Tags) -> Result<(), ApiError> {
        self.mark_changed(resource.clone().into());
        match resource {
            Resource::NetworkInterface(id) => {
                if let Some(interface) = self.registry.network_interface_mut(&id) {
                    interface.tags = tags;
                }
            }
            Resource::Session(id) => {
                let Some(mut session) = self.registry.session(&id).cloned() else { return Ok(()) };
                session.tags = tags;
                self.registry.replace_session(session)?;
            }
            Resource::Target(id) => {
                let Some(target) = self.registry.target(&id) else { return Ok(()) };
                let changed = match target.tags.get(ADDRESS_TAG) == tags.get(ADDRESS_TAG) {
                    true => Self::with_tags(target, tags),
                    false => self.with_other_address(target, tags)?,
                };
                if let Some(target) = self.registry.target_mut(&id) {
                    *target = changed;
                }
            }
            Resource::Filter(id) => {
                let Some(filter) = self.registry.filter(&id) else { return Ok(()) };
                let mut filter = Filter::clone(filter);
                filter.tags = tags;
                self.registry.replace_filter(filter)?;
            }
            Resource::Rule(id) => {
                let Some((filter, _)) = self.rule(&id) else { return Ok(()) };
                let retag = |mut rule: FilterRule| {
                    if rule.id.as_ref() == Some(&id) {
                        rule.tags.clone_from(&tags);
                    }
                    rule
                };
                let changed = filter.all_rules().iter().cloned().map(retag).collect();
                let changed = self.with_rules(&filter.clone(), changed)?;
                self.registry.replace_filter(changed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Tags, ApiError> {
        tags(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn tag_limits_match_aws() {
        assert!(of(&[(&"k".repeat(127), &"v".repeat(256)), ("", "")]).is_err());
        assert!(of(&[(&"k".repeat(127), &"v".repeat(256))]).is_ok());
        assert!(of(&[(&"k".repeat(128), "")]).is_err());
        assert!(of(&[("k", &"v".repeat(257))]).is_err());
        assert!(of(&[("k", "1"), ("k", "2")]).is_err());
        assert_eq!(of(&[("AWS:k", "")]).unwrap_err().code, "InvalidParameterValue");
        let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
        let pairs: Vec<(&str, &str)> = many.iter().map(|key| (&**key, "")).collect();
        assert_eq!(of(&pairs).unwrap_err().code, "TagLimitExceeded");
        assert_eq!(of(&pairs[1..]).unwrap().len(), 50);
    }
}
