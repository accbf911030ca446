//! Joined lists: filters, ids, duplicates and pages.

use crate::stack::Stack;

/// The ids of all pages with this number of results.
fn pages(stack: &Stack, form: &str, element: &str, max_results: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let page = stack.send(&format!("{form}&MaxResults={max_results}{token}"));
        assert_eq!(page.status, 200, "{}", page.body);
        let ids = page.all(element);
        assert!(ids.len() <= max_results, "{}", page.body);
        found.extend(ids.into_iter().map(str::to_owned));
        match page.all("nextToken")[..] {
            [] => return found,
            [next] => token = format!("&NextToken={next}"),
            _ => panic!("{}", page.body),
        }
    }
}

#[test]
fn tags_of_both_sides_are_listed_on_pages() {
    let (stack, emulator) = Stack::with_emulator();
    for number in 0..7 {
        let id = format!("i-{number}");
        emulator.resources.lock().unwrap().tags.push((id, "k".to_owned(), "v".to_owned()));
    }
    for _ in 0..7 {
        let filter = stack.create_filter();
        stack.send(&format!("Action=CreateTags&ResourceId.1={filter}&Tag.1.Key=k&Tag.1.Value=v"));
    }
    let all = stack.send("Action=DescribeTags");
    let all: Vec<String> = all.all("resourceId").into_iter().map(str::to_owned).collect();
    // And the tag Name of the own interface.
    assert_eq!(all.len(), 15);
    for page_len in [None, Some(2)] {
        emulator.resources.lock().unwrap().page_len = page_len;
        for max_results in [5, 6, 7, 8, 13, 14, 15, 1000] {
            assert_eq!(pages(&stack, "Action=DescribeTags", "resourceId", max_results), all);
        }
    }
    let before = emulator.received("DescribeTags").len();
    for filter in [
        "resource-type&Filter.1.Value.1=traffic-mirror-filter",
        "resource-id&Filter.1.Value.1=tmf-0",
    ] {
        stack.send(&format!("Action=DescribeTags&Filter.1.Name={filter}"));
    }
    assert_eq!(emulator.received("DescribeTags").len(), before, "only own resources");
    let wrong = stack.send("Action=DescribeTags&NextToken=7");
    assert_eq!(wrong.one("Code"), "InvalidNextToken");
}

#[test]
fn a_page_token_carries_the_filters_of_the_first_request() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.resources.lock().unwrap().page_len = Some(1);
    emulator.add_interface("eni-0123456789abcdef0", "10.0.0.5", None);
    emulator.add_interface("eni-0123456789abcdef1", "10.0.0.6", None);
    let form = "Action=DescribeNetworkInterfaces&Filter.1.Name=description&Filter.1.Value.1=x";
    let page = stack.send(&format!("{form}&MaxResults=5"));
    let token = page.one("nextToken");
    let next = stack.send(&format!("Action=DescribeNetworkInterfaces&NextToken={token}"));
    assert_eq!(next.one("networkInterfaceId"), "eni-0123456789abcdef1");
    let sent = emulator.received("NextToken");
    assert!(sent[0].text().contains("Filter.1.Name=description"), "{}", sent[0].text());
}

#[test]
fn an_interface_of_both_sides_is_listed_once() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.add_interface("eni-00000001", "10.0.0.5", None);
    emulator.add_interface("eni-0123456789abcdef0", "10.0.0.6", None);
    let both = ["eni-00000001", "eni-0123456789abcdef0"];
    let all = stack.send("Action=DescribeNetworkInterfaces");
    assert_eq!(all.all("networkInterfaceId"), both);
    assert_eq!(all.all("privateIpAddress"), ["10.0.0.5", "10.0.0.6"]);
    assert_eq!(pages(&stack, "Action=DescribeNetworkInterfaces", "networkInterfaceId", 5), both);
    emulator.resources.lock().unwrap().page_len = Some(1);
    assert_eq!(pages(&stack, "Action=DescribeNetworkInterfaces", "networkInterfaceId", 5), both);
}

#[test]
fn interfaces_are_found_by_id_on_both_sides() {
    let (stack, emulator) = Stack::with_emulator();
    let theirs = "eni-0123456789abcdef0";
    emulator.add_interface(theirs, "10.0.0.5", None);
    let ask = |ids: &[&str]| {
        let ids = (1..).zip(ids).map(|(n, id)| format!("&NetworkInterfaceId.{n}={id}"));
        stack.send(&format!("Action=DescribeNetworkInterfaces{}", ids.collect::<String>()))
    };
    assert_eq!(ask(&["eni-00000001"]).all("networkInterfaceId"), ["eni-00000001"]);
    assert_eq!(ask(&[theirs]).all("networkInterfaceId"), [theirs]);
    let both = ask(&["eni-00000001", theirs]);
    assert_eq!(both.all("networkInterfaceId"), [theirs, "eni-00000001"]);
    let unknown = ask(&["eni-00000001", "eni-0123456789abcdef9"]);
    assert_eq!(unknown.one("Code"), "InvalidNetworkInterfaceID.NotFound");
}

#[test]
fn a_filter_that_only_the_emulator_has_selects_no_own_interface() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.add_interface("eni-0123456789abcdef0", "10.0.0.5", None);
    let form = "Action=DescribeNetworkInterfaces&Filter.1.Name=requester-id&Filter.1.Value.1=x";
    assert_eq!(stack.send(form).all("networkInterfaceId"), ["eni-0123456789abcdef0"]);
    let invalid = stack.send("Action=DescribeNetworkInterfaces&MaxResults=3");
    assert_eq!(invalid.one("Code"), "InvalidParameterValue");
    let dry = stack.send("Action=DescribeNetworkInterfaces&DryRun=true");
    assert_eq!((dry.status, dry.one("Code")), (412, "DryRunOperation"));
}

#[test]
fn the_tags_of_a_learned_interface_are_listed_once() {
    let (stack, emulator) = Stack::with_emulator();
    let id = "eni-0123456789abcdef0";
    emulator.add_interface(id, "10.0.0.5", None);
    let tag = (id.to_owned(), "Name".to_owned(), "web".to_owned());
    emulator.resources.lock().unwrap().tags.push(tag);
    assert_eq!(stack.create_session(id, 1).status, 200);
    assert_eq!(stack.interface(id).unwrap().tags["Name"], "web");
    emulator.resources.lock().unwrap().page_len = Some(1);
    let ids = pages(&stack, "Action=DescribeTags", "resourceId", 1000);
    assert_eq!(ids.iter().filter(|one| **one == id).count(), 1, "{ids:?}");
    assert!(ids.iter().all(|one| !one.starts_with("i-")), "the emulator has instances: {ids:?}");
}
