//! Measures the EC2 endpoint in memory, from a form to its XML: creating a filter, and describing
//! filters of an account that has 10,000.
#![expect(clippy::unwrap_used, reason = "a failed benchmark may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use traffic_mirror::ec2::Endpoint;

use testkit::memory_endpoint::{endpoint, send};

/// The quota of AWS for filters.
const MAX_FILTERS: usize = 10_000;

const CREATE_FORM: &str = "Action=CreateTrafficMirrorFilter&Description=a+filter\
                      &TagSpecification.1.ResourceType=traffic-mirror-filter\
                      &TagSpecification.1.Tag.1.Key=env&TagSpecification.1.Tag.1.Value=bench";

fn successful_response(endpoint: &Endpoint, form: &str) -> String {
    let (status, text) = send(endpoint, black_box(form));
    assert_eq!(status, 200, "{text}");
    text
}

/// The text of the first element with this name.
fn element_text<'a>(document: &'a str, name: &str) -> &'a str {
    let (_, after_tag) = document.split_once(&format!("<{name}>")).unwrap();
    after_tag.split_once('<').unwrap().0
}

/// An endpoint with [`MAX_FILTERS`] filters.
fn filled_endpoint() -> Endpoint {
    let endpoint = endpoint();
    (0..MAX_FILTERS).for_each(|_| drop(successful_response(&endpoint, CREATE_FORM)));
    endpoint
}

fn create_and_delete(criterion: &mut Criterion) {
    let endpoint = filled_endpoint();
    let mut group = criterion.benchmark_group("ec2");
    group.sample_size(20);
    group.bench_function("create-and-delete-filter", |b| {
        b.iter(|| {
            let created = successful_response(&endpoint, CREATE_FORM);
            let id = element_text(&created, "trafficMirrorFilterId");
            let form = format!("Action=DeleteTrafficMirrorFilter&TrafficMirrorFilterId={id}");
            successful_response(&endpoint, &form)
        });
    });
    group.finish();
}

fn describe(criterion: &mut Criterion) {
    let endpoint = filled_endpoint();
    let action = "Action=DescribeTrafficMirrorFilters";
    let first_page = successful_response(&endpoint, &format!("{action}&MaxResults=1000"));
    let second_page_form = format!("{action}&NextToken={}", element_text(&first_page, "nextToken"));
    let no_match_form =
        format!("{action}&Filter.1.Name=tag:env&Filter.1.Value.1=*x*&MaxResults=1000");
    let id = element_text(&first_page, "trafficMirrorFilterId");
    let by_id_form = format!("{action}&TrafficMirrorFilterId.1={id}");
    let mut group = criterion.benchmark_group("ec2");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("describe-page", |b| {
        b.iter(|| successful_response(&endpoint, &second_page_form));
    });
    group.throughput(Throughput::Elements(MAX_FILTERS.try_into().unwrap()));
    group.bench_function("describe-none-of-all", |b| {
        b.iter(|| successful_response(&endpoint, &no_match_form));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("describe-one-by-id", |b| {
        b.iter(|| successful_response(&endpoint, &by_id_form));
    });
    group.finish();
}

criterion_group!(benches, create_and_delete, describe);
criterion_main!(benches);
