//! Network interfaces of an account: create and delete, with AWS's checks.
//!
//! Clients create interfaces only where these are virtual. Elsewhere the interfaces are the devices
//! of the host and those of configuration files, which every account sees and no client changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::api_error::{ApiError, NOT_PERMITTED, interface_not_found, is_hex_id};
use super::ownership::OwnershipIndex;
use super::record_key::RecordKey;
use super::token_store::ClientToken;
use super::{Account, Caller, Resource};
use crate::control::vpc::{Subnet, attachment_id, instance_id, synthetic_mac};
use crate::model::{NetworkInterface, NetworkInterfaceId, SessionId, Tags};

/// The maximum number of IPv4 addresses of an interface: the limit of the largest instance types.
const MAX_IPV4_ADDRESSES: usize = 50;

/// CreateNetworkInterface.
#[derive(Debug, Clone, Default)]
pub struct CreateNetworkInterface {
    /// The subnet.
    pub subnet_id: String,
    /// The primary IPv4 address; without it, the lowest free one of the subnet.
    pub primary_address: Option<Ipv4Addr>,
    /// Further IPv4 addresses.
    pub secondary_addresses: Vec<Ipv4Addr>,
    /// The number of further free IPv4 addresses to assign.
    pub secondary_count: usize,
    /// IPv6 addresses.
    pub ipv6_addresses: Vec<Ipv6Addr>,
    /// The ids of the security groups; without any, the default group of the VPC.
    pub security_groups: Vec<String>,
    /// The InterfaceType if it is not `interface`.
    pub interface_type: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// The ClientToken.
    pub client_token: Option<ClientToken>,
}

impl Account {
    /// Makes the network interfaces virtual: clients create and delete them, and an interface
    /// without a device can be the source of a session.
    pub const fn use_virtual_interfaces(&mut self) {
        self.has_virtual_interfaces = true;
    }

    /// The network interfaces that clients created, in the order of their creation.
    #[must_use]
    pub const fn network_interfaces(&self) -> &OwnershipIndex<NetworkInterfaceId> {
        &self.network_interfaces
    }

    /// The network interfaces that an account can see: those that it created, and those of the host
    /// and of configuration files. Learned ones are described by the emulator that has them.
    pub fn visible_interfaces(&self, owner: &str) -> impl Iterator<Item = &NetworkInterface> {
        let is_visible = move |one: &&NetworkInterface| {
            !one.is_learned && self.is_interface_visible(one.id(), owner)
        };
        self.registry.network_interfaces().iter().filter(is_visible)
    }

    fn is_interface_visible(&self, id: &NetworkInterfaceId, owner: &str) -> bool {
        self.network_interfaces.get(id).is_none_or(|ownership| ownership.is_visible_to(owner))
    }

    /// The subnets that an account can see, with the number of their addresses that are in use: the
    /// default subnets, and those of its network interfaces.
    #[must_use]
    pub fn subnets(&self, owner: &str) -> BTreeMap<Subnet, usize> {
        let mut subnets: BTreeMap<Subnet, usize> = Subnet::defaults().map(|one| (one, 0)).collect();
        for interface in self.visible_interfaces(owner) {
            subnets.entry(Subnet::of(interface)).or_default();
        }
        let interfaces = self.visible_interfaces(owner);
        for address in interfaces.flat_map(|one| &one.private_ip_addresses) {
            let IpAddr::V4(ipv4) = address.to_canonical() else { continue };
            if let Some(used) = subnets.get_mut(&Subnet::containing(ipv4)) {
                *used += 1;
            }
        }
        subnets
    }

