//! Pins network interfaces at run time to addresses, a capture or a device.

use std::net::IpAddr;

use super::{Account, ApiError};
use crate::model::{
    InterfacePin, InvalidValue, NetworkInterface, NetworkInterfaceId, TargetId,
    non_host_address_kind,
};

impl Account {
    /// Sets the given values of a network interface, and adds the interface if it does not exist.
    /// The values of its device do not replace them. Targets that name the interface, and the outer
    /// source addresses of its copies, follow its addresses. Pins of interfaces are not in the state.
    ///
    /// # Errors
    /// [`ApiError`] for an address that is not that of one host, for addresses to which a session of
    /// the interface sends its copies, and for a device that another interface uses.
    pub fn pin_network_interface(
        &mut self,
        id: &NetworkInterfaceId,
        pin: InterfacePin,
    ) -> Result<(), ApiError> {
        self.check_pinned_addresses(id, pin.private_ip_addresses.as_deref().unwrap_or_default())?;
        if let Some(device) = &pin.device {
            self.release_device(id, device)?;
        }
        if self.registry.network_interface(id).is_none() {
            self.registry.add_network_interface(NetworkInterface::new(id.clone()))?;
        }
        if let Some(interface) = self.registry.network_interface_mut(id) {
            interface.is_discovered = false;
            apply(interface, pin);
        }
        self.registry.touch_network_interface(id);
        let targets: Vec<TargetId> =
            self.registry.targets_at(id).map(|target| target.id().clone()).collect();
        targets.iter().for_each(|target| self.recheck_target(target));
        Ok(())
    }

    fn check_pinned_addresses(
        &self,
        id: &NetworkInterfaceId,
        addresses: &[IpAddr],
    ) -> Result<(), ApiError> {
        const FIELD: &str = "private_ip_addresses";
        for address in addresses {
            if let Some(kind) = non_host_address_kind(*address) {
                let expected = format!("the address of a network interface, not {kind}");
                return Err(InvalidValue::new(FIELD, address, expected).into());
            }
        }
        for session in self.registry.sessions_of(id) {
            let Some(target) = self.registry.target(&session.target_id) else { continue };
            let mut destinations = self.registry.target_addresses(target);
            if let Some(address) = destinations.find(|one| addresses.contains(&one.ip())) {
                let expected = format!("no address of {}, to which {id} is mirrored", target.id());
                return Err(InvalidValue::new(FIELD, address.ip(), expected).into());
            }
        }
        Ok(())
    }

    /// Removes the interface that was listed only because the host has the device, so that another
    /// interface can have the device.
    fn release_device(&mut self, id: &NetworkInterfaceId, device: &str) -> Result<(), ApiError> {
        let mut interfaces = self.registry.network_interfaces().iter();
        let has_device = |one: &&NetworkInterface| one.device.as_deref() == Some(device);
        let Some(other) = interfaces.find(|one| has_device(one) && one.id() != id) else {
            return Ok(());
        };
        let other = other.clone();
        if other.is_discovered && self.registry.remove_network_interface(other.id()).is_ok() {
            return Ok(());
        }
        let expected = format!("a device that no other interface has, but {} has it", other.id());
        Err(InvalidValue::new("device", device, expected).into())
    }
}

