//! DescribeVpcs, DescribeSubnets and DescribeSecurityGroups: the synthetic surroundings of network
//! interfaces.

use std::collections::BTreeSet;

use super::super::describe::{Filterable, NO_TAGS, Query};
use super::Call;
use super::interface_view::DEFAULT_GROUP;
use super::regions::Region;
use crate::control::account::{Account, ApiError};
use crate::control::vpc::{Subnet, Vpc};

/// The description that AWS gives to default security groups.
const GROUP_DESCRIPTION: &str = "default VPC security group";

/// The number of addresses of a subnet that AWS does not reserve: 4,096 - 5.
const SUBNET_CAPACITY: usize = 4091;

const VPC_FILTERS: &[&str] = &[
    "cidr",
    "cidr-block",
    "cidrBlock",
    "cidr-block-association.association-id",
    "cidr-block-association.cidr-block",
    "cidr-block-association.state",
    "dhcp-options-id",
    "dhcpOptionsId",
    "ipv6-cidr-block-association.association-id",
    "ipv6-cidr-block-association.ipv6-cidr-block",
    "ipv6-cidr-block-association.ipv6-pool",
    "ipv6-cidr-block-association.state",
    "is-default",
    "isDefault",
    "owner-id",
    "state",
    "vpc-id",
];

const SUBNET_FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "availabilityZone",
    "availabilityZoneId",
    "available-ip-address-count",
    "cidr",
    "cidr-block",
    "cidrBlock",
    "customer-owned-ipv4-pool",
    "default-for-az",
    "defaultForAz",
    "enable-dns64",
    "enable-lni-at-device-index",
    "ipv6-cidr-block-association.association-id",
    "ipv6-cidr-block-association.ipv6-cidr-block",
    "ipv6-cidr-block-association.state",
    "ipv6-native",
    "map-customer-owned-ip-on-launch",
    "map-public-ip-on-launch",
    "outpost-arn",
    "owner-id",
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
    "private-dns-name-options-on-launch.hostname-type",
    "state",
    "subnet-arn",
    "subnet-id",
    "vpc-id",
];

const GROUP_FILTERS: &[&str] = &[
    "description",
    "egress.ip-permission.cidr",
    "egress.ip-permission.from-port",
    "egress.ip-permission.group-id",
    "egress.ip-permission.group-name",
    "egress.ip-permission.ipv6-cidr",
    "egress.ip-permission.prefix-list-id",
    "egress.ip-permission.protocol",
    "egress.ip-permission.to-port",
    "egress.ip-permission.user-id",
    "group-id",
    "group-name",
    "ip-permission.cidr",
    "ip-permission.from-port",
    "ip-permission.group-id",
    "ip-permission.group-name",
    "ip-permission.ipv6-cidr",
    "ip-permission.prefix-list-id",
    "ip-permission.protocol",
    "ip-permission.to-port",
    "ip-permission.user-id",
    "owner-id",
    "vpc-id",
];

struct VpcView<'a> {
    vpc: Vpc,
    owner: &'a str,
}

struct SubnetView<'a> {
    subnet: Subnet,
    free: usize,
    owner: &'a str,
    region: Region<'a>,
}

/// The default security group of a VPC.
struct GroupView<'a> {
    vpc: Vpc,
    owner: &'a str,
}

impl Filterable for VpcView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let value = match name {
            "cidr" | "cidr-block" | "cidrBlock" | "cidr-block-association.cidr-block" => {
                self.vpc.cidr_block()
            }
            "cidr-block-association.association-id" => self.vpc.cidr_association_id(),
            "cidr-block-association.state" => "associated".to_owned(),
            "dhcp-options-id" | "dhcpOptionsId" => self.vpc.dhcp_options_id(),
            "is-default" | "isDefault" => self.vpc.is_default().to_string(),
            "owner-id" => self.owner.to_owned(),
            "state" => "available".to_owned(),
            "vpc-id" => self.vpc.id(),
            name if VPC_FILTERS.contains(&name) => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![value])
    }
}

impl SubnetView<'_> {
    fn arn(&self) -> String {
        let (region, owner, id) = (self.region.name(), self.owner, self.subnet.id());
        format!("arn:aws:ec2:{region}:{owner}:subnet/{id}")
    }
}

impl Filterable for SubnetView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let zone = self.region.zone(self.subnet.zone());
        let value = match name {
            "availability-zone" | "availabilityZone" => zone.name(),
            "availability-zone-id" | "availabilityZoneId" => zone.id(),
            "available-ip-address-count" => self.free.to_string(),
            "cidr" | "cidr-block" | "cidrBlock" => self.subnet.cidr_block(),
            "default-for-az" | "defaultForAz" | "map-public-ip-on-launch" => {
                self.subnet.is_default().to_string()
            }
            "enable-dns64" | "ipv6-native" | "map-customer-owned-ip-on-launch" => false.to_string(),
            "owner-id" => self.owner.to_owned(),
            "state" => "available".to_owned(),
            "subnet-arn" => self.arn(),
            "subnet-id" => self.subnet.id(),
            "vpc-id" => self.subnet.vpc().id(),
            name if SUBNET_FILTERS.contains(&name) => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![value])
    }
}

impl Filterable for GroupView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let value = match name {
            "description" => GROUP_DESCRIPTION.to_owned(),
            "egress.ip-permission.cidr" => "0.0.0.0/0".to_owned(),
            "egress.ip-permission.protocol" | "ip-permission.protocol" => "-1".to_owned(),
            "group-id" | "ip-permission.group-id" => self.vpc.security_group_id(),
            "group-name" => DEFAULT_GROUP.to_owned(),
            "owner-id" | "ip-permission.user-id" => self.owner.to_owned(),
            "vpc-id" => self.vpc.id(),
            name if GROUP_FILTERS.contains(&name) => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![value])
    }
}

