//! Whether the kernel tier can mirror the interfaces of a registry, as far as the registry tells.

use super::Registry;
use super::compile::{CompileOptions, parts_of_interface};
use crate::dataplane::kernel::{DoesNotFit, check_fit};
use crate::model::NetworkInterfaceId;

/// For each interface that has a session, in the order of the configuration, whether its sessions
/// fit the kernel tier. Every session must have a network identifier; see
/// [`with_network_ids`](super::with_network_ids).
pub fn kernel_fit<'r>(
    registry: &'r Registry,
    options: &CompileOptions,
) -> impl Iterator<Item = (&'r NetworkInterfaceId, Result<(), DoesNotFit>)> {
    registry.sources().filter_map(move |interface| {
        let parts = parts_of_interface(registry, options, interface.id())?;
        Some((interface.id(), check_fit(&parts.sessions)))
    })
}