/// Sets the given values of an interface, and records that they are pinned.
pub(super) fn apply(interface: &mut NetworkInterface, pin: InterfacePin) {
    let InterfacePin { private_ip_addresses, mac_address, capture, device } = pin;
    if let Some(addresses) = private_ip_addresses {
        let addresses: Vec<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
        interface.private_ip_addresses.clone_from(&addresses);
        interface.has_device_addresses = false;
        interface.pin.private_ip_addresses = Some(addresses);
    }
    if mac_address.is_some() {
        (interface.mac_address, interface.pin.mac_address) = (mac_address, mac_address);
    }
    if capture.is_some() {
        interface.capture.clone_from(&capture);
        interface.pin.capture = capture;
    }
    if device.is_some() {
        interface.device.clone_from(&device);
        interface.pin.device = device;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Registry;
    use crate::control::account::{Quotas, TargetResolver};
    use crate::model::{MacAddress, Target, TargetKind};

    fn eni(name: &str) -> NetworkInterfaceId {
        NetworkInterfaceId::new(name).unwrap()
    }

    /// An account with a session from `eni-cli` to 192.0.2.9, and the listed device `eth0`.
    fn account() -> Account {
        let mut registry = Registry::accept_all(([192, 0, 2, 9], 4789).into(), None, None);
        let mut listed = NetworkInterface::new(eni("eni-listed"));
        (listed.device, listed.is_discovered) = (Some("eth0".to_owned()), true);
        registry.add_network_interface(listed).unwrap();
        let mut account =
            Account::new(registry, Quotas::default(), TargetResolver::default(), || 1);
        account.registry_mut().take_touched();
        account
    }

    fn addresses(texts: &[&str]) -> InterfacePin {
        let parsed = texts.iter().map(|one| one.parse().unwrap());
        InterfacePin { private_ip_addresses: Some(parsed.collect()), ..InterfacePin::default() }
    }

    #[test]
    fn a_pin_adds_an_interface_and_changes_only_the_given_values() {
        let mut account = account();
        let id = eni("eni-new");
        account.pin_network_interface(&id, addresses(&["::ffff:10.0.0.5"])).unwrap();
        let mac = MacAddress::new([2, 0, 0, 0, 0, 5]);
        let capture = Some("trace.pcap".into());
        let pin = InterfacePin { mac_address: Some(mac), capture, ..InterfacePin::default() };
        account.pin_network_interface(&id, pin).unwrap();
        let interface = account.registry().network_interface(&id).unwrap();
        assert_eq!(interface.private_ip_addresses, [IpAddr::from([10, 0, 0, 5])]);
        assert_eq!((interface.mac_address, interface.device.as_deref()), (Some(mac), None));
        assert_eq!(interface.capture.as_deref(), Some(std::path::Path::new("trace.pcap")));
        assert!(interface.tags.is_empty());
    }

    #[test]
    fn a_changed_address_touches_the_sessions_of_the_interface() {
        let mut account = account();
        account.pin_network_interface(&eni("eni-cli"), addresses(&["10.0.0.5"])).unwrap();
        assert!(account.registry_mut().take_touched().contains(&eni("eni-cli")));
    }

    #[test]
    fn a_listed_device_moves_to_the_pinned_interface_and_a_used_one_does_not() {
        let mut account = account();
        let pin = || InterfacePin { device: Some("eth0".to_owned()), ..InterfacePin::default() };
        account.pin_network_interface(&eni("eni-a"), pin()).unwrap();
        assert!(account.registry().network_interface(&eni("eni-listed")).is_none());
        let refused = account.pin_network_interface(&eni("eni-b"), pin()).unwrap_err();
        assert!(refused.message.contains("eni-a has it"), "{}", refused.message);
        assert!(account.registry().network_interface(&eni("eni-b")).is_none());
    }

    #[test]
    fn an_address_that_no_interface_can_have_is_refused() {
        let mut account = account();
        for (wrong, part) in
            [("224.0.0.1", "multicast"), ("0.0.0.0", "unspecified"), ("192.0.2.9", "mirrored")]
        {
            let refused = account.pin_network_interface(&eni("eni-cli"), addresses(&[wrong]));
            assert!(refused.unwrap_err().message.contains(part), "{wrong}");
        }
    }

    #[test]
    fn a_target_at_a_pinned_loopback_address_is_forbidden() {
        let mut account = account();
        let id = TargetId::new("tmt-lo").unwrap();
        let kind = TargetKind::NetworkInterface(eni("eni-x"));
        account.registry_mut().add_target(Target::new(id.clone(), kind)).unwrap();
        account.pin_network_interface(&eni("eni-x"), addresses(&["127.0.0.1"])).unwrap();
        assert!(account.registry().target(&id).unwrap().is_forbidden);
        account.pin_network_interface(&eni("eni-x"), addresses(&["10.0.0.9"])).unwrap();
        let target = account.registry().target(&id).unwrap();
        assert_eq!(account.registry().target_address(target), Some(([10, 0, 0, 9], 4789).into()));
    }
}