    /// Creates a network interface.
    ///
    /// # Errors
    /// [`ApiError`] if the interfaces are not virtual, the subnet or a security group does not
    /// exist, an address is not free, or the quota is reached.
    pub fn create_network_interface(
        &mut self,
        caller: &Caller<'_>,
        request: CreateNetworkInterface,
    ) -> Result<NetworkInterfaceId, ApiError> {
        if !self.has_virtual_interfaces {
            let message = "Network interfaces cannot be created here, because they are the devices \
                           of the host. DescribeNetworkInterfaces lists them.";
            return Err(ApiError::new("UnsupportedOperation", message));
        }
        let kind = ("NetworkInterface", NetworkInterfaceId::PREFIX);
        if let Some(id) = self.find_repeated(caller, request.client_token.as_ref(), kind)? {
            return Ok(NetworkInterfaceId::new(&id)?);
        }
        let subnets = self.subnets(caller.owner);
        let named = subnets.keys().copied().find(|subnet| subnet.id() == request.subnet_id);
        let subnet = named.ok_or_else(|| subnet_not_found(&request.subnet_id))?;
        check_security_groups(subnet, &request.security_groups)?;
        let addresses = self.assign_addresses(subnet, &request)?;
        if self.network_interfaces.count_owned_by(caller.owner) >= self.quotas.network_interfaces {
            let limit = self.quotas.network_interfaces;
            let message = format!("The maximum number of network interfaces is {limit}.");
            return Err(ApiError::new("NetworkInterfaceLimitExceeded", message));
        }
        caller.check_not_dry_run()?;
        let id = NetworkInterfaceId::from_seed((self.draw)());
        let mut interface = NetworkInterface::new(id.clone());
        interface.mac_address = Some(synthetic_mac(&id));
        interface.private_ip_addresses = addresses;
        interface.interface_type = request.interface_type;
        interface.created_s = Some(caller.now_s);
        interface.description = request.description;
        interface.tags = request.tags;
        self.registry.add_network_interface(interface)?;
        self.insert_created(caller, Resource::NetworkInterface(id.clone()), request.client_token);
        Ok(id)
    }

    /// The addresses of a new interface, the primary IPv4 address first.
    fn assign_addresses(
        &self,
        subnet: Subnet,
        request: &CreateNetworkInterface,
    ) -> Result<Vec<IpAddr>, ApiError> {
        let mut used = self.used_addresses();
        let given: Vec<Ipv4Addr> =
            request.primary_address.iter().chain(&request.secondary_addresses).copied().collect();
        let count = request.secondary_addresses.len().saturating_add(request.secondary_count);
        if count >= MAX_IPV4_ADDRESSES {
            let message = format!(
                "{} IPv4 addresses exceed the maximum of {MAX_IPV4_ADDRESSES} per interface.",
                count.saturating_add(1)
            );
            return Err(ApiError::new("PrivateIpAddressLimitExceeded", message));
        }
        for address in given {
            check_in_subnet(subnet, address)?;
            reserve(&mut used, address.into())?;
        }
        for address in &request.ipv6_addresses {
            reserve(&mut used, (*address).into())?;
        }
        let mut free = subnet.assignable().filter(|one| !used.contains(&IpAddr::V4(*one)));
        let mut next = || free.next().ok_or_else(|| subnet_is_full(subnet));
        let primary = request.primary_address.map_or_else(&mut next, Ok)?;
        let assigned: Vec<Ipv4Addr> =
            (0..request.secondary_count).map(|_| next()).collect::<Result<_, _>>()?;
        let ipv4 = [primary].into_iter().chain(request.secondary_addresses.clone()).chain(assigned);
        let ipv6 = request.ipv6_addresses.iter().map(|one| IpAddr::V6(*one));
        Ok(ipv4.map(IpAddr::V4).chain(ipv6).collect())
    }

    fn used_addresses(&self) -> BTreeSet<IpAddr> {
        let interfaces = self.registry.network_interfaces().iter();
        let addresses = interfaces.flat_map(|one| &one.private_ip_addresses);
        addresses.map(IpAddr::to_canonical).collect()
    }

