//! The tiers of the interfaces: opens each device in its tier, and moves an interface whose
//! sessions no longer fit, or fit again.
//!
//! During a move the programs count the copies that neither tier sends as dropped (`tier_switch`). No
//! frame is mirrored twice, and the new tier sends after the old one.

use super::Supervisor;
use crate::control::InterfaceTable;
use crate::io::clock::Stopwatch;
use crate::io::links::Link;
use crate::model::NetworkInterfaceId;
use crate::runtime::error::Error;
use crate::runtime::event::Event;
use crate::runtime::interface_workers::{CaptureState, InterfaceWorkers};
use crate::runtime::kernel_programs::{AttachCommand, ProgramsReport, TierRefusal};
use crate::runtime::message::Message;
use crate::runtime::tier::ActiveTier;
use crate::runtime::tier_chooser::TierChoice;

impl Supervisor {
    /// The number of interfaces whose devices exist, and of those among them that are expected to
    /// need rings.
    pub(super) fn expected(
        &self,
        wanted: &[(NetworkInterfaceId, InterfaceTable)],
    ) -> (usize, usize) {
        let links = wanted
            .iter()
            .filter_map(|(_, one)| Some((self.links.get(one.device.as_ref()?)?, &*one.table)));
        let choices: Vec<_> = links.map(|(link, table)| self.tiers.choose(link, table)).collect();
        let is_ring = |choice: &&TierChoice| matches!(choice, TierChoice::Ring(_));
        (choices.len(), choices.iter().filter(is_ring).count())
    }

    /// Opens the device of an interface, whose state is [`CaptureState::Opening`], in the tier that
    /// fits its sessions.
    pub(super) fn open_in_tier(&mut self, interface: &mut InterfaceWorkers, link: Link) {
        let Some(table) = self.shared.tables.table(&interface.id) else {
            return interface.fail("it has no session");
        };
        let number = table.table.number();
        match self.tiers.choose(&link, &table.table) {
            TierChoice::Kernel => self.attach_programs(interface, &link),
            TierChoice::Ring(refusal) => {
                interface.refusal = refusal.map(|refusal| (refusal, number));
                self.open_rings(interface, link);
            }
            TierChoice::Neither(refusal) => self.fail_required(interface, refusal),
        }
    }

    /// Applies a report of a worker about the programs of its interface.
    pub(super) fn observe_programs(
        &mut self,
        id: &NetworkInterfaceId,
        instance: u64,
        report: ProgramsReport,
    ) {
        let Some(mut interface) = self.interfaces.remove(id) else { return };
        if interface.instance == instance {
            self.apply_report(&mut interface, report);
        }
        self.interfaces.insert(id.clone(), interface);
    }

    /// Moves interfaces to the kernel tier whose sessions did not fit and fit now.
    pub(super) fn move_fitting_interfaces(&mut self) {
        let ids: Vec<_> = self.interfaces.keys().cloned().collect();
        for id in ids {
            let Some(mut interface) = self.interfaces.remove(&id) else { continue };
            if let Some(link) = self.link_that_fits(&interface) {
                interface.capture = CaptureState::Opening(link.index, Vec::new());
                let (device, reason) =
                    (interface.device.clone(), "its sessions fit now".to_owned());
                let tier = ActiveTier::Kernel;
                self.channels.events.send(Event::TierChanged { device, tier, reason });
                self.attach_programs(&mut interface, &link);
            }
            self.interfaces.insert(id, interface);
        }
    }

    /// Moves interfaces to the tier that suits their traffic.
    pub(super) fn move_by_traffic(&mut self) {
        let interval = std::mem::replace(&mut self.observed, Stopwatch::start()).elapsed();
        if !self.tiers.follows_traffic() {
            return;
        }
        let ids: Vec<_> = self.interfaces.keys().cloned().collect();
        for id in ids {
            let Some(mut interface) = self.interfaces.remove(&id) else { continue };
            if let Some(tier) = interface.observe_traffic(interval) {
                self.move_to(&mut interface, tier);
            }
            self.interfaces.insert(id, interface);
        }
    }

