//! Instances of the other emulator: their addresses, and whether they are terminated.

use std::collections::BTreeMap;
use std::net::IpAddr;

use roxmltree::Document;

use super::document::{child, child_text, elements, elements_of};
use super::error::UpstreamError;
use super::query::{EC2, Scope, filter};
use super::{Upstream, query};

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) address: Option<IpAddr>,
    pub(super) is_terminated: bool,
}

impl Upstream {
    /// The instances of these ids that exist.
    pub(super) async fn instances(
        &self,
        scope: &Scope,
        ids: impl IntoIterator<Item = &str>,
    ) -> Result<BTreeMap<String, Instance>, UpstreamError> {
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut found = BTreeMap::new();
        for ids in ids.chunks(query::MAX_FILTER_VALUES) {
            let action = "DescribeInstances";
            let filter = filter("instance-id", ids.iter().copied());
            let text = self.ask(scope, EC2, action, &filter).await?;
            let instances = instances(&text)
                .ok_or_else(|| self.refused(action, "its answer is not XML".to_owned()))?;
            found.extend(instances);
        }
        Ok(found)
    }
}

fn instances(text: &str) -> Option<Vec<(String, Instance)>> {
    let document = Document::parse(text).ok()?;
    let reservations = elements_of(&document, "reservationSet");
    let instances = reservations.filter_map(|reservation| child(reservation, "instancesSet"));
    let instances = instances.flat_map(elements).filter_map(|instance| {
        let state = child(instance, "instanceState").and_then(|state| child_text(state, "name"));
        let address = child_text(instance, "privateIpAddress");
        let is_terminated = matches!(state.as_deref(), Some("terminated" | "shutting-down"));
        let address = address.and_then(|text| text.parse().ok());
        let id = child_text(instance, "instanceId")?;
        Some((id, Instance { address, is_terminated }))
    });
    Some(instances.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_states_are_read() {
        let item = |id: &str, state: &str, address: &str| {
            format!(
                "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><code>0\
                 </code><name>{state}</name></instanceState>{address}</item></instancesSet></item>"
            )
        };
        let address = "<privateIpAddress>10.0.0.5</privateIpAddress>";
        let text = format!(
            "<R xmlns=\"urn:x\"><reservationSet>{}{}</reservationSet></R>",
            item("i-1", "running", address),
            item("i-2", "terminated", "")
        );
        let found = instances(&text).unwrap();
        let address = Some([10, 0, 0, 5].into());
        assert_eq!(found[0], ("i-1".to_owned(), Instance { address, is_terminated: false }));
        assert_eq!(found[1].1, Instance { address: None, is_terminated: true });
        assert_eq!(instances("no XML"), None);
    }
}
