//! DescribeRouteTables and DescribeVpcAttribute, which Terraform calls for each VPC.

use super::super::describe::{Filterable, NO_TAGS, Query};
use super::Call;
use super::vpcs::{vpc_not_found, vpcs};
use crate::control::account::{Account, ApiError};
use crate::control::vpc::Vpc;

const TABLE_FILTERS: &[&str] = &[
    "association.gateway-id",
    "association.main",
    "association.route-table-association-id",
    "association.route-table-id",
    "association.subnet-id",
    "owner-id",
    "route-table-id",
    "route.destination-cidr-block",
    "route.destination-ipv6-cidr-block",
    "route.destination-prefix-list-id",
    "route.egress-only-internet-gateway-id",
    "route.gateway-id",
    "route.instance-id",
    "route.nat-gateway-id",
    "route.origin",
    "route.state",
    "route.transit-gateway-id",
    "route.vpc-peering-connection-id",
    "vpc-id",
];

/// The gateway of the only route, which delivers within the VPC.
const LOCAL: &str = "local";

/// The main route table of a VPC.
struct RouteTableView<'a> {
    vpc: Vpc,
    owner: &'a str,
}

impl Filterable for RouteTableView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let value = match name {
            "association.main" => true.to_string(),
            "association.route-table-association-id" => self.vpc.route_table_association_id(),
            "association.route-table-id" | "route-table-id" => self.vpc.route_table_id(),
            "owner-id" => self.owner.to_owned(),
            "route.destination-cidr-block" => self.vpc.cidr_block(),
            "route.gateway-id" => LOCAL.to_owned(),
            "route.origin" => "CreateRouteTable".to_owned(),
            "route.state" => "active".to_owned(),
            "vpc-id" => self.vpc.id(),
            name if TABLE_FILTERS.contains(&name) => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![value])
    }
}

pub(super) fn describe_tables(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "RouteTableId", TABLE_FILTERS)?;
    call.check_parameters()?;
    let owner = call.caller.owner;
    let vpcs = vpcs(account, call).into_iter();
    let views: Vec<_> =
        vpcs.map(|vpc| (vpc.route_table_id(), RouteTableView { vpc, owner })).collect();
    query.check_ids_exist(&views, |id| {
        let message = format!("The routeTable ID '{id}' does not exist");
        ApiError::new("InvalidRouteTableID.NotFound", message)
    })?;
    let (page, token) = query.page_by_key(views)?;
    Ok(call.answer(|xml| {
        xml.list("routeTableSet", page, |xml, RouteTableView { vpc, owner }| {
            xml.text("routeTableId", vpc.route_table_id());
            xml.text("vpcId", vpc.id());
            xml.text("ownerId", owner);
            xml.list("routeSet", [vpc], |xml, vpc| {
                xml.text("destinationCidrBlock", vpc.cidr_block());
                xml.text("gatewayId", LOCAL);
                xml.text("state", "active");
                xml.text("origin", "CreateRouteTable");
            });
            xml.list("associationSet", [vpc], |xml, vpc| {
                xml.text("routeTableAssociationId", vpc.route_table_association_id());
                xml.text("routeTableId", vpc.route_table_id());
                xml.text("main", true);
                xml.element("associationState", |xml| xml.text("state", "associated"));
            });
            super::elements::tag_set(xml, &NO_TAGS);
        });
        Call::next_token(xml, token);
    }))
}

pub(super) fn describe_vpc_attribute(
    account: &Account,
    call: &Call<'_>,
) -> Result<String, ApiError> {
    let id = call.form.required("VpcId")?;
    let attribute = call.form.required("Attribute")?;
    call.check_parameters()?;
    let vpc = vpcs(account, call).into_iter().find(|vpc| vpc.id() == id);
    let vpc = vpc.ok_or_else(|| vpc_not_found(id))?;
    let value = match attribute {
        "enableDnsSupport" => true,
        // Only the default VPC has public host names.
        "enableDnsHostnames" => vpc.is_default(),
        "enableNetworkAddressUsageMetrics" => false,
        other => {
            let expected =
                "enableDnsSupport, enableDnsHostnames or enableNetworkAddressUsageMetrics";
            return Err(ApiError::invalid_value("Attribute", other, expected));
        }
    };
    Ok(call.answer(|xml| {
        xml.text("vpcId", id);
        xml.element(attribute, |xml| xml.text("value", value));
    }))
}
