//! Properties of network interfaces and targets that a test sets at run time. Clients of the EC2 API
//! do not see them as tags.

use std::net::SocketAddr;

use super::Lab;
use super::error::LabError;
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
            std::fs::File::open(path).map_err(|error| {
                LabError::invalid("InvalidCapture", format_args!("{}: {error}", path.display()))
            })?;
        }
        let interface_id = id.clone();
        self.shared
            .endpoint
            .change_account(move |account| account.pin_network_interface(&interface_id, pin))?;
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
