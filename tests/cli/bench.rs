//! What rules and packets cost: all but the times is the same in each run.

use crate::run::Scratch;

const RULES: &str = "@10.0.0.0/8\t0.0.0.0/0\t0 : 65535\t443 : 443\t0x06/0xFF\t0x0000/0x0000
@0.0.0.0/0\t10.1.0.0/16\t0 : 65535\t0 : 65535\t0x11/0xFF\t0x0000/0x0000
@192.0.2.1/32\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x00/0x00\t0x0000/0x0000
";

/// A header that the first rule takes, one for the second, one for nobody.
const TRACE: &str = "167837953 3232235777 1024 443 6\n1 167837953 5 6 17\n1 2 3 4 6\n";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.put("rules", RULES);
    scratch.put("trace", TRACE);
    scratch
}

#[test]
fn figures_of_every_stage() {
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
fn without_packets_the_rules_give_some() {
    let scratch = scratch();
    let ran = scratch.run("bench --classbench rules --rounds 1 --stages classify");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains("3 rules in 1 sessions, words"), "{}", ran.text());
    assert!(ran.text().contains("128 packets, of which 128 are taken"), "{}", ran.text());
}

#[test]
fn what_is_wrong_is_named() {
    let scratch = scratch();
    scratch.put("empty", "");
    for (flags, sentence) in [
        ("", "<--classbench <FILE>|--config <FILE>>"),
        ("--classbench rules --config rules", "cannot be used with"),
        ("--classbench none", "none: No such file or directory"),
        ("--classbench trace", "trace: line 1: a rule begins with @"),
        ("--classbench rules --trace rules", "rules: line 1: source:"),
        ("--classbench empty", "rules: there is none"),
        ("--classbench rules --trace empty", "packets: there is none"),
        ("--classbench rules --sessions 0", "0 is not in 1..=32766"),
    ] {
        let ran = scratch.run(&format!("bench {flags}"));
        assert_eq!(ran.code, 2, "{flags}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{flags}: {}", ran.stderr);
    }
}
