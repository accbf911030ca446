//! The lists that are joined, and the items that both sides have.

use super::super::authenticate::RejectedRequest;
use super::super::upstream::{Item, Set};
use super::exchange::Relay;
use crate::model::NetworkInterfaceId;

/// The list of DescribeTags.
pub(super) const TAGS: Set = Set { name: "tagSet", keys: &["resourceId", "key"] };

/// The list of DescribeNetworkInterfaces.
pub(super) const INTERFACES: Set =
    Set { name: "networkInterfaceSet", keys: &["networkInterfaceId"] };

/// The own items without those that the other emulator has too, which describes them better.
pub(super) async fn without_duplicates(
    relay: &Relay<'_>,
    set: Set,
    items: Vec<Item>,
) -> Result<Vec<Item>, RejectedRequest> {
    if set.name != INTERFACES.name {
        return Ok(items);
    }
    let id_of = |item: &Item| NetworkInterfaceId::new(item.key.first()?).ok();
    let ids: Vec<NetworkInterfaceId> = items.iter().filter_map(id_of).collect();
    let existing = relay.upstream().network_interfaces(&relay.scope, &ids).await;
    let action = "DescribeNetworkInterfaces";
    let existing = existing.map_err(|error| relay.unavailable(&error, action))?;
    let is_own = |item: &Item| id_of(item).is_none_or(|id| !existing.contains_key(&id));
    Ok(items.into_iter().filter(is_own).collect())
}
