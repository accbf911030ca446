//! The address of each target: chosen from several sources, and chosen again when one changes.
//!
//! In this order: pinned at run time; the configuration file of the target; the tag
//! `mirror:address`; an option of the program; the address of the network interface; learned from
//! another system; the last address of an earlier run; the default of the program. A target without
//! an address is accepted, as AWS accepts it, and the copies of its sessions are dropped.

use std::net::SocketAddr;

use super::api_error::{ApiError, not_found};
use super::record_key::RecordKey;
use super::{Account, NamedBy};
use crate::model::{
    ADDRESS_TAG, AddressSources, InvalidValue, MAX_ADDRESSES, Tags, Target, TargetId, TargetKind,
    check_load_balancer_addresses, parse_target_addresses,
};

/// The chosen addresses of a target.
#[derive(Debug)]
pub(super) struct ResolvedAddresses {
    /// Empty if no address is known, or if they are those of the network interface.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) source: AddressSource,
}

/// The source of the addresses of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressSource {
    Pinned,
    Configured,
    Tag,
    Option,
    NetworkInterface,
    Learned,
    Last,
    Default,
    Unknown,
}

impl AddressSource {
    /// Whether the addresses replace those of an earlier run.
    const fn replaces_last(self) -> bool {
        matches!(self, Self::Configured | Self::Tag | Self::Option | Self::NetworkInterface)
    }
}

impl Account {
    /// Pins the addresses of a target, of a file too, until they are replaced. An empty list
    /// removes the pin. The sessions of the target use the addresses from then on. The pin is in
    /// the state, and is never visible as a tag.
    ///
    /// # Errors
    /// [`ApiError`] for an unknown target, an address that a client may not name, an address of the
    /// source of a session, and several addresses for a target that is no load balancer.
    pub fn pin_target(
        &mut self,
        id: &TargetId,
        addresses: Vec<SocketAddr>,
    ) -> Result<(), ApiError> {
        let Some(target) = self.registry.target(id) else {
            return Err(not_found("Target", TargetId::PREFIX, id.as_str()));
        };
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(canonical).collect();
        check_addresses(&target.kind, &addresses)?;
        self.check_client_addresses(id, &addresses)?;
        let sources = AddressSources { pinned: addresses, ..target.sources.clone() };
        self.set_sources(id, sources);
        Ok(())
    }

    /// Sets the addresses of a target that were learned from another system; an empty list removes
    /// them. They are used while no source of higher precedence has an address, and are not in the
    /// state. Addresses of another family than the first, repeated addresses and those above the
    /// limit are ignored, and all but the first if the target is no load balancer.
    pub fn learn_target(&mut self, id: &TargetId, addresses: Vec<SocketAddr>) {
        let Some(target) = self.registry.target(id) else { return };
        let mut learned: Vec<SocketAddr> = Vec::new();
        let max = if target.kind.is_load_balancer() { MAX_ADDRESSES } else { 1 };
        for address in addresses.into_iter().map(canonical) {
            let is_like_first =
                learned.first().is_none_or(|one| one.is_ipv4() == address.is_ipv4());
            if is_like_first && !learned.contains(&address) && learned.len() < max {
                learned.push(address);
            }
        }
        let mut sources = target.sources.clone();
        sources.learned = learned;
        if let Some(target) = self.registry.target_mut(id) {
            target.sources = sources;
        }
        self.recheck_target(id);
    }

    /// The targets for which no address is known, and the resource that each names. A target whose
    /// address is forbidden is in [`Account::inactive`] instead.
    pub fn targets_without_address(&self) -> impl Iterator<Item = (&TargetId, &TargetKind)> {
        self.registry.targets_without_address().map(|target| (target.id(), &target.kind))
    }

    /// Chooses the addresses of a target, which need not be in the registry.
    ///
    /// # Errors
    /// [`ApiError`] if its tag is no address, or copies may not be sent to the chosen address.
    pub(super) fn resolve_target(&self, target: &Target) -> Result<ResolvedAddresses, ApiError> {
        let (resolved, named_by) = self.choose_addresses(target)?;
        let addresses = resolved.addresses.iter().map(|address| address.ip());
        for address in addresses.clone() {
            self.target_resolver.check_target(address, named_by)?;
        }
        if matches!(resolved.source, AddressSource::Learned | AddressSource::Default) {
            self.check_addresses_leave_all(target.id(), &resolved.addresses)?;
        }
        Ok(resolved)
    }