    fn move_to(&mut self, interface: &mut InterfaceWorkers, tier: ActiveTier) {
        let Some(index) = interface.attached() else { return };
        let link = self.links.get(&interface.device).filter(|link| link.index == index).cloned();
        let Some(link) = link else { return };
        if tier == ActiveTier::Ring {
            return self.apply_refusal(interface, link, TierRefusal::super_frames());
        }
        let is_movable = interface.refusal.as_ref().is_some_and(|(one, _)| one.is_about_traffic);
        let Some(table) = self.shared.tables.table(&interface.id) else { return };
        if is_movable && self.tiers.choose(&link, &table.table) == TierChoice::Kernel {
            interface.capture = CaptureState::Opening(index, Vec::new());
            let reason = "super-frames are no longer most of its traffic".to_owned();
            let device = interface.device.clone();
            self.channels.events.send(Event::TierChanged { device, tier, reason });
            self.attach_programs(interface, &link);
        }
    }

    /// The device of an interface that is in the ring because of its sessions, if these have
    /// changed and fit now.
    fn link_that_fits(&self, interface: &InterfaceWorkers) -> Option<Link> {
        let index = interface.attached()?;
        let (refusal, number) = interface.refusal.as_ref()?;
        if interface.tier != ActiveTier::Ring || !refusal.is_about_sessions {
            return None;
        }
        let table = self.shared.tables.table(&interface.id)?.table;
        let link = self.links.get(&interface.device).filter(|link| link.index == index)?;
        let fits = || self.tiers.choose(link, &table) == TierChoice::Kernel;
        (table.number() != *number && fits()).then(|| link.clone())
    }

    /// Sends worker 0 the command to attach programs with its newest table.
    fn attach_programs(&self, interface: &mut InterfaceWorkers, link: &Link) {
        let (id, instance) = (interface.id.clone(), interface.instance);
        let messages = self.channels.messages.clone();
        let report = move |report| {
            // Sending fails only if the run has ended.
            let _ = messages.send(Message::Programs(id.clone(), instance, report));
        };
        let (attach, keeps_table) =
            (self.tiers.attach_to(link.index), self.tiers.requires_kernel());
        interface.send_programs(|attached| AttachCommand {
            attach,
            keeps_table,
            report: Box::new(report),
            attached,
        });
    }

    fn apply_report(&mut self, interface: &mut InterfaceWorkers, report: ProgramsReport) {
        let index = match interface.capture {
            CaptureState::Opening(index, _) | CaptureState::Attached(index) => index,
            // The device was removed meanwhile.
            CaptureState::Absent | CaptureState::Failed => return,
        };
        let link = self.links.get(&interface.device).filter(|link| link.index == index).cloned();
        let Some(link) = link else { return };
        match report {
            ProgramsReport::Attached => {
                interface.refusal = None;
                self.starter.release_rings(interface);
                drop(interface.set_attached(&link, ActiveTier::Kernel));
                self.registry.set_tier(interface);
                self.registry.set_device_index(interface.instance, Some(index));
            }
            ProgramsReport::Refused(refusal) => self.apply_refusal(interface, link, refusal),
        }
    }

    /// Opens rings in place of programs, or fails if the kernel tier is required.
    fn apply_refusal(
        &mut self,
        interface: &mut InterfaceWorkers,
        link: Link,
        refusal: TierRefusal,
    ) {
        if let Some(log) = refusal.log.clone() {
            let device = interface.device.clone();
            self.channels.events.send(Event::VerifierLog { device, log });
        }
        if self.tiers.requires_kernel() {
            return self.fail_required(interface, refusal);
        }
        if interface.attached().is_some() {
            let (device, reason) = (interface.device.clone(), refusal.reason.clone());
            let tier = ActiveTier::Ring;
            self.channels.events.send(Event::TierChanged { device, tier, reason });
            interface.capture = CaptureState::Opening(link.index, Vec::new());
        }
        let table = self.shared.tables.table(&interface.id);
        let number = table.map(|table| table.table.number()).unwrap_or_default();
        interface.refusal = Some((refusal, number));
        self.open_rings(interface, link);
    }

    fn open_rings(&mut self, interface: &mut InterfaceWorkers, link: Link) {
        match self.starter.reserve_rings(interface) {
            Ok(()) => self.open_in_background(interface, link),
            Err(error) => interface.fail(&error),
        }
    }

    /// The required kernel tier cannot mirror an interface: at the start the run fails, later the
    /// capture fails and is tried again.
    fn fail_required(&mut self, interface: &mut InterfaceWorkers, refusal: TierRefusal) {
        interface.fail(&refusal.reason);
        if self.is_starting && !refusal.is_temporary {
            let sentence = format!("device `{}`: {}", interface.device, refusal.reason);
            let is_invalid = refusal.is_about_sessions;
            self.start_error.get_or_insert(Error::Tier { sentence, is_invalid });
        }
    }
}
