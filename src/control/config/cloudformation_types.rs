//! The CloudFormation resource types that describe traffic mirroring, with their properties.

use super::resource::Kind;

/// Properties of each type, as of the resource specification.
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

/// Numbers, which may be written as texts.
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
    /// A resource, and the key of its id.
    One(Kind, &'static str),
    Rule,
}

/// Whether that is a type of traffic mirroring.
pub(super) fn is_of_mirroring(kind: &str) -> bool {
    TYPES.iter().any(|(name, ..)| *name == kind)
}
