//! The actions: each reads its parameters, calls the account, and writes the response.
//!
//! There is one file for each kind of resource. Each action reads all its parameters first, then
//! checks that the request has no others, and only then calls the account.

mod call;
mod elements;
mod filters;
mod instance_filters;
mod instances;
mod interface_view;
mod interfaces;
mod regions;
mod routes;
mod rules;
mod sessions;
mod tags;
mod targets;
mod vpcs;

pub(super) use call::{Call, is_change};

use crate::control::account::{Account, ApiError};

/// The only version of the EC2 API that is served.
pub(super) const VERSION: &str = "2016-11-15";

/// Executes an action.
pub(super) fn execute(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    match call.action {
        "CreateTrafficMirrorSession" => sessions::create(account, call),
        "ModifyTrafficMirrorSession" => sessions::modify(account, call),
        "DeleteTrafficMirrorSession" => sessions::delete(account, call),
        "CreateTrafficMirrorTarget" => targets::create(account, call),
        "DeleteTrafficMirrorTarget" => targets::delete(account, call),
        "CreateTrafficMirrorFilter" => filters::create(account, call),
        "DeleteTrafficMirrorFilter" => filters::delete(account, call),
        "ModifyTrafficMirrorFilterNetworkServices" => filters::modify_services(account, call),
        "CreateTrafficMirrorFilterRule" => rules::create(account, call),
        "ModifyTrafficMirrorFilterRule" => rules::modify(account, call),
        "DeleteTrafficMirrorFilterRule" => rules::delete(account, call),
        "CreateNetworkInterface" => interfaces::create(account, call),
        "DetachNetworkInterface" => interfaces::detach(account, call),
        "DeleteNetworkInterface" => interfaces::delete(account, call),
        "CreateTags" => tags::create(account, call),
        "DeleteTags" => tags::delete(account, call),
        _ => describe(account, call),
    }
}

/// Executes an action that changes nothing.
pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    match call.action {
        "DescribeTrafficMirrorSessions" => sessions::describe(account, call),
        "DescribeTrafficMirrorTargets" => targets::describe(account, call),
        "DescribeTrafficMirrorFilters" => filters::describe(account, call),
        "DescribeTrafficMirrorFilterRules" => rules::describe(account, call),
        "DescribeTags" => tags::describe(account, call),
        "DescribeNetworkInterfaces" => interfaces::describe(account, call),
        "DescribeInstances" => instances::describe(account, call),
        "DescribeInstanceStatus" => instances::describe_status(account, call),
        "DescribeVpcs" => vpcs::describe_vpcs(account, call),
        "DescribeSubnets" => vpcs::describe_subnets(account, call),
        "DescribeVpcAttribute" => routes::describe_vpc_attribute(account, call),
        "DescribeRouteTables" => routes::describe_tables(account, call),
        "DescribeSecurityGroups" => vpcs::describe_groups(account, call),
        "DescribeAvailabilityZones" => regions::describe_zones(call),
        "DescribeRegions" => regions::describe_regions(call),
        other => {
            let message = format!("The action {other} is not valid for this web service.");
            Err(ApiError::new("InvalidAction", message))
        }
    }
}
