//! Properties of network interfaces and targets that a test sets at run time. Clients of the EC2 API
//! do not see them as tags.

use std::net::SocketAddr;

use super::Lab;
use super::error::LabError;
use super::play::check_is_file;
use crate::control::vpc::synthetic_mac;
use crate::model::{InterfacePin, NetworkInterfaceId, TargetId};

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
        if let Some(path) = &pin.capture {
            check_is_file(path)?;
        }
        let interface_id = id.clone();
        self.shared.endpoint.change_account(move |account| {
            account.pin_network_interface(&interface_id, pin)?;
            let interface = account.registry_mut().network_interface_mut(&interface_id);
            // Clients expect that every interface has one.
            if let Some(interface) = interface {
                interface.mac_address.get_or_insert(synthetic_mac(&interface_id));
            }
            Ok(())
        })?;
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
        self.shared.endpoint.change_account(move |account| account.pin_target(&id, addresses))?;
        Ok(())
    }
}
