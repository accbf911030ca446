//! The primary network interface of an instance in a Terraform plan.

use super::super::document::{Table, Value};
use super::address::Address;
use super::references::{MAX_REFERENCE_DEPTH, References};
use super::search::Search;

impl References<'_, '_> {
    /// The id at an address. An instance is known by its primary network interface, so one that the
    /// configuration attaches as such is used instead.
    pub(super) fn interface_of(&self, address: &str) -> String {
        if let Some(block) = self.block(&Address::of(address))
            && let Some(expression) = primary_interface(block)
            && let Some((address, _)) = self.ids.get_key_value(address)
        {
            if let Some(id) = expression.string("constant_value") {
                return id.to_owned();
            }
            let mut search = Search::new("network_interface_id", self.references_left.get());
            let parsed = Address::of(address);
            self.follow(self.scope_of(&parsed), expression, &mut search, MAX_REFERENCE_DEPTH);
            if let (1, Some(only)) = (search.found.len(), search.found.pop_first()) {
                return self.ids.get(&*only).map_or(only.clone(), |id| (*id).to_owned());
            }
        }
        self.ids.get(address).map_or_else(|| address.to_owned(), |id| (*id).to_owned())
    }
}

/// The id of the interface that the block of an instance attaches as the first one: that of
/// `primary_network_interface`, or of the `network_interface` with device index 0.
fn primary_interface<'n, 'a>(block: &'n Table<'a>) -> Option<&'n Table<'a>> {
    let expressions = block.table("expressions")?;
    let attached: Vec<&Table<'a>> = expressions.tables("network_interface").collect();
    let own = expressions.tables("primary_network_interface").next();
    let own = own.or_else(|| expressions.table("primary_network_interface"));
    let primary = own.or_else(|| match &*attached {
        [only] if device_index(only).is_none() => Some(*only),
        all => all.iter().copied().find(|one| device_index(one).as_deref() == Some("0")),
    })?;
    primary.table("network_interface_id")
}

/// The constant device index of a block.
fn device_index(block: &Table<'_>) -> Option<String> {
    match &block.table("device_index")?.entry("constant_value")?.value.value {
        Value::Null => None,
        value => Some(value.shown()),
    }
}
