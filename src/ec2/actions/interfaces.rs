//! DescribeNetworkInterfaces: the possible sources and targets of this host.

use super::super::describe::{Filterable, PageCursor, Query};
use super::super::xml::Xml;
use super::{Call, elements};
use crate::control::account::{Account, ApiError};
use crate::model::{NetworkInterface, NetworkInterfaceId, Tags};

struct InterfaceView<'a> {
    interface: &'a NetworkInterface,
    /// The account of the caller: every account may mirror the interfaces of the host.
    owner: &'a str,
    tags: Tags,
}

/// The names of the filters of DescribeNetworkInterfaces.
const FILTERS: &[&str] = &[
    "network-interface-id",
    "mac-address",
    "private-ip-address",
    "addresses.private-ip-address",
    "ipv6-addresses.ipv6-address",
    "description",
    "owner-id",
    "status",
    "interface-type",
];

impl Filterable for InterfaceView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let addresses = |is_ipv4: bool| {
            let own = self.interface.private_ip_addresses.iter();
            own.filter(|one| one.is_ipv4() == is_ipv4).map(ToString::to_string).collect()
        };
        Some(match name {
            "network-interface-id" => vec![self.interface.id().to_string()],
            "mac-address" => self.interface.mac_address.iter().map(ToString::to_string).collect(),
            "private-ip-address" | "addresses.private-ip-address" => addresses(true),
            "ipv6-addresses.ipv6-address" => addresses(false),
            "description" => self.interface.description.iter().cloned().collect(),
            "owner-id" => vec![self.owner.to_owned()],
            "status" => vec![status(self.interface).to_owned()],
            "interface-type" => vec!["interface".to_owned()],
            _ => return None,
        })
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "NetworkInterfaceId", FILTERS)?;
    call.check_parameters()?;
    let registry = account.registry();
    for id in query.ids() {
        let known = NetworkInterfaceId::new(id).ok();
        if known.is_none_or(|id| registry.network_interface(&id).is_none()) {
            let message = format!("The networkInterface ID '{id}' does not exist");
            return Err(ApiError::new("InvalidNetworkInterfaceID.NotFound", message));
        }
    }
    // Interfaces have no sequence number, because they are added and removed with devices: pages
    // are in the order of ids.
    // The emulator that has a learned interface describes it.
    let own = registry.network_interfaces().iter().filter(|interface| !interface.is_learned);
    let mut interfaces: Vec<&NetworkInterface> = own.collect();
    interfaces.sort_by_key(|interface| interface.id().as_str());
    let interfaces = interfaces.into_iter().filter_map(|interface| {
        let cursor = PageCursor { sequence: 0, key: Some(interface.id().to_string()) };
        query.is_after(&cursor).then_some((cursor, interface))
    });
    let interfaces = interfaces.map(|(cursor, interface)| {
        let mut tags = interface.tags.clone();
        if let Some(device) = &interface.device {
            tags.entry("Name".to_owned()).or_insert_with(|| device.clone());
        }
        let owner = account.shown_owner(call.caller.owner);
        let view = InterfaceView { interface, owner, tags };
        let selected = query.selects(interface.id().as_str(), &view);
        (cursor, selected.map(|is_selected| is_selected.then_some(view)))
    });
    let (page, token) = query.page(interfaces)?;
    Ok(call.answer(|xml| {
        xml.list("networkInterfaceSet", page, |xml, view| write(xml, &view, call));
        Call::next_token(xml, token);
    }))
}

/// The status in EC2: `in-use` for an interface that is up, `available` for one that is down or
/// whose device is missing.
const fn status(interface: &NetworkInterface) -> &'static str {
    if interface.is_down { "available" } else { "in-use" }
}

fn write(xml: &mut Xml, view: &InterfaceView<'_>, call: &Call<'_>) {
    let InterfaceView { interface, owner, tags } = view;
    let addresses = &interface.private_ip_addresses;
    let private = addresses.iter().find(|address| address.is_ipv4());
    xml.text("networkInterfaceId", interface.id());
    xml.text("availabilityZone", format_args!("{}a", call.region));
    xml.text("description", interface.description.as_deref().unwrap_or_default());
    xml.text("ownerId", owner);
    xml.text("requesterManaged", false);
    xml.text("status", status(interface));
    xml.optional("macAddress", interface.mac_address);
    xml.optional("privateIpAddress", private);
    xml.text("sourceDestCheck", true);
    xml.element("groupSet", |_| {});
    elements::tag_set(xml, tags);
    let private = addresses.iter().filter(|address| address.is_ipv4()).enumerate();
    xml.list("privateIpAddressesSet", private, |xml, (index, address)| {
        xml.text("privateIpAddress", address);
        xml.text("primary", index == 0);
    });
    let ipv6 = addresses.iter().filter(|address| address.is_ipv6());
    xml.list("ipv6AddressesSet", ipv6, |xml, address| xml.text("ipv6Address", address));
    xml.text("interfaceType", "interface");
}
