//! The report of a replay, a live run or a play of the laboratory: frames received, mirrored, not
//! mirrored and dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::dataplane::{
    Counters, DropCause, MirrorTable, NotMirrored, SessionCounters, TargetIndex,
};
use crate::io::impair::ImpairmentCounts;

/// The counters of a run. Its JSON form is part of the command line's contract.
#[derive(Debug, Serialize)]
pub struct MirrorReport {
    /// Pairs of a frame and one of its network interfaces.
    pub received: u64,
    /// The copies that left.
    pub mirrored: u64,
    /// The length of the copies in bytes, with their outer headers.
    pub mirrored_bytes: u64,
    /// The copies and frames that were lost, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
    /// The frames that were not mirrored, by reason.
    pub not_mirrored: BTreeMap<&'static str, u64>,
    /// With fault injection only: what it did to mirrored copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impaired: Option<ImpairmentCounts>,
    /// The sessions, in the order of their evaluation.
    pub sessions: Vec<SessionSummary>,
    /// The targets of these sessions.
    pub targets: Vec<TargetSummary>,
    /// The time of the run in nanoseconds.
    pub elapsed_ns: u64,
    /// Live only: the difference between the frames that the kernel delivered and the frames that
    /// are counted. Not zero means a bug in this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unaccounted: Option<u64>,
    /// Frames that the workers evaluated, for the rate. `received` counts pairs of frame and
    /// interface.
    #[serde(skip)]
    pub frames: u64,
}

/// The copies of a session.
#[derive(Debug, Serialize)]
pub struct SessionSummary {
    /// The id of the session.
    pub traffic_mirror_session_id: String,
    /// The source.
    pub network_interface_id: String,
    /// The target.
    pub traffic_mirror_target_id: String,
    /// SessionNumber.
    pub session_number: u16,
    /// VirtualNetworkId.
    pub virtual_network_id: u32,
    /// The copies that left.
    pub mirrored: u64,
    /// Their length in bytes, with the outer headers.
    pub mirrored_bytes: u64,
    /// The copies that are shorter than their frames.
    pub truncated: u64,
    /// Truncated copies that are shorter than PacketLength because of the target's MTU.
    pub truncated_to_mtu: u64,
    /// Copies that the session accepted and that were dropped. Absent if there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

/// The copies to a target.
#[derive(Debug, Serialize)]
pub struct TargetSummary {
    /// The id of the target.
    pub traffic_mirror_target_id: String,
    /// Its address and UDP port. Absent if the target has no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The other addresses of a load balancer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_addresses: Vec<String>,
    /// The copies that left.
    pub mirrored: u64,
    /// Their length in bytes, with the outer headers.
    pub mirrored_bytes: u64,
    /// ICMP port-unreachable replies. The copies were sent. Targets with one address have the same
    /// number, because a reply does not contain the target.
    pub refused: u64,
    /// Other ICMP destination-unreachable replies.
    pub unreachable: u64,
}

/// The ICMP errors about copies that were sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryErrors {
    /// The address.
    pub destination: SocketAddr,
    /// Port unreachable.
    pub refused: u64,
    /// Other errors.
    pub unreachable: u64,
}

