//! The actions of network interfaces: Create, Detach, Delete and Describe.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::describe::Query;
use super::Call;
use super::interface_view::{INTERFACE_FILTERS, InterfaceView};
use crate::control::account::{Account, ApiError, CreateNetworkInterface, interface_not_found};

/// The values of InterfaceType.
const INTERFACE_TYPES: [&str; 5] = ["interface", "efa", "efa-only", "branch", "trunk"];

/// The IPv4 addresses of a request.
#[derive(Default)]
struct Ipv4Addresses {
    primary: Option<Ipv4Addr>,
    secondary: Vec<Ipv4Addr>,
    /// The number of further secondary addresses.
    count: usize,
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let form = call.form;
    let ipv4 = Ipv4Addresses::read(call)?;
    let request = CreateNetworkInterface {
        subnet_id: form.required("SubnetId")?.to_owned(),
        primary_address: ipv4.primary,
        secondary_addresses: ipv4.secondary,
        secondary_count: ipv4.count,
        ipv6_addresses: ipv6_addresses(call)?,
        security_groups: form.texts("SecurityGroupId"),
        interface_type: interface_type(call)?,
        description: call.description()?,
        tags: call.tags("network-interface")?,
        client_token: call.client_token()?,
    };
    call.check_parameters()?;
    let id = account.create_network_interface(&call.caller, request)?;
    let interface = account.registry().network_interface(&id);
    let interface = interface
        .ok_or_else(|| ApiError::internal("a network interface is missing after its creation"))?;
    let view = InterfaceView::new(account, call, interface);
    Ok(call.answer(|xml| {
        xml.element("networkInterface", |xml| view.write(xml));
        xml.optional("clientToken", form.text("ClientToken"));
    }))
}

impl Ipv4Addresses {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let form = call.form;
        let mut addresses = Self::default();
        let single = form.text("PrivateIpAddress").filter(|text| !text.is_empty());
        addresses.primary =
            single.map(|text| address("PrivateIpAddress", text, "an IPv4 address")).transpose()?;
        for member in form.members("PrivateIpAddresses") {
            let name = format!("{member}.PrivateIpAddress");
            let own = address(&name, form.required(&name)?, "an IPv4 address")?;
            let is_primary = form.boolean(&format!("{member}.Primary"))?;
            match addresses.primary {
                Some(known) if is_primary && known != own => {
                    let message =
                        format!("Only one address can be primary: {known} and {own} are.");
                    return Err(ApiError::invalid_combination(message));
                }
                _ if is_primary => addresses.primary = Some(own),
                Some(known) if known == own => {}
                _ => addresses.secondary.push(own),
            }
        }
        if addresses.primary.is_none() && !addresses.secondary.is_empty() {
            addresses.primary = Some(addresses.secondary.remove(0));
        }
        let count = form.integer("SecondaryPrivateIpAddressCount")?.unwrap_or_default();
        if count != 0 && !addresses.secondary.is_empty() {
            let message = "SecondaryPrivateIpAddressCount cannot be used with more than one address \
                           in PrivateIpAddresses.";
            return Err(ApiError::invalid_combination(message));
        }
        addresses.count = usize::try_from(count).map_err(|_| {
            ApiError::invalid_value("SecondaryPrivateIpAddressCount", count, "0 to 49")
        })?;
        Ok(addresses)
    }
}

fn ipv6_addresses(call: &Call<'_>) -> Result<Vec<Ipv6Addr>, ApiError> {
    let form = call.form;
    form.boolean("EnablePrimaryIpv6")?;
    if let Some(count) = form.integer("Ipv6AddressCount")?.filter(|count| *count != 0) {
        let expected = "0, because the subnet has no IPv6 CIDR block; give Ipv6Addresses";
        return Err(ApiError::invalid_value("Ipv6AddressCount", count, expected));
    }
    let addresses = form.members("Ipv6Addresses").into_iter().map(|member| {
        form.boolean(&format!("{member}.IsPrimaryIpv6"))?;
        let name = format!("{member}.Ipv6Address");
        let own: Ipv6Addr = address(&name, form.required(&name)?, "an IPv6 address")?;
        if own.is_multicast() || own.is_unspecified() || own.to_ipv4_mapped().is_some() {
            return Err(ApiError::invalid_value(&name, own, "an IPv6 unicast address"));
        }
        Ok(own)
    });
    addresses.collect()
}

fn address<A: std::str::FromStr>(name: &str, text: &str, expected: &str) -> Result<A, ApiError> {
    text.parse().map_err(|_| ApiError::invalid_value(name, text, expected))
}

/// The InterfaceType in lower case; `None` for `interface`.
fn interface_type(call: &Call<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = call.form.text("InterfaceType") else { return Ok(None) };
    let lower = text.to_ascii_lowercase();
    if INTERFACE_TYPES.contains(&&*lower) {
        return Ok(Some(lower).filter(|lower| lower != "interface"));
    }
    Err(ApiError::invalid_value("InterfaceType", text, INTERFACE_TYPES.join(", ")))
}

pub(super) fn detach(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("AttachmentId")?;
    call.form.boolean("Force")?;
    call.check_parameters()?;
    account.detach_network_interface(&call.caller, id)?;
    Ok(call.answer(|xml| xml.text("return", true)))
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("NetworkInterfaceId")?;
    call.check_parameters()?;
    account.delete_network_interface(&call.caller, id)?;
    Ok(call.answer(|xml| xml.text("return", true)))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "NetworkInterfaceId", INTERFACE_FILTERS)?;
    call.form.boolean("IncludeManagedResources")?;
    call.check_parameters()?;
    let views = interface_views(account, call);
    query.check_ids_exist(&views, interface_not_found)?;
    let (page, token) = query.page_by_key(views)?;
    Ok(call.answer(|xml| {
        xml.list("networkInterfaceSet", page, |xml, view| view.write(xml));
        Call::next_token(xml, token);
    }))
}

/// The network interfaces that the caller can see, by id.
pub(super) fn interface_views<'a>(
    account: &'a Account,
    call: &Call<'a>,
) -> Vec<(String, InterfaceView<'a>)> {
    // The emulator that has a learned interface describes it.
    let interfaces = account.visible_interfaces(call.caller.owner);
    let views = interfaces.map(|interface| {
        (interface.id().to_string(), InterfaceView::new(account, call, interface))
    });
    views.collect()
}