    /// Deletes a network interface with the sessions whose source it is, as AWS does.
    ///
    /// # Errors
    /// [`ApiError`] if no client created an interface of this id, or a target names it.
    pub fn delete_network_interface(
        &mut self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<NetworkInterfaceId, ApiError> {
        let id = self.owned_interface(caller, id)?;
        if let Some(target) = self.registry.targets_at(&id).next() {
            let message =
                format!("Network interface '{id}' is currently in use by target {}.", target.id());
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        caller.check_not_dry_run()?;
        let sessions: Vec<SessionId> =
            self.registry.sessions_of(&id).filter_map(|session| session.id.clone()).collect();
        for session in sessions {
            self.mark_changed(RecordKey::Session(session.clone()));
            self.registry.remove_session(&session);
            self.remove_deleted(caller.now_s, &Resource::Session(session));
        }
        self.mark_changed(RecordKey::NetworkInterface(id.clone()));
        self.registry.remove_network_interface(&id)?;
        self.remove_deleted(caller.now_s, &Resource::NetworkInterface(id.clone()));
        Ok(id)
    }

    /// Detaches a network interface from its synthetic instance, which then no longer exists. Its
    /// sessions stay.
    ///
    /// # Errors
    /// [`ApiError`] if the attachment does not exist, or is not one of an interface that a client
    /// created.
    pub fn detach_network_interface(
        &mut self,
        caller: &Caller<'_>,
        attachment: &str,
    ) -> Result<(), ApiError> {
        let named = self.attached_interface(caller, |id| attachment_id(id) == attachment);
        let Some(interface) = named else {
            let message = format!("The attachment ID '{attachment}' does not exist");
            return Err(ApiError::new("InvalidAttachmentID.NotFound", message));
        };
        let id = self.owned_interface(caller, interface.id().as_str())?;
        caller.check_not_dry_run()?;
        self.mark_changed(RecordKey::NetworkInterface(id.clone()));
        if let Some(interface) = self.registry.network_interface_mut(&id) {
            interface.is_detached = true;
        }
        Ok(())
    }

    /// The interface that is attached to an instance and whose id satisfies the condition.
    fn attached_interface(
        &self,
        caller: &Caller<'_>,
        is_named: impl Fn(&NetworkInterfaceId) -> bool,
    ) -> Option<&NetworkInterface> {
        let mut interfaces = self.visible_interfaces(caller.owner);
        interfaces.find(|one| !one.is_detached && is_named(one.id()))
    }

    /// An interface that the caller may refer to.
    pub(super) fn visible_interface(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<NetworkInterfaceId, ApiError> {
        let known = NetworkInterfaceId::new(id).ok();
        // A learned interface that is down was removed in the other emulator.
        let exists = |id: &NetworkInterfaceId| {
            let interface = self.registry.network_interface(id);
            interface.is_some_and(|interface| !(interface.is_learned && interface.is_down))
        };
        let known = known.filter(exists);
        let known = known.filter(|id| self.is_interface_visible(id, caller.owner));
        known.ok_or_else(|| interface_not_found(id))
    }

    /// An interface that the caller created.
    pub(super) fn owned_interface(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<NetworkInterfaceId, ApiError> {
        let known = self.visible_interface(caller, id)?;
        if self.network_interfaces.get(&known).is_some() {
            return Ok(known);
        }
        let message = format!(
            "'{id}' is a device of the host or is defined in a configuration file: clients can \
             change only network interfaces that they created."
        );
        Err(ApiError::new(NOT_PERMITTED, message))
    }

    /// The interface of a synthetic instance, which has the same tags, if the caller created it.
    pub(super) fn owned_instance(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<NetworkInterfaceId, ApiError> {
        match self.attached_interface(caller, |one| id.starts_with("i-") && instance_id(one) == id)
        {
            Some(interface) => self.owned_interface(caller, interface.id().as_str()),
            None if is_hex_id(id, "i-") => {
                let message = format!("The instance ID '{id}' does not exist");
                Err(ApiError::new("InvalidInstanceID.NotFound", message))
            }
            None => Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))),
        }
    }
}

/// Adds an address to those in use.
fn reserve(used: &mut BTreeSet<IpAddr>, address: IpAddr) -> Result<(), ApiError> {
    if used.insert(address) {
        return Ok(());
    }
    Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {address} is in use.")))
}

fn check_in_subnet(subnet: Subnet, address: Ipv4Addr) -> Result<(), ApiError> {
    let why = if !subnet.contains(address) {
        "does not fall within the subnet's address range"
    } else if subnet.is_reserved(address) {
        "is in subnet's reserved address range"
    } else {
        return Ok(());
    };
    let message = format!("Address {address} {why} ({}).", subnet.cidr_block());
    Err(ApiError::new("InvalidParameterValue", message))
}

/// Checks that all groups are the default group of the VPC, the only one that exists.
fn check_security_groups(subnet: Subnet, groups: &[String]) -> Result<(), ApiError> {
    let known = subnet.vpc().security_group_id();
    let Some(other) = groups.iter().find(|group| **group != known) else { return Ok(()) };
    let message = format!(
        "The security group '{other}' does not exist in the VPC of {}: it has only its default \
         group, {known}",
        subnet.id()
    );
    Err(ApiError::new("InvalidGroup.NotFound", message))
}

fn subnet_not_found(id: &str) -> ApiError {
    let message = format!("The subnet ID '{id}' does not exist");
    ApiError::new("InvalidSubnetID.NotFound", message)
}

fn subnet_is_full(subnet: Subnet) -> ApiError {
    let message = format!("{} has no free addresses to satisfy the request.", subnet.id());
    ApiError::new("InsufficientFreeAddressesInSubnet", message)
}

#[cfg(test)]
mod tests;