pub(super) fn vpc_not_found(id: &str) -> ApiError {
    ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
}

/// The VPCs of all subnets that the caller can see.
pub(super) fn vpcs(account: &Account, call: &Call<'_>) -> BTreeSet<Vpc> {
    account.subnets(call.caller.owner).into_keys().map(Subnet::vpc).collect()
}

pub(super) fn describe_vpcs(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "VpcId", VPC_FILTERS)?;
    call.check_parameters()?;
    let owner = call.caller.owner;
    let views = vpcs(account, call).into_iter().map(|vpc| (vpc.id(), VpcView { vpc, owner }));
    let views: Vec<_> = views.collect();
    query.check_ids_exist(&views, vpc_not_found)?;
    let (page, token) = query.page_by_key(views)?;
    Ok(call.answer(|xml| {
        xml.list("vpcSet", page, |xml, VpcView { vpc, owner }| {
            xml.text("vpcId", vpc.id());
            xml.text("ownerId", owner);
            xml.text("state", "available");
            xml.text("cidrBlock", vpc.cidr_block());
            xml.list("cidrBlockAssociationSet", [vpc], |xml, vpc| {
                xml.text("cidrBlock", vpc.cidr_block());
                xml.text("associationId", vpc.cidr_association_id());
                xml.element("cidrBlockState", |xml| xml.text("state", "associated"));
            });
            xml.text("dhcpOptionsId", vpc.dhcp_options_id());
            xml.text("instanceTenancy", "default");
            xml.text("isDefault", vpc.is_default());
            super::elements::tag_set(xml, &NO_TAGS);
        });
        Call::next_token(xml, token);
    }))
}

pub(super) fn describe_subnets(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "SubnetId", SUBNET_FILTERS)?;
    call.check_parameters()?;
    let (owner, region) = (call.caller.owner, Region::of(call));
    let views = account.subnets(owner).into_iter().map(|(subnet, used)| {
        let free = SUBNET_CAPACITY.saturating_sub(used);
        (subnet.id(), SubnetView { subnet, free, owner, region })
    });
    let views: Vec<_> = views.collect();
    query.check_ids_exist(&views, |id| {
        ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
    })?;
    let (page, token) = query.page_by_key(views)?;
    Ok(call.answer(|xml| {
        xml.list("subnetSet", page, |xml, view| {
            let zone = region.zone(view.subnet.zone());
            xml.text("subnetId", view.subnet.id());
            xml.text("subnetArn", view.arn());
            xml.text("state", "available");
            xml.text("ownerId", owner);
            xml.text("vpcId", view.subnet.vpc().id());
            xml.text("cidrBlock", view.subnet.cidr_block());
            xml.list("ipv6CidrBlockAssociationSet", [(); 0], |_, ()| ());
            xml.text("availableIpAddressCount", view.free);
            xml.text("availabilityZone", zone.name());
            xml.text("availabilityZoneId", zone.id());
            xml.text("defaultForAz", view.subnet.is_default());
            xml.text("mapPublicIpOnLaunch", view.subnet.is_default());
            xml.text("assignIpv6AddressOnCreation", false);
            xml.text("ipv6Native", false);
            super::elements::tag_set(xml, &NO_TAGS);
        });
        Call::next_token(xml, token);
    }))
}

pub(super) fn describe_groups(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "GroupId", GROUP_FILTERS)?;
    let names = call.form.texts("GroupName");
    call.check_parameters()?;
    let not_found = |name: &str| {
        let message = format!("The security group '{name}' does not exist");
        ApiError::new("InvalidGroup.NotFound", message)
    };
    if let Some(other) = names.iter().find(|name| *name != DEFAULT_GROUP) {
        return Err(not_found(other));
    }
    let owner = call.caller.owner;
    // GroupName names groups of the default VPC only.
    let named = vpcs(account, call).into_iter().filter(|vpc| names.is_empty() || vpc.is_default());
    let views = named.map(|vpc| (vpc.security_group_id(), GroupView { vpc, owner }));
    let views: Vec<_> = views.collect();
    query.check_ids_exist(&views, not_found)?;
    let (page, token) = query.page_by_key(views)?;
    Ok(call.answer(|xml| {
        xml.list("securityGroupInfo", page, |xml, GroupView { vpc, owner }| {
            xml.text("ownerId", owner);
            xml.text("groupId", vpc.security_group_id());
            xml.text("groupName", DEFAULT_GROUP);
            xml.text("groupDescription", GROUP_DESCRIPTION);
            xml.text("vpcId", vpc.id());
            // As in AWS: everything from members of the group, and everything to anywhere.
            xml.list("ipPermissions", [vpc], |xml, vpc| {
                xml.text("ipProtocol", -1);
                xml.list("groups", [vpc], |xml, vpc| {
                    xml.text("userId", owner);
                    xml.text("groupId", vpc.security_group_id());
                });
            });
            xml.list("ipPermissionsEgress", [()], |xml, ()| {
                xml.text("ipProtocol", -1);
                xml.list("ipRanges", [()], |xml, ()| xml.text("cidrIp", "0.0.0.0/0"));
            });
            super::elements::tag_set(xml, &NO_TAGS);
        });
        Call::next_token(xml, token);
    }))
}
