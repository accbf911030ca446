//! The state of a laboratory as one JSON document.

use serde::Serialize;

use super::Lab;
use super::totals::{SessionTotals, Totals};

/// The version of the document.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Snapshot {
    version: u32,
    account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    now_s: Option<u64>,
    network_interfaces: Vec<InterfaceState>,
    targets: Vec<TargetState>,
    sessions: Vec<SessionState>,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Serialize)]
struct InterfaceState {
    network_interface_id: String,
    private_ip_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<String>,
}

#[derive(Serialize)]
struct TargetState {
    traffic_mirror_target_id: String,
    /// Empty if no address is known: copies are dropped.
    addresses: Vec<String>,
    /// The number of stored copies.
    copies: usize,
    /// The number of the next copy, for `GET targets/{tmt}/copies?first=`.
    next_copy: u64,
}

#[derive(Serialize)]
struct SessionState {
    traffic_mirror_session_id: String,
    session_number: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_network_id: Option<u32>,
    network_interface_id: String,
    traffic_mirror_target_id: String,
    traffic_mirror_filter_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_length: Option<u16>,
    #[serde(flatten)]
    totals: SessionTotals,
}

impl Lab {
    /// The state as a JSON object: network interfaces, targets, sessions and counters.
    #[must_use]
    pub fn snapshot(&self) -> String {
        self.snapshot_at(Some(self.shared.clock.now_s()))
    }

    /// The same without the time, to find out whether something changed.
    pub(super) fn snapshot_without_time(&self) -> String {
        self.snapshot_at(None)
    }

    fn snapshot_at(&self, now_s: Option<u64>) -> String {
        let account = self.account();
        let registry = account.registry();
        let copies = self.copies();
        let targets = registry.targets().iter().map(|target| TargetState {
            traffic_mirror_target_id: target.id().to_string(),
            addresses: registry.target_addresses(target).map(|one| one.to_string()).collect(),
            copies: copies.count(target.id()),
            next_copy: copies.next_number(target.id()),
        });
        let interfaces = registry.network_interfaces().iter().map(|interface| InterfaceState {
            network_interface_id: interface.id().to_string(),
            private_ip_addresses: texts(&interface.private_ip_addresses),
            mac_address: interface.mac_address.map(|mac| mac.to_string()),
            capture: interface.capture.as_ref().map(|path| path.display().to_string()),
        });
        let totals = self.shared.totals().clone();
        let mut ordered: Vec<_> = registry.sessions().iter().collect();
        ordered.sort_by_key(|one| (&one.network_interface_id, one.number));
        let sessions = ordered.into_iter().map(|session| {
            let id = session.id.as_ref().map(ToString::to_string).unwrap_or_default();
            SessionState {
                totals: totals.of_session(&id),
                traffic_mirror_session_id: id,
                session_number: session.number.value(),
                virtual_network_id: session.virtual_network_id.map(|vni| vni.value()),
                network_interface_id: session.network_interface_id.to_string(),
                traffic_mirror_target_id: session.target_id.to_string(),
                traffic_mirror_filter_id: session.filter_id.to_string(),
                packet_length: session.packet_length.map(|len| len.value()),
            }
        });
        let snapshot = Snapshot {
            version: VERSION,
            account_id: account.shown_owner(&self.shared.options.account_id).to_owned(),
            now_s,
            network_interfaces: interfaces.collect(),
            targets: targets.collect(),
            sessions: sessions.collect(),
            totals: totals.clone(),
        };
        serde_json::to_string(&snapshot).unwrap_or_default()
    }
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}
