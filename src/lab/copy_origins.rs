//! The sessions, rules and times of copies in columns, without their bytes.
//!
//! A client with a million copies reads two arrays of numbers instead of a million objects.

use serde::Serialize;

use super::copy_store::{CopyOrigin, CopyStore};
use crate::model::TargetId;

/// The columns of the copies of a target.
#[derive(Serialize)]
struct Columns<'a> {
    /// The number of the first copy.
    first: u64,
    /// The sessions and rules; columns refer to them by index.
    origins: Vec<Origin<'a>>,
    /// For each copy, the index of its session and rule in `origins`.
    origin: Vec<u32>,
    /// For each copy, the time of its frame in nanoseconds since 1970.
    timestamp_ns: Vec<u64>,
}

#[derive(Serialize)]
struct Origin<'a> {
    vni: u32,
    session: &'a str,
    rule: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic_mirror_filter_rule_id: Option<&'a str>,
}

impl<'a> From<&'a CopyOrigin> for Origin<'a> {
    fn from(origin: &'a CopyOrigin) -> Self {
        Self {
            vni: origin.virtual_network_id,
            session: origin.session_id.as_str(),
            rule: origin.rule_number,
            traffic_mirror_filter_rule_id: origin.rule_id.as_deref(),
        }
    }
}

/// One JSON object, on one line, about the copies of a target from number `first` on.
pub(super) fn columns(store: &CopyStore, target: &TargetId, first: u64) -> Vec<u8> {
    let copies = || store.copies(target, first);
    let columns = Columns {
        first: store.first_number(target, first),
        origins: store.origins().iter().map(Origin::from).collect(),
        origin: copies().map(|copy| copy.origin_index).collect(),
        timestamp_ns: copies().map(|copy| copy.timestamp_ns).collect(),
    };
    let mut text = serde_json::to_vec(&columns).unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::copy_store::CopyBytes;
    use crate::model::SessionId;

    #[test]
    fn copies_refer_to_their_origins_by_index() {
        let mut store = CopyStore::new(1000);
        let target = TargetId::new("tmt-1").unwrap();
        let slot = store.add_target(&target);
        for (vni, timestamp_ns) in [(1, 10), (2, 20), (1, 30)] {
            let origin = store.add_origin(CopyOrigin {
                session_id: SessionId::new("tms-1").unwrap(),
                virtual_network_id: vni,
                rule_number: None,
                rule_id: None,
            });
            let bytes = CopyBytes { timestamp_ns, outer: b"outer", inner: [b"inner", b""] };
            assert!(store.push(slot, origin, &bytes));
        }
        let text = String::from_utf8(columns(&store, &target, 1)).unwrap();
        assert!(
            text.starts_with(r#"{"first":1,"origins":[{"vni":1,"session":"tms-1","rule":null},"#)
        );
        assert!(text.ends_with("\"origin\":[1,0],\"timestamp_ns\":[20,30]}\n"), "{text}");
        store.clear_target(&target);
        let text = String::from_utf8(columns(&store, &target, 1)).unwrap();
        assert!(text.starts_with(r#"{"first":3,"#) && text.contains("\"origin\":[]"), "{text}");
    }
}
