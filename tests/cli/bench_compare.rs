//! `bench compare` of two reports, and the pictures that `bench` draws.

use crate::run::Scratch;

fn report(engine: &str, rules: u32, min: f64, median: f64) -> String {
    format!(
        r#"{{"name": "some <rules>", "rules": {rules}, "sessions": 1, "asked": "{engine}",
        "depth": 1, "workers": 1, "stages": [{{"stage": "classify",
        "ns_per_packet": {{"min": {min}, "median": {median}, "p99": 9}}}}]}}"#
    )
}

fn reports(machine: &str, runs: &[String]) -> String {
    format!(r#"{{"machine": {{"cpu": "{machine}"}}, "runs": [{}]}}"#, runs.join(","))
}

#[test]
fn runs_of_both_reports_are_compared() {
    let scratch = Scratch::new();
    let first_runs = [report("auto", 10, 4.0, 4.2), report("auto", 100, 10.0, 10.5)];
    let second_runs = [report("auto", 10, 2.0, 2.1), report("auto", 100, 10.25, 10.5)];
    let only_in_a = report("linear", 10, 50.0, 51.0);
    scratch.write_file(
        "a.json",
        reports("one", &[first_runs[0].clone(), first_runs[1].clone(), only_in_a]),
    );
    scratch.write_file("b.json", reports("one", &second_runs));
    let ran = scratch.run("bench compare a.json b.json --format json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json = ran.json();
    assert_eq!((&json["stages"][0]["ratio"], &json["same_machine"]), (&0.5.into(), &true.into()));
    assert_eq!(json["stages"][0]["ratio_of_medians"], 0.5);
    assert_eq!(json["stages"][0]["within_noise"], false);
    assert_eq!(json["stages"][1]["within_noise"], true);
    assert_eq!(json["means"][0]["ratio"], 0.716);
    assert_eq!(json["only_in_first"][0]["engine"], "linear");
    let text = scratch.run("bench compare a.json b.json").text().to_owned();
    assert!(text.contains("within the noise") && text.contains("geometric mean"), "{text}");
    assert!(text.contains("1 of 2 differences are larger than the noise."), "{text}");
    assert!(text.contains("only in A: some <rules>, 10 rules in 1, linear"), "{text}");
    scratch.write_file("b.json", reports("two", &second_runs));
    let text = scratch.run("bench compare a.json b.json").text().to_owned();
    assert!(text.starts_with("The machines differ"), "{text}");
}

#[test]
fn a_file_that_is_not_a_report_is_refused() {
    let scratch = Scratch::new();
    scratch.write_file("a.json", reports("one", &[report("auto", 10, 4.0, 5.0)]));
    scratch.write_file("other.json", reports("one", &[report("auto", 11, 4.0, 5.0)]));
    scratch.write_file("bad.json", r#"{"runs": [{"name": 1}]}"#);
    for (files, what) in [
        ("a.json bad.json", "bad.json: "),
        ("a.json none.json", "none.json: No such file"),
        ("a.json other.json", "no run in common"),
        ("- -", "name a file"),
    ] {
        let ran = scratch.run(&format!("bench compare {files}"));
        assert_eq!(ran.code, 2, "{files}: {}", ran.stderr);
        assert!(ran.stderr.contains(what), "{files}: {}", ran.stderr);
    }
}

#[test]
fn plot_and_html_write_an_svg_and_a_page() {
    let scratch = Scratch::new();
    let flags = "bench --sweep rules=1,50 --engine linear,auto --packets 64 --rounds 2";
    let ran = scratch.run(&format!("{flags} --stages classify --plot bench.svg --html bench.html"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let svg = std::fs::read_to_string(scratch.path("bench.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for label in ["linear", "auto", "rules"] {
        assert!(svg.contains(label), "{label}");
    }
    let html = std::fs::read_to_string(scratch.path("bench.html")).unwrap();
    let at = |text: &str| html.find(text).unwrap();
    assert!(at("<h2>Summary") < at("Fastest: ") && at("Fastest: ") < at("<svg"), "{html}");
    assert!(html.contains(svg.trim()) && html.contains("--sweep rules=1,50"));
    assert!(svg.contains("band = from the fastest to the median round"));
    let ran = scratch.run("bench --rules 9 --packets 9 --rounds 1 --plot point.svg");
    assert!(ran.stderr.contains("the picture has points and no curve"), "{}", ran.stderr);
    let ran = scratch.run(&format!("{flags} --plot no/such/folder/bench.svg"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("no/such/folder/bench.svg"), "{}", ran.stderr);
}

#[test]
fn equal_reports_differ_only_by_noise() {
    let scratch = Scratch::new();
    scratch.write_file("a.json", reports("one", &[report("auto", 10, 4.0, 4.1)]));
    let text = scratch.run("bench compare a.json a.json").text().to_owned();
    assert!(text.contains("No difference is larger than the noise."), "{text}");
}
