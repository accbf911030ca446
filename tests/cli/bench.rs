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
            let latency = ["p50", "p99", "p99_9", "max"]
                .map(|name| stage["latency_ns"][name].as_u64().unwrap());
            assert!(latency.is_sorted(), "{latency:?}");
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
    assert!(ran.text().contains("100 packets, 100 mirrored"), "{}", ran.text());
    for head in ["averages of rounds", "latency", "p99.9"] {
        assert!(ran.text().contains(head), "{}", ran.text());
    }
    let run = scratch.run(&format!("{flags} --format json")).json()["runs"][0].clone();
    assert_eq!((&run["seed"], &run["zipf"]), (&1.into(), &0.0.into()));
    assert_eq!(run["mix"], serde_json::json!({"hit": 80, "miss": 15, "last": 5}));
    assert!(run["shape"].is_null() && run["mpps"].is_null(), "{run}");
}

#[test]
fn rules_are_generated_by_shape_family_and_seed() {
    let scratch = Scratch::new();
    let run = |flags: &str| {
        let generated = "bench --rules 200 --packets 500 --rounds 1 --format json";
        let ran = scratch.run(&format!("{generated} --stages whole {flags}"));
        assert_eq!(ran.code, 0, "{flags}: {}", ran.stderr);
        ran.json()["runs"][0].clone()
    };
    for shape in ["acl", "fw", "ipc"] {
        for family in ["ipv4", "ipv6"] {
            let flags = format!("--shape {shape} --family {family} --sessions 3");
            let report = run(&flags);
            assert_eq!((&report["shape"], &report["family"]), (&shape.into(), &family.into()));
            assert_eq!((&report["rules"], &report["sessions"]), (&200.into(), &3.into()));
            assert_eq!((&report["packets"], &report["workers"]), (&500.into(), &1.into()));
            assert!(report["mpps"].as_f64().unwrap() > 0.0);
            assert_eq!(run(&flags)["taken"], report["taken"]);
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
fn without_rules_a_sweep_over_generated_rules_is_measured() {
    let scratch = Scratch::new();
    let flags = "bench --packets 64 --rounds 1 --stages classify --format json --plot bench.svg";
    let ran = scratch.run(flags);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let json = ran.json();
    let runs = json["runs"].as_array().unwrap().iter();
    let measured: Vec<(u64, &str)> =
        runs.map(|run| (run["rules"].as_u64().unwrap(), run["asked"].as_str().unwrap())).collect();
    let wanted = [10, 100, 1000].map(|rules| [(rules, "linear"), (rules, "auto")]);
    assert_eq!(measured, wanted.concat());
    assert!(std::fs::read_to_string(scratch.path("bench.svg")).unwrap().contains("<polyline"));
}

#[test]
fn an_engine_that_does_not_support_the_rules_is_skipped() {
    let scratch = Scratch::new();
    let flags = "bench --rules 100001 --packets 64 --rounds 1 --stages classify --format json";
    let ran = scratch.run(&format!("{flags} --engine words"));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains(
        "engine words, 100001 rules: these rules are too many, or need too much memory or \
             time; use forest"
    ));
    let ran = scratch.run(&format!("{flags} --engine words,linear"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("engine words"), "{}", ran.stderr);
    assert!(ran.stderr.contains("skipped"), "{}", ran.stderr);
    assert_eq!(ran.json()["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn invalid_options_and_files_are_errors_with_the_value() {
    let scratch = scratch();
    scratch.write_file("empty", "");
    for (flags, sentence) in [
        ("--classbench rules --config rules", "cannot be used with"),
        ("--classbench none", "none: No such file or directory"),
        ("--classbench trace", "trace: line 1: expected a rule that begins with @"),
        ("--classbench rules --trace rules", "rules: line 1: source "),
        ("--classbench empty", "rules: found no session"),
        ("--classbench rules --trace empty", "packets: found no IP packet"),
        ("--classbench rules --sessions 0", "0 is not in 1..=32766"),
        ("--config rules --sessions 2", "cannot be used with"),
        ("--rules 1 --classbench rules", "cannot be used with"),
        ("--rules 0", "0 is not in 1..=1000000"),
        ("--classbench rules --shape acl", "cannot be used with"),
        ("--config rules --family ipv6", "cannot be used with"),
        ("--classbench rules --trace trace --packets 9", "cannot be used with"),
        ("--classbench rules --trace trace --mix hit=100", "cannot be used with"),
        ("--rules 1 --mix hit=80,miss=15", "the sum of the shares is 95: expected 100"),
        ("--rules 1 --mix all=100", "\"all=100\": expected hit=N, miss=N or last=N"),
        ("--rules 1 --zipf -1", "'-1' for '--zipf <S>': expected a number from 0 to 10"),
        ("--rules 1 --zipf nan", "'nan' for '--zipf <S>': expected a number from 0 to 10"),
        ("--rules 1 --workers 0", "0 is not in 1..=1024"),
        (
            "--rules 1 --packets 3 --workers 4",
            "workers 4: expected at most 3, the number of packets",
        ),
        ("--rules 1 --sweep rules=1,2", "--sweep rules: generates the rules"),
        ("--classbench rules --sweep rules=1", "--sweep rules: generates the rules"),
        ("--sweep rules=1 --sweep rules=2", "--sweep rules: is given twice"),
        ("--sweep rules=1,2 --sweep workers=1 --workers 2", "--workers 2: --sweep workers has"),
        ("--sweep packets=1", "expected rules=N,N,... or workers=N,N,..."),
        ("--rules 1 --plot bench.png", "--plot bench.png: expected a name that ends in .svg"),
        ("--rules 1 --engine fast", "possible values: auto, linear, words, classes, forest"),
    ] {
        let ran = scratch.run(&format!("bench {flags}"));
        assert_eq!(ran.code, 2, "{flags}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{flags}: {}", ran.stderr);
    }
}