/// Whether a count is omitted from the report.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl MirrorReport {
    /// Adds the delivery errors of the targets. An ICMP error contains only the address, so it is
    /// counted for every target to whose address copies were sent.
    pub fn add_delivery_errors(&mut self, errors: impl IntoIterator<Item = DeliveryErrors>) {
        for reported in errors {
            // Match by address, because the index may refer to an older table.
            let address = reported.destination.to_string();
            let has_address = |one: &TargetSummary| {
                one.address.as_ref() == Some(&address) || one.further_addresses.contains(&address)
            };
            let is_used = |one: &TargetSummary| has_address(one) && one.mirrored > 0;
            let is_any_used = self.targets.iter().any(is_used);
            for target in &mut self.targets {
                if is_used(target) || has_address(target) && !is_any_used {
                    target.refused += reported.refused;
                    target.unreachable += reported.unreachable;
                }
            }
        }
    }

    /// Counts all copies as dropped, because the only output was a file that was not kept.
    pub fn count_all_as_dropped(&mut self, cause: DropCause) {
        let lost = std::mem::take(&mut self.mirrored);
        self.mirrored_bytes = 0;
        if lost > 0 {
            *self.dropped.entry(cause.label()).or_default() += lost;
        }
        for session in &mut self.sessions {
            session.dropped += std::mem::take(&mut session.mirrored);
            session.mirrored_bytes = 0;
            (session.truncated, session.truncated_to_mtu) = (0, 0);
        }
        for target in &mut self.targets {
            (target.mirrored, target.mirrored_bytes) = (0, 0);
        }
    }

    /// The report of one table.
    #[must_use]
    pub fn new(table: &MirrorTable, counters: &Counters, elapsed: Duration) -> Self {
        let mut report = Self::from_counters(counters, elapsed);
        report.add_table(table, counters);
        report
    }

    /// The report of a live run. Each interface has its own table; `other` has the counters of
    /// removed interfaces and sessions.
    pub fn from_interfaces<'a>(
        interfaces: impl Iterator<Item = (&'a MirrorTable, &'a Counters)> + Clone,
        other: &'a Counters,
        elapsed: Duration,
    ) -> Self {
        let all = interfaces.clone().map(|(_, counters)| counters);
        let mut report = Self::from_counters(&Counters::sum(all.chain([other])), elapsed);
        interfaces.for_each(|(table, counters)| report.add_table(table, counters));
        report
    }

    fn from_counters(counters: &Counters, elapsed: Duration) -> Self {
        let dropped = DropCause::ALL.iter().map(|one| (one.label(), counters.dropped(*one)));
        let not_mirrored =
            NotMirrored::ALL.iter().map(|one| (one.label(), counters.not_mirrored(*one)));
        Self {
            received: counters.received,
            mirrored: counters.mirrored(),
            mirrored_bytes: counters.mirrored_bytes(),
            dropped: dropped.filter(|(_, count)| *count > 0).collect(),
            not_mirrored: not_mirrored.filter(|(_, count)| *count > 0).collect(),
            impaired: None,
            sessions: Vec::new(),
            targets: Vec::new(),
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            unaccounted: None,
            frames: counters.frames,
        }
    }

    /// Adds the sessions of a table and their targets. Tables may have targets in common.
    fn add_table(&mut self, table: &MirrorTable, counters: &Counters) {
        self.sessions.extend(session_summaries(table, counters));
        for target in target_summaries(table, counters) {
            let is_same = |known: &&mut TargetSummary| {
                (&known.traffic_mirror_target_id, &known.address)
                    == (&target.traffic_mirror_target_id, &target.address)
            };
            match self.targets.iter_mut().find(is_same) {
                Some(known) => {
                    known.mirrored += target.mirrored;
                    known.mirrored_bytes += target.mirrored_bytes;
                }
                None => self.targets.push(target),
            }
        }
    }

    /// Sets the number of unaccounted frames of a live run.
    pub const fn set_unaccounted(&mut self, frames: u64) {
        self.unaccounted = Some(frames);
    }

    /// Sets what fault injection did.
    pub const fn set_impaired(&mut self, counts: Option<ImpairmentCounts>) {
        self.impaired = counts;
    }

    /// One JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).map(|text| text + "\n").unwrap_or_default()
    }
}

fn session_summaries(table: &MirrorTable, counters: &Counters) -> Vec<SessionSummary> {
    let pairs = table.sessions().iter().zip(&counters.sessions);
    pairs
        .map(|(session, counted)| {
            let interface = table.interface(session.interface);
            let target = table.target(session.target);
            SessionSummary {
                traffic_mirror_session_id: session.id.to_string(),
                network_interface_id: interface.map(|one| one.id().to_string()).unwrap_or_default(),
                traffic_mirror_target_id: target.map(|one| one.id.to_string()).unwrap_or_default(),
                session_number: session.number.value(),
                virtual_network_id: session.virtual_network_id.value(),
                mirrored: counted.mirrored,
                mirrored_bytes: counted.mirrored_bytes,
                truncated: counted.truncated,
                truncated_to_mtu: counted.truncated_to_mtu,
                dropped: counted.dropped,
            }
        })
        .collect()
}

fn target_summaries(table: &MirrorTable, counters: &Counters) -> Vec<TargetSummary> {
    // The target of each session, and the counters of the session.
    let pairs: Vec<(TargetIndex, &SessionCounters)> =
        table.sessions().iter().map(|one| one.target).zip(&counters.sessions).collect();
    let indexed = TargetIndex::enumerate(table.targets());
    indexed
        .map(|(index, target)| {
            let sessions = || {
                pairs
                    .iter()
                    .filter(|(target_index, _)| *target_index == index)
                    .map(|(_, counted)| counted)
            };
            TargetSummary {
                traffic_mirror_target_id: target.id.to_string(),
                address: target.address.map(|address| address.to_string()),
                further_addresses: target
                    .further_addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                mirrored: sessions().map(|counted| counted.mirrored).sum(),
                mirrored_bytes: sessions().map(|counted| counted.mirrored_bytes).sum(),
                refused: 0,
                unreachable: 0,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, address: &str, mirrored: u64) -> TargetSummary {
        TargetSummary {
            traffic_mirror_target_id: id.to_owned(),
            address: Some(address.to_owned()),
            further_addresses: Vec::new(),
            mirrored,
            mirrored_bytes: 0,
            refused: 0,
            unreachable: 0,
        }
    }

    #[test]
    fn icmp_errors_count_for_every_used_target_of_their_address() {
        let (shared, other) = ("192.0.2.1:4789", "192.0.2.2:4789");
        let mut report = MirrorReport::from_counters(&Counters::default(), Duration::ZERO);
        report.targets = vec![
            target("tmt-1", shared, 10),
            target("tmt-2", shared, 20),
            target("tmt-3", shared, 0),
            target("tmt-4", other, 0),
        ];
        let reported = |address: &str| DeliveryErrors {
            destination: address.parse().unwrap(),
            refused: 5,
            unreachable: 1,
        };
        report.add_delivery_errors([reported(shared), reported(other)]);
        let errors = report.targets.iter().map(|one| (one.refused, one.unreachable));
        assert_eq!(errors.collect::<Vec<_>>(), [(5, 1), (5, 1), (0, 0), (5, 1)]);
    }
}
