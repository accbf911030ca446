//! What an account learns from another emulator of AWS in front of which this program runs: network
//! interfaces, the addresses of load balancers, and the account id.

use std::sync::Arc;

use super::record_key::RecordKey;
use super::{Account, ApiError, Resource, interface_pins};
use crate::model::{NetworkInterface, NetworkInterfaceId, SessionId, TargetId, TargetKind};

impl Account {
    /// Reports that the program runs in front of another emulator. Then every ARN of a load balancer
    /// is accepted, because moto names each of them `loadbalancer/app/...`.
    pub const fn expect_emulator(&mut self) {
        self.emulator.is_present = true;
    }

    /// Whether the program runs in front of another emulator.
    #[must_use]
    pub const fn has_emulator(&self) -> bool {
        self.emulator.is_present
    }

    /// Shows this account id, twelve digits, wherever the id of the account's owner would be shown.
    /// Stored records keep the owner, so that resources stay visible when the other emulator is
    /// down.
    pub fn show_owner_as(&mut self, account_id: &str) {
        self.emulator.shown_owner = Some(Arc::from(account_id));
    }

    /// The account id that clients see for an owner of resources.
    #[must_use]
    pub fn shown_owner<'a>(&'a self, owner: &'a str) -> &'a str {
        match &self.emulator.shown_owner {
            Some(shown) if *owner == *self.owner => shown,
            _ => owner,
        }
    }

    /// The interfaces that were learned, in the order in which they were added.
    pub fn learned_interfaces(&self) -> impl Iterator<Item = &NetworkInterface> {
        self.registry.network_interfaces().iter().filter(|one| one.is_learned)
    }

    /// The restored interfaces that only a session or target of the state file refers to. They may
    /// be interfaces that an earlier run learned.
    pub fn unknown_interfaces(&self) -> impl Iterator<Item = &NetworkInterface> {
        let is_unknown =
            |one: &&NetworkInterface| one.is_discovered && !one.is_learned && one.device.is_none();
        self.registry.network_interfaces().iter().filter(is_unknown)
    }

    /// Adds a network interface of the other emulator, or updates what is known of it. An interface
    /// of the same id that was not learned stays as it is, except for one of which only the id is
    /// known.
    ///
    /// # Errors
    /// None is expected: the id is free or the interface exists.
    pub fn learn_interface(&mut self, learned: NetworkInterface) -> Result<(), ApiError> {
        let id = learned.id().clone();
        if !self.would_learn(&learned) {
            return Ok(());
        }
        let Some(known) = self.registry.network_interface_mut(&id) else {
            return Ok(self.registry.add_network_interface(merged(None, learned))?);
        };
        *known = merged(Some(known), learned);
        self.registry.touch_network_interface(&id);
        let targets: Vec<TargetId> =
            self.registry.targets_at(&id).map(|target| target.id().clone()).collect();
        targets.iter().for_each(|target| self.recheck_target(target));
        Ok(())
    }

    /// Whether [`Account::learn_interface`] would change anything.
    #[must_use]
    pub fn would_learn(&self, learned: &NetworkInterface) -> bool {
        let Some(known) = self.registry.network_interface(learned.id()) else { return true };
        let is_unknown = || self.unknown_interfaces().any(|one| one.id() == known.id());
        (known.is_learned || is_unknown()) && *known != merged(Some(known), learned.clone())
    }

    /// Removes a learned interface, which does not exist any more in the other emulator, and its
    /// sessions: AWS deletes the sessions of an interface with it. If a target names it, it stays as
    /// an interface that is down, which cannot be a source.
    pub fn forget_interface(&mut self, id: &NetworkInterfaceId, now_s: u64) {
        if self.registry.network_interface(id).is_none_or(|one| !one.is_learned) {
            return;
        }
        let sessions = self.registry.sessions_of(id).filter_map(|session| session.id.clone());
        let is_of_client =
            |id: &SessionId| self.sessions.get(id).is_some_and(|one| !one.is_from_file);
        let sessions: Vec<SessionId> = sessions.filter(is_of_client).collect();
        for session in sessions {
            self.mark_changed(RecordKey::Session(session.clone()));
            self.registry.remove_session(&session);
            self.remove_deleted(now_s, &Resource::Session(session));
        }
        if self.registry.remove_network_interface(id).is_err()
            && let Some(interface) = self.registry.network_interface_mut(id)
        {
            interface.is_down = true;
        }
    }

    /// The targets whose load balancer may be in the other emulator: those of clients. Each with
    /// the ARN of its load balancer.
    pub fn load_balancer_targets(&self) -> impl Iterator<Item = (&TargetId, &str)> {
        self.registry.targets().iter().filter_map(|target| match &target.kind {
            TargetKind::NetworkLoadBalancer(arn)
                if self.targets.get(target.id()).is_some_and(|one| !one.is_from_file) =>
            {
                Some((target.id(), &**arn))
            }
            _ => None,
        })
    }
}

/// An interface of the other emulator with the values of the known one that do not come from there:
/// the device, the port and the capture. Pinned values replace those of the emulator.
fn merged(known: Option<&NetworkInterface>, learned: NetworkInterface) -> NetworkInterface {
    let mut learned = learned;
    (learned.is_learned, learned.is_discovered) = (true, true);
    if let Some(known) = known {
        learned.device.clone_from(&known.device);
        learned.target_port = known.target_port;
        learned.capture.clone_from(&known.capture);
        // A pinned interface is not only discovered.
        learned.is_discovered = known.is_discovered;
        interface_pins::apply(&mut learned, known.pin.clone());
    }
    learned
}
