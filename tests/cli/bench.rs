//! The command `bench`: its output is the same in each run, except for the times.

use crate::run::Scratch;

const RULES: &str = "@10.0.0.0/8\t0.0.0.0/0\t0 : 65535\t443 : 443\t0x06/0xFF\t0x0000/0x0000
@0.0.0.0/0\t10.1.0.0/16\t0 : 65535\t0 : 65535\t0x11/0xFF\t0x0000/0x0000
@192.0.2.1/32\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x00/0x00\t0x0000/0x0000
";

/// A header that matches the first rule, one that matches the second, one that matches none.
const TRACE: &str = "167837953 3232235777 1024 443 6\n1 167837953 5 6 17\n1 2 3 4 6\n";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("rules", RULES);
    scratch.write_file("trace", TRACE);
    scratch
}

#[test]
fn every_stage_is_reported() {
    let scratch = scratch();
    for engine in ["auto", "linear", "words", "classes", "forest"] {
        let flags = "bench --classbench rules --trace trace --rounds 2 --format json";
        let ran = scratch.run(&format!("{flags} --sessions 2 --engine {engine}"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let json = ran.json();
        let run = &json["runs"][0];
        assert_eq!((&run["rules"], &run["sessions"]), (&3.into(), &2.into()));
        assert_eq!((&run["packets"], &run["taken"]), (&3.into(), &2.into()));
        let wanted = if engine == "auto" { "words" } else { engine };
        assert_eq!(run["engine"], wanted);
        let stages = run["stages"].as_array().unwrap();
        let names: Vec<&str> = stages.iter().map(|one| one["stage"].as_str().unwrap()).collect();
        assert_eq!(names, ["parse", "classify", "wrap", "send", "whole"]);
        for stage in stages {
            let figures = &stage["ns_per_packet"];
            assert!(figures["min"].as_f64().unwrap() <= figures["p99"].as_f64().unwrap());
        }
    }
}

#[test]
fn without_packets_some_are_generated() {
    let scratch = scratch();
    let flags = "bench --classbench rules --rounds 1 --stages classify --packets 100";
    let ran = scratch.run(&format!("{flags} --mix hit=100"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains("3 rules in 1 sessions, words"), "{}", ran.text());
    assert!(ran.text().contains("100 packets, of which 100 are taken"), "{}", ran.text());
    let run = scratch.run(&format!("{flags} --format json")).json()["runs"][0].clone();
    assert_eq!((&run["seed"], &run["zipf"]), (&1.into(), &0.0.into()));
    assert_eq!(run["mix"], serde_json::json!({"hit": 80, "miss": 15, "last": 5}));
    assert!(run["shape"].is_null() && run["mpps"].is_null(), "{run}");
}

#[test]
fn rules_are_generated_by_shape_family_and_seed() {
    let scratch = Scratch::new();
    let run = |flags: &str| {
        let some = "bench --rules 200 --packets 500 --rounds 1 --format json";
        let ran = scratch.run(&format!("{some} --stages whole {flags}"));
        assert_eq!(ran.code, 0, "{flags}: {}", ran.stderr);
        ran.json()["runs"][0].clone()
    };
    for shape in ["acl", "fw", "ipc"] {
        for family in ["ipv4", "ipv6"] {
            let flags = format!("--shape {shape} --family {family} --sessions 3");
            let one = run(&flags);
            assert_eq!((&one["shape"], &one["family"]), (&shape.into(), &family.into()));
            assert_eq!((&one["rules"], &one["sessions"]), (&200.into(), &3.into()));
            assert_eq!((&one["packets"], &one["workers"]), (&500.into(), &1.into()));
            assert!(one["mpps"].as_f64().unwrap() > 0.0);
            assert_eq!(run(&flags)["taken"], one["taken"]);
        }
    }
    assert_eq!(run("--mix hit=100")["taken"], 500);
    assert_eq!(run("--mix last=100 --flows 3 --zipf 1.5")["taken"], 500);
    assert!(run("--mix miss=100")["taken"].as_u64().unwrap() < 50);
    let taken = |seed: u32| run(&format!("--seed {seed}"))["taken"].clone();
    assert!((2..9).any(|seed| taken(seed) != taken(1)));
}

#[test]
fn a_sweep_measures_the_product_of_its_lists() {
    let scratch = Scratch::new();
    let flags = "bench --packets 64 --rounds 1 --stages classify,whole --format json";
    let ran = scratch.run(&format!("{flags} --sweep rules=1,20 --sweep workers=1,2"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json = ran.json();
    let runs = json["runs"].as_array().unwrap().iter();
    let measured: Vec<(u64, &str, u64)> = runs
        .map(|run| {
            let number = |name: &str| run[name].as_u64().unwrap();
            (number("rules"), run["engine"].as_str().unwrap(), number("workers"))
        })
        .collect();
    let wanted = [1, 20].map(|rules| {
        ["linear", "words"].map(|engine| [1, 2].map(|workers| (rules, engine, workers)))
    });
    assert_eq!(measured, wanted.concat().concat());
    assert!(
        ["cores", "version", "profile", "simd"].iter().all(|name| !json["machine"][name].is_null())
    );
}

#[test]
fn an_engine_that_does_not_support_the_rules_is_skipped() {
    let scratch = Scratch::new();
    let flags = "bench --rules 100001 --packets 64 --rounds 1 --stages classify --format json";
    let ran = scratch.run(&format!("{flags} --engine words"));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--engine words: these rules need too much memory; take forest"));
    let ran = scratch.run(&format!("{flags} --engine words,linear"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("--engine words"), "{}", ran.stderr);
    assert!(ran.stderr.contains("left out"), "{}", ran.stderr);
    assert_eq!(ran.json()["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn invalid_options_and_files_are_errors_with_the_value() {
    let scratch = scratch();
    scratch.write_file("empty", "");
    for (flags, sentence) in [
        ("", "--classbench <FILE>|--config <FILE>|--rules <N>|--sweep <WHAT=LIST>"),
        ("--classbench rules --config rules", "cannot be used with"),
        ("--classbench none", "none: No such file or directory"),
        ("--classbench trace", "trace: line 1: a rule begins with @"),
        ("--classbench rules --trace rules", "rules: line 1: source:"),
        ("--classbench empty", "rules: there is none"),
        ("--classbench rules --trace empty", "packets: there is none"),
        ("--classbench rules --sessions 0", "0 is not in 1..=32766"),
        ("--config rules --sessions 2", "cannot be used with"),
        ("--rules 1 --classbench rules", "cannot be used with"),
        ("--rules 0", "0 is not in 1..=1000000"),
        ("--classbench rules --shape acl", "cannot be used with"),
        ("--config rules --family ipv6", "cannot be used with"),
        ("--classbench rules --trace trace --packets 9", "cannot be used with"),
        ("--classbench rules --trace trace --mix hit=100", "cannot be used with"),
        ("--rules 1 --mix hit=80,miss=15", "the shares add up to 95, not to 100"),
        ("--rules 1 --mix all=100", "\"all=100\" is none of hit=N, miss=N and last=N"),
        ("--rules 1 --zipf -1", "\"-1\" is no number from 0 to 10"),
        ("--rules 1 --zipf nan", "\"nan\" is no number from 0 to 10"),
        ("--rules 1 --workers 0", "0 is not in 1..=1024"),
        ("--rules 1 --packets 3 --workers 4", "--workers 4: there are only 3 packets"),
        ("--rules 1 --sweep rules=1,2", "--sweep rules: says how many rules are generated"),
        ("--classbench rules --sweep rules=1", "--sweep rules: says how many"),
        ("--sweep rules=1 --sweep rules=2", "--sweep rules: is there twice"),
        ("--sweep workers=1,2", "--sweep workers: rules are missing; add --rules"),
        ("--sweep rules=1,2 --sweep workers=1 --workers 2", "--workers 2: is in --sweep workers"),
        ("--sweep packets=1", "is neither rules=N,N,... nor workers=N,N,..."),
        ("--rules 1 --engine fast", "possible values: auto, linear, words, classes, forest"),
    ] {
        let ran = scratch.run(&format!("bench {flags}"));
        assert_eq!(ran.code, 2, "{flags}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{flags}: {}", ran.stderr);
    }
}
