//! The CloudFormation resource types that describe traffic mirroring, with their properties.

use super::super::resource::Kind;

/// The properties of each type, from AWS's resource specification.
pub(super) const TYPES: [(&str, TemplateType, &[&str]); 4] = [
    (
        "AWS::EC2::TrafficMirrorFilter",
        TemplateType::One(Kind::Filter, "TrafficMirrorFilterId"),
        &["Description", "NetworkServices", "Tags"],
    ),
    (
        "AWS::EC2::TrafficMirrorFilterRule",
        TemplateType::Rule,
        &[
            "Description",
            "DestinationCidrBlock",
            "DestinationPortRange",
            "Protocol",
            "RuleAction",
            "RuleNumber",
            "SourceCidrBlock",
            "SourcePortRange",
            "Tags",
            "TrafficDirection",
            "TrafficMirrorFilterId",
        ],
    ),
    (
        "AWS::EC2::TrafficMirrorTarget",
        TemplateType::One(Kind::Target, "TrafficMirrorTargetId"),
        &[
            "Description",
            "GatewayLoadBalancerEndpointId",
            "NetworkInterfaceId",
            "NetworkLoadBalancerArn",
            "Tags",
        ],
    ),
    (
        "AWS::EC2::TrafficMirrorSession",
        TemplateType::One(Kind::Session, "TrafficMirrorSessionId"),
        &[
            "Description",
            "NetworkInterfaceId",
            "OwnerId",
            "PacketLength",
            "SessionNumber",
            "Tags",
            "TrafficMirrorFilterId",
            "TrafficMirrorTargetId",
            "VirtualNetworkId",
        ],
    ),
];

pub(super) const NETWORK_INTERFACE: &str = "AWS::EC2::NetworkInterface";

pub(super) const NESTED_STACK: &str = "AWS::CloudFormation::Stack";

/// Types whose resources are templates that are not read.
const UNREAD_TYPES: [&str; 2] =
    ["AWS::CloudFormation::StackSet", "AWS::ServiceCatalog::CloudFormationProvisionedProduct"];

/// Properties that are ids, for which the name of a resource suffices.
pub(super) const NAMED_PROPERTIES: [&str; 3] =
    ["NetworkInterfaceId", "NetworkLoadBalancerArn", "GatewayLoadBalancerEndpointId"];

/// Properties that are numbers, which a template may write as strings.
pub(super) const NUMBERS: [&str; 7] = [
    "FromPort",
    "PacketLength",
    "Protocol",
    "RuleNumber",
    "SessionNumber",
    "ToPort",
    "VirtualNetworkId",
];

#[derive(Clone, Copy)]
pub(super) enum TemplateType {
    /// A resource, and the key of its id in the EC2 API.
    One(Kind, &'static str),
    Rule,
}

/// Whether a resource type belongs to traffic mirroring.
pub(super) fn is_mirroring_type(kind: &str) -> bool {
    TYPES.iter().any(|(name, ..)| *name == kind)
}

/// Whether a resource of that type deploys another template, which is not read.
pub(super) fn is_unread_template(kind: &str) -> bool {
    UNREAD_TYPES.contains(&kind) || kind.ends_with("::MODULE")
}
