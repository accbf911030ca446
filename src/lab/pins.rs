//! Properties of network interfaces and targets that a test sets at run time. Clients of the EC2 API
//! do not see them as tags.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Lab;
use super::error::LabError;
use crate::model::{MacAddress, NetworkInterface, NetworkInterfaceId, TargetId};

/// New properties of a network interface. `None` leaves a property as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfacePin {
    /// The private addresses, the primary one first.
    pub private_ip_addresses: Option<Vec<IpAddr>>,
    /// The MAC address.
    pub mac_address: Option<MacAddress>,
    /// The capture that is played if a client sends none.
    pub capture: Option<PathBuf>,
    /// The Linux device that it stands for.
    pub device: Option<String>,
}

impl Lab {
    /// Sets properties of a network interface, and creates it if it does not exist.
    ///
    /// # Errors
    /// [`LabError`]: the capture cannot be read, or the change cannot be persisted.
    pub fn pin_network_interface(
        &self,
        id: &NetworkInterfaceId,
        pin: InterfacePin,
    ) -> Result<(), LabError> {
        let InterfacePin { private_ip_addresses, mac_address, capture, device } = pin;
        if let Some(path) = &capture {
            std::fs::File::open(path).map_err(|error| {
                LabError::invalid("InvalidCapture", format_args!("{}: {error}", path.display()))
            })?;
        }
        let interface_id = id.clone();
        self.shared.endpoint.change_account(move |account| {
            let registry = account.registry_mut();
            if registry.network_interface(&interface_id).is_none() {
                registry.add_network_interface(NetworkInterface::new(interface_id.clone()))?;
            }
            if let Some(known) = registry.network_interface_mut(&interface_id) {
                known.mac_address = mac_address.or(known.mac_address);
                known.device = device.or_else(|| known.device.take());
                if let Some(addresses) = private_ip_addresses {
                    known.private_ip_addresses = addresses;
                }
            }
            registry.touch_network_interface(&interface_id);
            Ok(())
        })?;
        if let Some(path) = capture {
            self.shared.captures().insert(id.clone(), path);
        }
        Ok(())
    }

    /// Sets the addresses of a target, which take precedence over its tags and all else. No
    /// addresses remove the pin.
    ///
    /// # Errors
    /// [`LabError`]: the target does not exist, or copies cannot be sent to an address.
    pub fn pin_target(&self, id: &TargetId, addresses: Vec<SocketAddr>) -> Result<(), LabError> {
        self.check_target(id)?;
        let id = id.clone();
        self.shared.endpoint.change_account(move |account| {
            if let Some(target) = account.registry_mut().target_mut(&id) {
                let mut addresses = addresses.into_iter();
                target.address = addresses.next();
                target.further_addresses = addresses.collect();
            }
            Ok(())
        })?;
        Ok(())
    }
}
