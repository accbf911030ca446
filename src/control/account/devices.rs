//! The addresses of the devices of this host, and the targets whose copies would return to the
//! device that they come from.
//!
//! Mirroring to such a target would mirror each copy again without end, so its sessions are
//! inactive.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::Account;
use super::api_error::ApiError;
use crate::model::{NetworkInterface, NetworkInterfaceId, SessionId, Target, TargetId};

/// Addresses of the devices of this host.
#[derive(Debug, Clone, Default)]
pub struct HostDevices {
    by_name: HashMap<String, Device>,
    broadcasts: Vec<Ipv4Addr>,
}

#[derive(Debug, Clone)]
struct Device {
    is_loopback: bool,
    addresses: Vec<IpAddr>,
}

/// A target that no copies may be sent to, so its sessions are inactive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InactiveTarget {
    /// The target.
    pub target: TargetId,
    /// The sessions that send to it.
    pub sessions: Vec<SessionId>,
    /// Why no copies may be sent to it.
    pub why: String,
}

impl HostDevices {
    /// Adds a device, its addresses, and the broadcast addresses of its networks.
    pub fn add(
        &mut self,
        name: &str,
        is_loopback: bool,
        addresses: &[IpAddr],
        broadcasts: &[Ipv4Addr],
    ) {
        let device = Device { is_loopback, addresses: addresses.to_vec() };
        self.by_name.insert(name.to_owned(), device);
        self.broadcasts.extend(broadcasts);
    }

    fn is_own_address(&self, interface: &NetworkInterface, address: IpAddr) -> bool {
        let device = interface.device.as_ref().and_then(|name| self.by_name.get(name));
        interface.private_ip_addresses.contains(&address)
            || device.is_some_and(|one| returns_to_device(&one.addresses, one.is_loopback, address))
    }
}

/// Whether a copy to `address` returns to the device with these `addresses`: `address` is one of
/// them, or both are loopback. Each copy of its traffic would then be mirrored again without end.
#[must_use]
pub fn returns_to_device(addresses: &[IpAddr], is_loopback: bool, address: IpAddr) -> bool {
    let address = address.to_canonical();
    addresses.contains(&address) || is_loopback && address.is_loopback()
}

impl Account {
    /// Stores the devices of this host, and checks all targets again, because addresses may have
    /// changed. Returns the targets that have become inactive.
    pub fn set_devices(&mut self, devices: HostDevices) -> Vec<InactiveTarget> {
        self.target_resolver.set_broadcasts(devices.broadcasts.clone());
        self.devices = devices;
        let before: Vec<TargetId> = self.inactive().into_iter().map(|one| one.target).collect();
        let targets = self.registry.targets().iter().map(|one| one.id());
        let ids: Vec<TargetId> = targets.cloned().collect();
        ids.iter().for_each(|id| self.recheck_target(id));
        let mut inactive = self.inactive();
        inactive.retain(|one| !before.contains(&one.target));
        inactive
    }

    /// The inactive targets.
    #[must_use]
    pub fn inactive(&self) -> Vec<InactiveTarget> {
        let forbidden = self.registry.targets().iter().filter(|target| target.is_forbidden);
        let inactive = forbidden.map(|target| {
            let sessions = self.registry.sessions_to(target.id());
            InactiveTarget {
                target: target.id().clone(),
                sessions: sessions.filter_map(|session| session.id.clone()).collect(),
                why: self.why_forbidden(target),
            }
        });
        inactive.collect()
    }

    fn why_forbidden(&self, target: &Target) -> String {
        match self.resolve_target(target) {
            Err(why) => why.message,
            Ok(_) => "copies cannot be sent to its last known address".to_owned(),
        }
    }

    /// Checks that copies from a source to these addresses do not return to the source.
    ///
    /// # Errors
    /// [`ApiError`] that names the first address of the source.
    pub(super) fn check_addresses_leave(
        &self,
        source: &NetworkInterfaceId,
        target: &TargetId,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), ApiError> {
        let Some(interface) = self.registry.network_interface(source) else { return Ok(()) };
        match addresses.into_iter().find(|address| self.devices.is_own_address(interface, *address))
        {
            None => Ok(()),
            Some(address) => {
                let message = format!(
                    "The copies for {target} would return to their source: {address} is an address \
                     of {source}"
                );
                Err(ApiError::new("InvalidTrafficMirrorTarget", message))
            }
        }
    }
}
