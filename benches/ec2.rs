//! The endpoint in memory, from a form to its XML: how long a resource takes to be made, and a page
//! of a long list to be told.
#![expect(clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use traffic_mirror::ec2::Endpoint;

use testkit::memory_endpoint::{endpoint, send};

/// As many as AWS's quotas allow.
const MAX_FILTERS: usize = 10_000;

const CREATE: &str = "Action=CreateTrafficMirrorFilter&Description=a+filter\
                      &TagSpecification.1.ResourceType=traffic-mirror-filter\
                      &TagSpecification.1.Tag.1.Key=env&TagSpecification.1.Tag.1.Value=bench";

fn successful_response(endpoint: &Endpoint, form: &str) -> String {
    let (status, text) = send(endpoint, black_box(form));
    assert_eq!(status, 200, "{text}");
    text
}

/// The text of the first element of that name.
fn text<'a>(document: &'a str, name: &str) -> &'a str {
    let (_, behind) = document.split_once(&format!("<{name}>")).unwrap();
    behind.split_once('<').unwrap().0
}

/// An endpoint with many filters already.
fn filled_endpoint() -> Endpoint {
    let endpoint = endpoint();
    (0..MAX_FILTERS).for_each(|_| drop(successful_response(&endpoint, CREATE)));
    endpoint
}

fn change(c: &mut Criterion) {
    let endpoint = filled_endpoint();
    let mut group = c.benchmark_group("ec2");
    group.sample_size(20);
    group.bench_function("create-and-delete-filter", |b| {
        b.iter(|| {
            let created = successful_response(&endpoint, CREATE);
            let id = text(&created, "trafficMirrorFilterId");
            let form = format!("Action=DeleteTrafficMirrorFilter&TrafficMirrorFilterId={id}");
            successful_response(&endpoint, &form)
        });
    });
    group.finish();
}

fn describe(c: &mut Criterion) {
    let endpoint = filled_endpoint();
    let action = "Action=DescribeTrafficMirrorFilters";
    let first = successful_response(&endpoint, &format!("{action}&MaxResults=1000"));
    let second = format!("{action}&NextToken={}", text(&first, "nextToken"));
    let no_such = format!("{action}&Filter.1.Name=tag:env&Filter.1.Value.1=*x*&MaxResults=1000");
    let id = format!("{action}&TrafficMirrorFilterId.1={}", text(&first, "trafficMirrorFilterId"));
    let mut group = c.benchmark_group("ec2");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("describe-page", |b| b.iter(|| successful_response(&endpoint, &second)));
    group.throughput(Throughput::Elements(MAX_FILTERS.try_into().unwrap()));
    group.bench_function("describe-none-of-all", |b| {
        b.iter(|| successful_response(&endpoint, &no_such));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("describe-one-by-id", |b| b.iter(|| successful_response(&endpoint, &id)));
    group.finish();
}

criterion_group!(benches, change, describe);
criterion_main!(benches);