    /// Chooses the addresses of a new target or of one with new tags.
    ///
    /// # Errors
    /// Those of [`Account::resolve_target`], and one if no address is known and the program requires
    /// addresses.
    pub(super) fn resolve_for_client(
        &self,
        target: &Target,
    ) -> Result<ResolvedAddresses, ApiError> {
        let resolved = self.resolve_target(target)?;
        match resolved.source == AddressSource::Unknown && self.target_resolver.is_strict() {
            true => Err(no_known_address(&target.kind)),
            false => Ok(resolved),
        }
    }

    fn choose_addresses(&self, target: &Target) -> Result<(ResolvedAddresses, NamedBy), ApiError> {
        let sources = &target.sources;
        let chosen = |addresses: &[SocketAddr], source, named_by| {
            Ok((ResolvedAddresses { addresses: addresses.to_vec(), source }, named_by))
        };
        if !sources.pinned.is_empty() {
            return chosen(&sources.pinned, AddressSource::Pinned, NamedBy::Client);
        }
        if !sources.configured.is_empty() {
            return chosen(&sources.configured, AddressSource::Configured, NamedBy::User);
        }
        if let Some(text) = target.tags.get(ADDRESS_TAG) {
            let addresses = parse_target_addresses(ADDRESS_TAG, text, &target.kind)?;
            return chosen(&addresses, AddressSource::Tag, NamedBy::Client);
        }
        if let Some(assigned) = self.target_resolver.assigned(&target.kind) {
            return chosen(assigned, AddressSource::Option, NamedBy::User);
        }
        if let Some(named_by) = self.interface_address_named_by(target)? {
            return chosen(&[], AddressSource::NetworkInterface, named_by);
        }
        if !sources.learned.is_empty() {
            return chosen(&sources.learned, AddressSource::Learned, NamedBy::Client);
        }
        if !sources.last.is_empty() {
            return chosen(&sources.last, AddressSource::Last, NamedBy::Client);
        }
        match self.target_resolver.default_address(&target.kind) {
            Some(default) => chosen(&[default], AddressSource::Default, NamedBy::User),
            None => chosen(&[], AddressSource::Unknown, NamedBy::User),
        }
    }

    /// Who named the address of the network interface that is the target; `None` if the target is
    /// no interface, or the interface has no address.
    ///
    /// # Errors
    /// [`ApiError`] if copies may not be sent to that address.
    fn interface_address_named_by(&self, target: &Target) -> Result<Option<NamedBy>, ApiError> {
        let TargetKind::NetworkInterface(id) = &target.kind else { return Ok(None) };
        let interface = self.registry.network_interface(id);
        let first = interface.and_then(|one| Some((one, *one.private_ip_addresses.first()?)));
        let Some((interface, address)) = first else { return Ok(None) };
        let is_from_file = self.targets.get(target.id()).is_some_and(|one| one.is_from_file);
        let is_pinned = interface.pin.private_ip_addresses.is_some();
        let is_created = self.network_interfaces.get(id).is_some() || interface.is_learned;
        let is_of_client = is_pinned || is_created || interface.device.is_some() && !is_from_file;
        let named_by = if is_of_client { NamedBy::Client } else { NamedBy::User };
        self.target_resolver.check_target(address, named_by)?;
        Ok(Some(named_by))
    }

    /// Resolves the addresses of a target again, and checks that copies may be sent to them.
    pub(super) fn recheck_target(&mut self, id: &TargetId) {
        let Some(target) = self.registry.target(id) else { return };
        let mut checked = target.clone();
        match self.resolve_target(target) {
            Ok(ResolvedAddresses { addresses, source }) => {
                checked.set_addresses(addresses);
                if source.replaces_last() {
                    checked.sources.last.clear();
                }
            }
            Err(_) => checked.is_forbidden = true,
        }
        // `target_mut` marks the target's sessions for compilation, and most targets are unchanged.
        if checked != *target
            && let Some(target) = self.registry.target_mut(id)
        {
            *target = checked;
        }
    }

