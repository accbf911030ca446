//! As many filters and sessions as AWS's quotas allow: pages list each of them exactly once and in
//! order, also while others are created and deleted.
#![expect(clippy::unwrap_used, reason = "tests")]

use roxmltree::Document;
use traffic_mirror::ec2::Endpoint;

use testkit::memory_endpoint::{endpoint, send};

/// Number of resources of each kind.
const MAX_RESOURCES: usize = 10_000;

/// The largest page: "MaxResults: 5-1000".
const PAGE: usize = 1_000;

/// The texts of the elements of that name, in their order.
fn element_texts(document: &str, name: &str) -> Vec<String> {
    let document = Document::parse(document).unwrap();
    let elements = document.descendants().filter(|one| one.tag_name().name() == name);
    elements.map(|one| one.text().unwrap_or_default().to_owned()).collect()
}

fn answer(endpoint: &Endpoint, form: &str) -> String {
    let (status, text) = send(endpoint, form);
    assert_eq!(status, 200, "{form}: {text}");
    text
}

fn create_filter(endpoint: &Endpoint, number: usize) -> String {
    let form = format!(
        "Action=CreateTrafficMirrorFilter&Description=filter+{number}\
         &TagSpecification.1.ResourceType=traffic-mirror-filter\
         &TagSpecification.1.Tag.1.Key=shard&TagSpecification.1.Tag.1.Value={}",
        number % 50
    );
    element_texts(&answer(endpoint, &form), "trafficMirrorFilterId").remove(0)
}

fn create_session(endpoint: &Endpoint, number: usize, filter: &str) -> String {
    let form = format!(
        "Action=CreateTrafficMirrorSession&NetworkInterfaceId=eni-{:08}\
         &TrafficMirrorTargetId=tmt-file&TrafficMirrorFilterId={filter}&SessionNumber={}\
         &TagSpecification.1.ResourceType=traffic-mirror-session\
         &TagSpecification.1.Tag.1.Key=shard&TagSpecification.1.Tag.1.Value={}",
        number % 100,
        number / 100 + 1,
        number % 50
    );
    element_texts(&answer(endpoint, &form), "trafficMirrorSessionId").remove(0)
}

/// All ids of a listing by pages. `meanwhile` runs between two pages, with the number of the first.
fn list(
    endpoint: &Endpoint,
    kind: &str,
    query: &str,
    mut meanwhile: impl FnMut(usize),
) -> Vec<String> {
    let action = format!("Action=DescribeTrafficMirror{kind}s");
    let mut listed = Vec::new();
    let mut form = format!("{action}&MaxResults={PAGE}{query}");
    for page in 0.. {
        let document = answer(endpoint, &form);
        let list = Document::parse(&document).unwrap();
        let items =
            list.root_element().children().filter(|one| one.tag_name().name() != "requestId");
        let ids = items.flat_map(|set| set.children()).filter_map(|item| {
            let is_id = |one: &roxmltree::Node<'_, '_>| {
                one.tag_name().name() == format!("trafficMirror{kind}Id")
            };
            Some(item.children().find(is_id)?.text()?.to_owned())
        });
        let ids: Vec<String> = ids.collect();
        assert!(ids.len() <= PAGE);
        listed.extend(ids);
        let Some(token) = element_texts(&document, "nextToken").pop() else { break };
        assert_eq!(listed.len(), (page + 1) * PAGE, "a page that is not the last one is full");
        // The token includes the filters of the first request.
        form = format!("{action}&NextToken={token}");
        meanwhile(page);
    }
    listed
}

/// The ids of `listed` that are in `ids`, in the order of `listed`.
fn among(listed: &[String], ids: &[String]) -> Vec<String> {
    let ids: std::collections::HashSet<&String> = ids.iter().collect();
    listed.iter().filter(|id| ids.contains(id)).cloned().collect()
}

fn assert_no_duplicates(listed: &[String]) {
    let mut sorted = listed.to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), listed.len(), "a resource is listed twice");
}

#[test]
fn many_filters_are_paged_while_others_are_created_and_deleted() {
    let endpoint = endpoint();
    let filters: Vec<String> =
        (0..MAX_RESOURCES).map(|number| create_filter(&endpoint, number)).collect();
    assert_eq!(list(&endpoint, "Filter", "", |_| {}), filters);

    // Each 500th is deleted between pages: listed ones, ones not yet listed, the last of a page.
    let (deleted, kept): (Vec<_>, Vec<_>) =
        filters.iter().cloned().enumerate().partition(|(number, _)| number % 500 == 499);
    let mut deleted = deleted.into_iter().map(|(_, id)| id);
    let kept: Vec<String> = kept.into_iter().map(|(_, id)| id).collect();
    let listed = list(&endpoint, "Filter", "", |page| {
        create_filter(&endpoint, MAX_RESOURCES + page);
        for id in [deleted.next(), deleted.next_back()].into_iter().flatten() {
            let form = format!("Action=DeleteTrafficMirrorFilter&TrafficMirrorFilterId={id}");
            answer(&endpoint, &form);
        }
    });
    assert_no_duplicates(&listed);
    assert_eq!(among(&listed, &kept), kept);

    let described =
        list(&endpoint, "Filter", "&Filter.1.Name=description&Filter.1.Value.1=*+12?4", |_| {});
    let expected: Vec<String> = (0..10).map(|digit| filters[1204 + digit * 10].clone()).collect();
    assert_eq!(described, expected);
    let of_shard = list(&endpoint, "Filter", "&Filter.1.Name=tag:shard&Filter.1.Value.1=7", |_| {});
    let expected: Vec<String> = filters.iter().skip(7).step_by(50).cloned().collect();
    assert_eq!(among(&of_shard, &filters), expected);
}

