//! The command `interfaces` on the host that runs the tests.

use crate::run::Scratch;

#[test]
fn the_loopback_interface_is_listed() {
    let scratch = Scratch::new();
    let ran = scratch.run("interfaces --format json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rows = ran.json();
    let is_loopback = |row: &&serde_json::Value| row["link_layer"] == "loopback";
    let loopback = rows.as_array().unwrap().iter().find(is_loopback).unwrap();
    let table = scratch.run("interfaces");
    assert_eq!(table.code, 0, "{}", table.stderr);
    let heading: Vec<&str> = table.text().lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["device", "state", "MAC", "addresses", "MTU", "offloads", "mirror"]);
    assert!(table.text().contains(loopback["device"].as_str().unwrap()));
}

#[test]
fn an_unknown_namespace_is_an_error_with_its_name() {
    let scratch = Scratch::new();
    for (name, code, sentence) in [
        ("tm-none", 1, "no network namespace `tm-none` in /run/netns: No such file"),
        ("/tm/none", 1, "no network namespace at /tm/none: No such file"),
        ("..", 2, "network namespace `..`: expected a name of `ip netns list`"),
    ] {
        let ran = scratch.run(&format!("interfaces --netns {name}"));
        assert_eq!((ran.code, ran.messages().len()), (code, 1), "{}", ran.stderr);
        assert!(ran.messages()[0].starts_with(sentence), "{}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}