    /// The addresses of the state record of a target: not those that a later run finds again or
    /// must learn again.
    pub(super) fn lasting_addresses(&self, target: &Target) -> Vec<SocketAddr> {
        match self.resolve_target(target) {
            Ok(resolved) if resolved.source.replaces_last() => {
                self.registry.target_addresses(target).collect()
            }
            Ok(_) => target.sources.last.clone(),
            Err(_) => target.address.iter().chain(&target.further_addresses).copied().collect(),
        }
    }

    /// Checks the addresses of a client for the sessions that send to a target.
    fn check_client_addresses(
        &self,
        id: &TargetId,
        addresses: &[SocketAddr],
    ) -> Result<(), ApiError> {
        for address in addresses {
            self.target_resolver.check_target(address.ip(), NamedBy::Client)?;
        }
        self.check_addresses_leave_all(id, addresses)
    }

    /// Checks that copies to these addresses do not return to the source of any session of the
    /// target.
    pub(super) fn check_addresses_leave_all(
        &self,
        id: &TargetId,
        addresses: &[SocketAddr],
    ) -> Result<(), ApiError> {
        for session in self.registry.sessions_to(id) {
            let addresses = addresses.iter().map(|address| address.ip());
            self.check_addresses_leave(&session.network_interface_id, id, addresses)?;
        }
        Ok(())
    }

    fn set_sources(&mut self, id: &TargetId, sources: AddressSources) {
        // Targets of files have no record.
        if self.targets.get(id).is_some_and(|one| !one.is_from_file) {
            self.mark_changed(RecordKey::Target(id.clone()));
        }
        if let Some(target) = self.registry.target_mut(id) {
            target.sources = sources;
        }
        self.recheck_target(id);
    }

    /// The same target with other tags. Last addresses of an earlier run end with a change of the
    /// address tag.
    pub(super) fn with_tags(target: &Target, tags: Tags) -> Target {
        let mut changed = target.clone();
        if target.tags.get(ADDRESS_TAG) != tags.get(ADDRESS_TAG) {
            changed.sources.last.clear();
        }
        changed.tags = tags;
        changed
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Checks the ports of addresses, and whether a target of this kind can have all of them.
fn check_addresses(kind: &TargetKind, addresses: &[SocketAddr]) -> Result<(), InvalidValue> {
    const FIELD: &str = "addresses";
    if let Some(address) = addresses.iter().find(|address| address.port() == 0) {
        return Err(InvalidValue::new(FIELD, address, "a port from 1 to 65535"));
    }
    if addresses.len() > 1 && !kind.is_load_balancer() {
        let expected = "one address: only a load balancer has several";
        return Err(InvalidValue::new(FIELD, addresses.len(), expected));
    }
    check_load_balancer_addresses(FIELD, addresses)
}

/// The error for a target without an address, if the program requires addresses. AWS has no such
/// error.
fn no_known_address(kind: &TargetKind) -> ApiError {
    let (noun, name, option) = match kind {
        TargetKind::Address => return ApiError::missing_parameter(ADDRESS_TAG),
        TargetKind::NetworkInterface(id) => ("network interface", id.as_str(), ""),
        TargetKind::NetworkLoadBalancer(arn) => ("load balancer", &**arn, "--load-balancer"),
        TargetKind::GatewayLoadBalancerEndpoint(id) => ("endpoint", &**id, "--gwlb-endpoint"),
    };
    let assign = match option {
        "" => String::new(),
        option => format!(", or start the program with the option {option} {name}=ADDRESS"),
    };
    let message = format!(
        "No address is known for the {noun} '{name}'. Set it with the tag {ADDRESS_TAG} (IP or \
         IP:PORT){assign}."
    );
    ApiError::new("InvalidTrafficMirrorTarget", message)
}

#[cfg(test)]
mod tests;