#[test]
fn many_sessions_are_paged_while_others_are_created_and_deleted() {
    let endpoint = endpoint();
    let filter = create_filter(&endpoint, 0);
    let create = |number| create_session(&endpoint, number, &filter);
    let sessions: Vec<String> = (0..MAX_RESOURCES).map(create).collect();
    assert_eq!(list(&endpoint, "Session", "", |_| {}), sessions);

    let (deleted, kept) =
        (&sessions[5_000..5_020], [&sessions[..5_000], &sessions[5_020..]].concat());
    let mut deleted = deleted.iter();
    let listed = list(&endpoint, "Session", "", |page| {
        create(MAX_RESOURCES + page);
        for id in deleted.by_ref().take(2) {
            let form = format!("Action=DeleteTrafficMirrorSession&TrafficMirrorSessionId={id}");
            answer(&endpoint, &form);
        }
    });
    assert_no_duplicates(&listed);
    assert_eq!(among(&listed, &kept), kept);

    let query = "&Filter.1.Name=network-interface-id&Filter.1.Value.1=eni-0000000?\
                 &Filter.2.Name=session-number&Filter.2.Value.1=3&Filter.2.Value.2=9*";
    let by_number =
        |number: &usize| [2, 8].contains(&(number / 100)) || (89..99).contains(&(number / 100));
    let expected = (0..MAX_RESOURCES).filter(|number| number % 100 < 10).filter(by_number);
    let expected: Vec<String> = expected.map(|number| sessions[number].clone()).collect();
    assert_eq!(list(&endpoint, "Session", query, |_| {}), expected);
    let of_shard =
        list(&endpoint, "Session", "&Filter.1.Name=tag:shard&Filter.1.Value.1=7", |_| {});
    let expected: Vec<String> = kept
        .iter()
        .filter(|id| sessions.iter().skip(7).step_by(50).any(|one| one == *id))
        .cloned()
        .collect();
    assert_eq!(among(&of_shard, &kept), expected);
}

#[test]
fn tags_are_paged_while_others_are_created_and_deleted() {
    let endpoint = endpoint();
    let filters: Vec<String> = (0..20).map(|number| create_filter(&endpoint, number)).collect();
    let tag = |ids: &[String], key: &str| {
        let ids: Vec<String> =
            (1..).zip(ids).map(|(n, id)| format!("&ResourceId.{n}={id}")).collect();
        let form = format!("Action=CreateTags&Tag.1.Key={key}&Tag.1.Value=v{}", ids.concat());
        answer(&endpoint, &form);
    };
    tag(&filters, "team");
    let mut pages = Vec::new();
    // Network interfaces and instances have tags too.
    let mut form = String::from(
        "Action=DescribeTags&MaxResults=5&Filter.1.Name=resource-type\
         &Filter.1.Value.1=traffic-mirror-filter",
    );
    loop {
        let document = answer(&endpoint, &form);
        let keys = element_texts(&document, "key");
        pages.extend(element_texts(&document, "resourceId").into_iter().zip(keys));
        let Some(token) = element_texts(&document, "nextToken").pop() else { break };
        form = format!("Action=DescribeTags&NextToken={token}");
        // The resource that was listed first is deleted, and the one listed last gets another tag.
        let id = filters.iter().find(|id| **id == pages.last().unwrap().0).unwrap();
        tag(std::slice::from_ref(id), "and");
        let first = filters.get(pages.len() / 5 - 1).unwrap();
        if first != id {
            answer(
                &endpoint,
                &format!("Action=DeleteTrafficMirrorFilter&TrafficMirrorFilterId={first}"),
            );
        }
    }
    pages.retain(|(_, key)| key != "and");
    let both = |id: &String| ["shard", "team"].map(|key| (id.clone(), key.to_owned()));
    assert_eq!(pages, filters.iter().flat_map(both).collect::<Vec<_>>());
}

#[test]
fn an_unknown_describe_filter_is_refused_even_without_resources() {
    let endpoint = endpoint();
    for kind in ["TrafficMirrorSessions", "TrafficMirrorFilterRules", "Tags"] {
        let form = format!("Action=Describe{kind}&Filter.1.Name=colour&Filter.1.Value.1=red");
        let (status, text) = send(&endpoint, &form);
        assert_eq!(
            (status, element_texts(&text, "Code").concat()),
            (400, "InvalidParameterValue".into())
        );
        answer(&endpoint, &form.replace("colour", "tag:colour"));
    }
}
