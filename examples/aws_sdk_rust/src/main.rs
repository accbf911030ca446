//! Mirrors the traffic of a network interface with the AWS SDK for Rust, against `traffic-mirror lab`,
//! and prints the copies.
//!
//! The laboratory runs, and has a network interface with the address 10.0.0.5:
//!
//! ```text
//! traffic-mirror lab --listen 127.0.0.1:4566 --network-interface eni-0a1b2c3d4e5f60718=10.0.0.5
//! AWS_ENDPOINT_URL=http://127.0.0.1:4566 cargo run --locked -- ../../pcaps/quickstart/input.pcap
//! ```

use std::error::Error;
use std::{env, fs};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::types::{
    Filter, ResourceType, Tag, TagSpecification, TrafficDirection, TrafficMirrorPortRangeRequest,
    TrafficMirrorRuleAction,
};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The resources that mirror the traffic of one network interface.
struct Mirroring {
    target: String,
    filter: String,
    session: String,
}

/// A client of the laboratory. A program that depends on `aws-config` needs only
/// `aws_config::load_from_env()`, which reads the same variable.
fn client(endpoint: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "static"))
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// The id of the network interface with a private address.
async fn find_network_interface(ec2: &Client, address: &str) -> Result<String> {
    let filter = Filter::builder().name("addresses.private-ip-address").values(address).build();
    let page = ec2.describe_network_interfaces().filters(filter).send().await?;
    let interface = page.network_interfaces().first();
    let id = interface.and_then(|interface| interface.network_interface_id());
    Ok(id.ok_or(format!("the laboratory has no network interface with {address}"))?.to_owned())
}

/// Creates a load balancer target, whose address is its tag `mirror:address`.
async fn create_target(ec2: &Client) -> Result<String> {
    let address = Tag::builder().key("mirror:address").value("192.0.2.10").build();
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::TrafficMirrorTarget)
        .tags(address)
        .build();
    let created = ec2
        .create_traffic_mirror_target()
        .network_load_balancer_arn(
            "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/ids/0123456789abcdef",
        )
        .tag_specifications(tags)
        .send()
        .await?;
    let target =
        created.traffic_mirror_target().and_then(|target| target.traffic_mirror_target_id());
    Ok(target.ok_or("the response has no target")?.to_owned())
}

/// Creates a filter that accepts TCP to port 80.
async fn create_filter(ec2: &Client) -> Result<String> {
    let created = ec2.create_traffic_mirror_filter().description("web").send().await?;
    let filter =
        created.traffic_mirror_filter().and_then(|filter| filter.traffic_mirror_filter_id());
    let filter = filter.ok_or("the response has no filter")?;
    ec2.create_traffic_mirror_filter_rule()
        .traffic_mirror_filter_id(filter)
        .traffic_direction(TrafficDirection::Ingress)
        .rule_number(100)
        .rule_action(TrafficMirrorRuleAction::Accept)
        .protocol(6)
        .source_cidr_block("0.0.0.0/0")
        .destination_cidr_block("0.0.0.0/0")
        .destination_port_range(
            TrafficMirrorPortRangeRequest::builder().from_port(80).to_port(80).build(),
        )
        .send()
        .await?;
    Ok(filter.to_owned())
}

async fn start_mirroring(ec2: &Client, interface: &str) -> Result<Mirroring> {
    let target = create_target(ec2).await?;
    let filter = create_filter(ec2).await?;
    let created = ec2
        .create_traffic_mirror_session()
        .network_interface_id(interface)
        .traffic_mirror_target_id(&target)
        .traffic_mirror_filter_id(&filter)
        .session_number(1)
        .virtual_network_id(42)
        .send()
        .await?;
    let session =
        created.traffic_mirror_session().and_then(|session| session.traffic_mirror_session_id());
    let session = session.ok_or("the response has no session")?.to_owned();
    Ok(Mirroring { target, filter, session })
}

/// Deletes the resources. A session is deleted before its filter and its target.
async fn stop_mirroring(ec2: &Client, mirroring: &Mirroring) -> Result<()> {
    let Mirroring { target, filter, session } = mirroring;
    ec2.delete_traffic_mirror_session().traffic_mirror_session_id(session).send().await?;
    ec2.delete_traffic_mirror_filter().traffic_mirror_filter_id(filter).send().await?;
    ec2.delete_traffic_mirror_target().traffic_mirror_target_id(target).send().await?;
    Ok(())
}

/// Plays a capture through a network interface. Returns the number of frames that were mirrored.
fn play(api: &str, interface: &str, capture: &[u8]) -> Result<u64> {
    let report = ureq::post(format!("{api}/network-interfaces/{interface}/frames"))
        .content_type("application/vnd.tcpdump.pcap")
        .send(capture)?
        .body_mut()
        .read_to_string()?;
    let report: Value = serde_json::from_str(&report)?;
    Ok(report["mirrored"].as_u64().ok_or("the report has no number of mirrored frames")?)
}

/// The copies that a target received, each as a JSON object.
fn copies(api: &str, target: &str) -> Result<Vec<Value>> {
    let lines = ureq::get(format!("{api}/targets/{target}/copies"))
        .header("Accept", "application/x-ndjson")
        .call()?
        .body_mut()
        .read_to_string()?;
    Ok(lines.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let path = env::args().nth(1).ok_or("usage: traffic-mirror-aws-sdk-example CAPTURE")?;
    let capture = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    let endpoint = env::var("AWS_ENDPOINT_URL")
        .map_err(|_| "AWS_ENDPOINT_URL: expected the URL of a laboratory, http://127.0.0.1:4566")?;
    let api = format!("{}/_traffic-mirror/v1", endpoint.trim_end_matches('/'));
    let ec2 = client(&endpoint);

    let interface = find_network_interface(&ec2, "10.0.0.5").await?;
    let mirroring = start_mirroring(&ec2, &interface).await?;
    let mirrored = play(&api, &interface, &capture)?;
    let copies = copies(&api, &mirroring.target)?;
    for copy in &copies {
        let session = copy["session"].as_str().unwrap_or_default();
        println!("vni {} session {session} rule {}", copy["vni"], copy["rule"]);
    }
    println!("{mirrored} frames were mirrored; {} has {} copies", mirroring.target, copies.len());
    stop_mirroring(&ec2, &mirroring).await?;
    if copies.is_empty() {
        return Err(format!("{path}: expected TCP to port 80 of 10.0.0.5").into());
    }
    Ok(())
}
