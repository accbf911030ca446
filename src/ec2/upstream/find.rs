//! Finds a network interface of the other emulator by its id, an address, or its instance.

use std::net::IpAddr;

use super::document::first_text;
use super::query::{EC2, Scope, filter};
use super::{Upstream, UpstreamError};
use crate::model::NetworkInterfaceId;

impl Upstream {
    /// The id of the network interface that a text names: its own id, a private address, the id of
    /// an instance, or the tag `Name` of a running instance. `None` if there is none.
    pub(in crate::ec2) async fn find_interface(
        &self,
        name: &str,
    ) -> Result<Option<NetworkInterfaceId>, UpstreamError> {
        let scope = self.scope();
        let action = match () {
            () if name.starts_with("eni-") => return Ok(NetworkInterfaceId::new(name).ok()),
            () if name.parse::<IpAddr>().is_ok() => "DescribeNetworkInterfaces",
            () => "DescribeInstances",
        };
        let filters = match action {
            "DescribeNetworkInterfaces" => filter("addresses.private-ip-address", [name]),
            _ if name.starts_with("i-") => filter("instance-id", [name]),
            _ => {
                let mut filters = filter("tag:Name", [name]);
                filters.push(("Filter.2.Name".to_owned(), "instance-state-name".to_owned()));
                filters.push(("Filter.2.Value.1".to_owned(), "running".to_owned()));
                filters
            }
        };
        let text = self.ask(&scope, EC2, action, &filters).await?;
        let id = first_text(&text, "networkInterfaceId");
        Ok(id.and_then(|id| NetworkInterfaceId::new(&id).ok()))
    }

    /// The scope of questions of this program: that of the last request of a client.
    pub(in crate::ec2) fn scope(&self) -> Scope {
        self.last_scope().unwrap_or_else(Scope::conventional)
    }
}
