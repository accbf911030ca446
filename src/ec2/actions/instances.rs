//! DescribeInstances and DescribeInstanceStatus: a synthetic running instance for each interface.

use super::super::describe::{Filterable, Query};
use super::super::xml::Xml;
use super::instance_filters::{INSTANCE_FILTERS, STATUS_FILTERS};
use super::interface_view::{DEFAULT_GROUP, InterfaceView};
use super::interfaces::interface_views;
use super::{Call, elements};
use crate::control::account::{Account, ApiError};
use crate::control::vpc::reservation_id;
use crate::model::Tags;

/// A type whose network interfaces AWS can mirror: some programs check this.
const INSTANCE_TYPE: &str = "m5.large";

const IMAGE_ID: &str = "ami-00000000000000000";

const ROOT_DEVICE: &str = "/dev/xvda";

/// The code and name of the only state of an instance.
const RUNNING: (&str, &str) = ("16", "running");

/// The synthetic instance of a network interface.
struct InstanceView<'a> {
    interface: InterfaceView<'a>,
}

impl InstanceView<'_> {
    fn zone(&self) -> super::regions::Zone<'_> {
        self.interface.region.zone(self.interface.subnet.zone())
    }

    fn write(&self, xml: &mut Xml) {
        let interface = &self.interface;
        xml.text("instanceId", interface.instance_id());
        xml.text("imageId", IMAGE_ID);
        write_state(xml);
        xml.optional("privateDnsName", interface.private_dns_name());
        xml.text("dnsName", "");
        xml.text("reason", "");
        xml.text("amiLaunchIndex", 0);
        xml.list("productCodes", [(); 0], |_, ()| ());
        xml.text("instanceType", INSTANCE_TYPE);
        xml.text("launchTime", interface.attach_time());
        xml.element("placement", |xml| {
            xml.text("availabilityZone", self.zone().name());
            xml.text("availabilityZoneId", self.zone().id());
            xml.text("groupName", "");
            xml.text("tenancy", "default");
        });
        xml.element("monitoring", |xml| xml.text("state", "disabled"));
        xml.text("subnetId", interface.subnet.id());
        xml.text("vpcId", interface.subnet.vpc().id());
        xml.optional("privateIpAddress", interface.private_address());
        xml.text("sourceDestCheck", true);
        interface.write_groups(xml);
        xml.text("architecture", "x86_64");
        xml.text("rootDeviceType", "ebs");
        xml.text("rootDeviceName", ROOT_DEVICE);
        xml.list("blockDeviceMapping", [(); 0], |_, ()| ());
        xml.text("virtualizationType", "hvm");
        xml.text("clientToken", "");
        elements::tag_set(xml, &interface.tags);
        xml.text("hypervisor", "xen");
        xml.list("networkInterfaceSet", [interface], |xml, one| one.write_of_instance(xml));
        xml.text("ebsOptimized", false);
        xml.text("enaSupport", true);
    }

    /// Writes the item of DescribeInstanceStatus.
    fn write_status(&self, xml: &mut Xml) {
        xml.text("instanceId", self.interface.instance_id());
        xml.text("availabilityZone", self.zone().name());
        xml.text("availabilityZoneId", self.zone().id());
        write_state(xml);
        for name in ["systemStatus", "instanceStatus"] {
            xml.element(name, |xml| {
                xml.text("status", "ok");
                xml.list("details", [()], |xml, ()| {
                    xml.text("name", "reachability");
                    xml.text("status", "passed");
                });
            });
        }
    }
}

fn write_state(xml: &mut Xml) {
    let (code, name) = RUNNING;
    xml.element("instanceState", |xml| {
        xml.text("code", code);
        xml.text("name", name);
    });
}

