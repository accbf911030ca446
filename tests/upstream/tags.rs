//! CreateTags over resources of both sides.

use crate::stack::{Response, Stack};

fn tag(stack: &Stack, ids: &[&str], more: &str) -> Response {
    let ids = (1..).zip(ids).map(|(n, id)| format!("&ResourceId.{n}={id}"));
    let ids: String = ids.collect();
    stack.send(&format!("Action=CreateTags&Tag.1.Key=k&Tag.1.Value=v{ids}{more}"))
}

fn own_tags(stack: &Stack) -> usize {
    let form = "Action=DescribeTags&Filter.1.Name=resource-type\
                &Filter.1.Value.1=traffic-mirror-filter";
    stack.send(form).all("key").len()
}

#[test]
fn tags_are_divided_by_the_ids_of_the_resources() {
    let (stack, emulator) = Stack::with_emulator();
    let filter = stack.create_filter();
    assert_eq!(tag(&stack, &["i-1", &filter, "vpc-1"], "").one("return"), "true");
    let theirs = &emulator.received("CreateTags")[0];
    assert!(theirs.text().contains("ResourceId.1=i-1&ResourceId.2=vpc-1"), "{}", theirs.text());
    assert!(!theirs.text().contains("tmf-"), "{}", theirs.text());
    assert_eq!((own_tags(&stack), emulator.resources.lock().unwrap().tags.len()), (1, 2));
    tag(&stack, &[&filter], "");
    assert_eq!(emulator.received("CreateTags").len(), 1, "only own resources");
    tag(&stack, &["i-2"], "");
    assert!(emulator.received("CreateTags")[1].text().starts_with("Version="), "unchanged");
}

#[test]
fn a_failed_half_says_that_the_other_one_was_not_changed() {
    let (stack, emulator) = Stack::with_emulator();
    let filter = stack.create_filter();
    let failed = tag(&stack, &[&filter, "i-unknown"], "");
    assert_eq!((failed.status, failed.one("Code")), (400, "InvalidID"));
    let message =
        format!("The ID 'i-unknown' is not valid. The tags of {filter} were not changed.");
    assert_eq!(failed.one("Message"), message);
    assert_eq!(own_tags(&stack), 0);
    let failed = tag(&stack, &["tmf-0123456789abcdef0", "i-1"], "");
    assert_eq!(failed.one("Code"), "InvalidTrafficMirrorFilterId.NotFound");
    assert!(failed.one("Message").ends_with("The tags of i-1 were not changed."));
    assert_eq!(emulator.resources.lock().unwrap().tags.len(), 0);
}

#[test]
fn own_tags_can_be_changed_while_the_emulator_is_down() {
    let stack = Stack::without_emulator();
    let filter = stack.create_filter();
    assert_eq!(tag(&stack, &[&filter], "").one("return"), "true");
    let failed = tag(&stack, &[&filter, "i-1"], "");
    assert_eq!((failed.status, failed.one("Code")), (424, "UpstreamUnavailable"));
    let message = failed.one("Message");
    assert!(message.ends_with(&format!("The tags of {filter} were not changed.")), "{message}");
}
