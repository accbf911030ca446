//! Finds a network interface by its id, a private address, its instance, or a tag.

use std::net::IpAddr;

use super::Lab;
use super::error::LabError;
use crate::control::vpc::instance_id;
use crate::model::{NetworkInterface, NetworkInterfaceId};

impl Lab {
    /// Whether an interface of this laboratory has a name; see [`Lab::find_interface`].
    pub(super) fn has_interface(&self, text: &str) -> bool {
        let found = self.find_interface(text);
        found.is_ok_and(|id| self.account().registry().network_interface(&id).is_some())
    }

    /// The network interface that a text names: its id, one of its private addresses, the id of its
    /// instance, the value of its tag `Name`, or a tag as `tag:KEY=VALUE`. An id of an interface that
    /// does not exist names itself.
    ///
    /// # Errors
    /// [`LabError`]: several interfaces have the name, or none has it and it is no id.
    pub fn find_interface(&self, text: &str) -> Result<NetworkInterfaceId, LabError> {
        let account = self.account();
        let registry = account.registry();
        let id = NetworkInterfaceId::new(text).ok();
        if let Some(known) = id.as_ref().filter(|id| registry.network_interface(id).is_some()) {
            return Ok(known.clone());
        }
        let address = text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let tag = text.strip_prefix("tag:").and_then(|tag| tag.split_once('='));
        let (key, value) = tag.unwrap_or(("Name", text));
        let is_named = |interface: &&NetworkInterface| match address {
            Some(address) => interface.private_ip_addresses.contains(&address),
            None => {
                instance_id(interface.id()) == text
                    || interface.tags.get(key).is_some_and(|known| known == value)
            }
        };
        let mut named = registry.network_interfaces().iter().filter(is_named);
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one.id().clone()),
            (Some(one), Some(other)) => {
                let message = format!(
                    "network interface `{text}`: expected the name of one, but {} and {} have it",
                    one.id(),
                    other.id()
                );
                Err(LabError::invalid("AmbiguousNetworkInterface", message))
            }
            (None, _) => id.filter(|id| id.as_str().starts_with("eni-")).ok_or_else(|| {
                let message = format!(
                    "network interface `{text}`: expected an id, a private address, the id of an \
                     instance, the value of a tag Name, or tag:KEY=VALUE"
                );
                LabError::not_found("InvalidNetworkInterfaceID.NotFound", message)
            }),
        }
    }
}