impl Filterable for InstanceView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let interface = &self.interface;
        if let Some(name) = name.strip_prefix("network-interface.") {
            return Some(match name {
                "tag-key" => interface.tags.keys().cloned().collect(),
                "tag-value" => interface.tags.values().cloned().collect(),
                name => interface.field(name).unwrap_or_default(),
            });
        }
        let value = match name {
            // "This can only be used to filter by the primary IP address" (EC2 API).
            "private-ip-address" => {
                return Some(interface.private_address().iter().map(ToString::to_string).collect());
            }
            "instance-id" => interface.instance_id(),
            "instance-state-code" => RUNNING.0.to_owned(),
            "instance-state-name" => RUNNING.1.to_owned(),
            "instance-type" => INSTANCE_TYPE.to_owned(),
            "instance.group-id" => interface.subnet.vpc().security_group_id(),
            "instance.group-name" => DEFAULT_GROUP.to_owned(),
            "image-id" => IMAGE_ID.to_owned(),
            "reservation-id" => reservation_id(interface.interface.id()),
            "launch-time" => interface.attach_time(),
            "launch-index" => 0.to_string(),
            "architecture" => "x86_64".to_owned(),
            "hypervisor" => "xen".to_owned(),
            "virtualization-type" => "hvm".to_owned(),
            "root-device-name" => ROOT_DEVICE.to_owned(),
            "root-device-type" => "ebs".to_owned(),
            "monitoring-state" => "disabled".to_owned(),
            "tenancy" => "default".to_owned(),
            "ena-support" => true.to_string(),
            "ebs-optimized" => false.to_string(),
            "instance-status.status" | "system-status.status" => "ok".to_owned(),
            "instance-status.reachability" | "system-status.reachability" => "passed".to_owned(),
            "availability-zone"
            | "availability-zone-id"
            | "ipv6-address"
            | "operator.managed"
            | "owner-id"
            | "private-dns-name"
            | "source-dest-check"
            | "subnet-id"
            | "vpc-id" => {
                return interface.field(name);
            }
            name if INSTANCE_FILTERS.contains(&name) || STATUS_FILTERS.contains(&name) => {
                return Some(Vec::new());
            }
            _ => return None,
        };
        Some(vec![value])
    }

    fn tags(&self) -> &Tags {
        &self.interface.tags
    }
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let (page, token) = page(account, call, INSTANCE_FILTERS)?;
    Ok(call.answer(|xml| {
        xml.list("reservationSet", page, |xml, view| {
            xml.text("reservationId", reservation_id(view.interface.interface.id()));
            xml.text("ownerId", view.interface.owner);
            xml.list("groupSet", [(); 0], |_, ()| ());
            xml.list("instancesSet", [view], |xml, view| view.write(xml));
        });
        Call::next_token(xml, token);
    }))
}

pub(super) fn describe_status(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    call.form.boolean("IncludeAllInstances")?;
    let (page, token) = page(account, call, STATUS_FILTERS)?;
    Ok(call.answer(|xml| {
        xml.list("instanceStatusSet", page, |xml, view| view.write_status(xml));
        Call::next_token(xml, token);
    }))
}

/// A page of instances, and the token of the next page.
fn page<'a>(
    account: &'a Account,
    call: &Call<'a>,
    filters: &[&str],
) -> Result<(Vec<InstanceView<'a>>, Option<String>), ApiError> {
    let query = Query::read(call.form, call.action, "InstanceId", filters)?;
    call.form.boolean("IncludeManagedResources")?;
    call.check_parameters()?;
    let interfaces = interface_views(account, call).into_iter();
    let interfaces = interfaces.filter(|(_, view)| !view.interface.is_detached);
    let views =
        interfaces.map(|(_, interface)| (interface.instance_id(), InstanceView { interface }));
    let views: Vec<_> = views.collect();
    query.check_ids_exist(&views, |id| {
        let message = format!("The instance ID '{id}' does not exist");
        ApiError::new("InvalidInstanceID.NotFound", message)
    })?;
    query.page_by_key(views)
}
