//! Load balancers of the other emulator: the addresses that they forward mirrored traffic to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use roxmltree::Document;

use super::Upstream;
use super::document::{child, child_text, elements_of};
use super::error::UpstreamError;
use super::query::{Scope, ServiceApi};
use crate::model::VXLAN_PORT;

/// Elastic Load Balancing version 2.
const LOAD_BALANCING: ServiceApi =
    ServiceApi { name: "elasticloadbalancing", version: "2015-12-01" };

/// Whether this is the service of load balancers.
pub(in crate::ec2) fn is_load_balancer_service(name: &str) -> bool {
    name == LOAD_BALANCING.name
}

/// A member of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    /// An instance id or an address.
    id: String,
    port: u16,
    is_healthy: bool,
}

impl Upstream {
    /// The addresses to which a load balancer forwards mirrored traffic: those of the healthy
    /// members of the target groups of its listeners for UDP port 4789, or of all members if none
    /// is healthy, as a Network Load Balancer does. Empty if there are none.
    ///
    /// # Errors
    /// [`UpstreamError`] also for a load balancer that does not exist.
    pub(in crate::ec2) async fn load_balancer_addresses(
        &self,
        access_key_id: &str,
        arn: &str,
    ) -> Result<Vec<SocketAddr>, UpstreamError> {
        // arn:PARTITION:elasticloadbalancing:REGION:...
        let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
        let scope = Scope { access_key_id: access_key_id.to_owned(), region };
        let ask = |action: &'static str, name: &str, arn: &str| {
            let parameters = [(name.to_owned(), arn.to_owned())];
            let scope = scope.clone();
            async move { self.ask(&scope, LOAD_BALANCING, action, &parameters).await }
        };
        let action = "DescribeListeners";
        let text = ask(action, "LoadBalancerArn", arn).await?;
        let groups = target_groups(&text).ok_or_else(|| self.not_xml(action))?;
        let mut members = Vec::new();
        for group in groups {
            let action = "DescribeTargetHealth";
            let text = ask(action, "TargetGroupArn", &group).await?;
            members.extend(target_health(&text).ok_or_else(|| self.not_xml(action))?);
        }
        if members.iter().any(|member| member.is_healthy) {
            members.retain(|member| member.is_healthy);
        }
        self.member_addresses(&scope, &members).await
    }

    async fn member_addresses(
        &self,
        scope: &Scope,
        members: &[Member],
    ) -> Result<Vec<SocketAddr>, UpstreamError> {
        let ids: BTreeSet<&str> = members.iter().map(|member| &*member.id).collect();
        let instances = self.instances(scope, ids.into_iter().filter(|id| is_instance(id))).await?;
        let address = |member: &Member| {
            let ip: Option<IpAddr> = match instances.get(&member.id) {
                Some(instance) if instance.is_terminated => None,
                Some(instance) => instance.address,
                None => member.id.parse().ok(),
            };
            ip.map(|ip| SocketAddr::new(ip, member.port))
        };
        // The order does not depend on that of the answers.
        let addresses: BTreeSet<SocketAddr> = members.iter().filter_map(address).collect();
        Ok(addresses.into_iter().collect())
    }

    fn not_xml(&self, action: &str) -> UpstreamError {
        self.refused(action, "its answer is not XML".to_owned())
    }
}

fn is_instance(id: &str) -> bool {
    id.starts_with("i-")
}

/// The target groups of the listeners that receive VXLAN: "the listener must use UDP port 4789"
/// (Traffic Mirroring, "Network Load Balancer").
fn target_groups(text: &str) -> Option<Vec<String>> {
    let document = Document::parse(text).ok()?;
    let port = VXLAN_PORT.to_string();
    let listeners = elements_of(&document, "Listeners").filter(|listener| {
        let protocol = child_text(*listener, "Protocol");
        child_text(*listener, "Port").is_some_and(|own| own == port)
            && matches!(protocol.as_deref(), Some("UDP" | "TCP_UDP"))
    });
    let arns = listeners.flat_map(|listener| {
        let named =
            listener.descendants().filter(|node| node.tag_name().name() == "TargetGroupArn");
        named.filter_map(|node| node.text().map(|text| text.trim().to_owned())).collect::<Vec<_>>()
    });
    let unique: BTreeSet<String> = arns.collect();
    Some(unique.into_iter().collect())
}

/// The members of a target group, except for those that are being removed.
fn target_health(text: &str) -> Option<Vec<Member>> {
    let document = Document::parse(text).ok()?;
    let members = elements_of(&document, "TargetHealthDescriptions").filter_map(|description| {
        let target = child(description, "Target")?;
        let health = child(description, "TargetHealth");
        let state = health.and_then(|health| child_text(health, "State"));
        let port = child_text(target, "Port").and_then(|port| port.parse().ok());
        let id = child_text(target, "Id").filter(|_| state.as_deref() != Some("draining"))?;
        let is_healthy = state.as_deref() == Some("healthy");
        Some(Member { id, port: port.unwrap_or(VXLAN_PORT), is_healthy })
    });
    Some(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(port: u16, protocol: &str, group: &str) -> String {
        format!(
            "<member><Port>{port}</Port><Protocol>{protocol}</Protocol><DefaultActions><member>\
             <Type>forward</Type><TargetGroupArn>{group}</TargetGroupArn></member>\
             </DefaultActions></member>"
        )
    }

    #[test]
    fn only_listeners_for_mirrored_traffic_count() {
        let listeners: String = [
            listener(4789, "UDP", "b"),
            listener(4789, "TCP_UDP", "a"),
            listener(4789, "UDP", "b"),
            listener(4789, "TCP", "c"),
            listener(80, "UDP", "d"),
        ]
        .concat();
        let text = format!(
            "<R xmlns=\"urn:x\"><DescribeListenersResult><Listeners>{listeners}</Listeners>\
             </DescribeListenersResult></R>"
        );
        assert_eq!(target_groups(&text).unwrap(), ["a", "b"]);
        assert_eq!(target_groups("{}"), None);
    }

    #[test]
    fn members_have_ids_ports_and_states() {
        let member = |id: &str, port: &str, state: &str| {
            format!(
                "<member><Target><Id>{id}</Id>{port}</Target><TargetHealth><State>{state}</State>\
                 </TargetHealth></member>"
            )
        };
        let members: String = [
            member("i-1", "<Port>5000</Port>", "healthy"),
            member("10.0.0.7", "", "initial"),
            member("i-2", "<Port>1</Port>", "draining"),
        ]
        .concat();
        let text = format!("<R><TargetHealthDescriptions>{members}</TargetHealthDescriptions></R>");
        let found = target_health(&text).unwrap();
        let one = |id: &str, port, is_healthy| Member { id: id.to_owned(), port, is_healthy };
        assert_eq!(found, [one("i-1", 5000, true), one("10.0.0.7", 4789, false)]);
    }
}
