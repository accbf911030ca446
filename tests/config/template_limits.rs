//! Limits of the evaluation of templates, and combinations of functions that make no sense.

use traffic_mirror::control::config::{ParsedConfig, Text, read_texts};

use crate::error_lines;

fn read(text: &str) -> ParsedConfig {
    read_texts(&[Text::new("t.yaml", text)])
}

/// Functions that double a text or a condition, and loops in loops.
#[test]
fn templates_that_need_too_much_work_are_refused() {
    let rule = "Type: AWS::EC2::TrafficMirrorFilterRule, Properties: {TrafficMirrorFilterId: x, \
                TrafficDirection: ingress, RuleNumber: 1, RuleAction: accept, SourceCidrBlock: \
                0.0.0.0/0, DestinationCidrBlock:";
    let doubled: String = (0..60)
        .map(|at| {
            let next = format!("${{V{}.CidrBlock}}", at + 1);
            format!("  V{at}: {{Type: T, Properties: {{CidrBlock: !Sub '{next}{next}'}}}}\n")
        })
        .collect();
    let texts = format!(
        "Resources:\n{doubled}  V60: {{Type: T, Properties: {{CidrBlock: 10.0.0.0/8}}}}\n  R: \
         {{{rule} !GetAtt V0.CidrBlock}}}}\n"
    );
    let conditions: String = (1..70)
        .map(|at| format!("  C{at}: !And [!Condition C{0}, !Condition C{0}]\n", at - 1))
        .collect();
    let conditions = format!(
        "Conditions:\n  C0: !Equals [a, a]\n{conditions}Resources:\n  F: {{Condition: C69, Type: \
         AWS::EC2::TrafficMirrorFilter}}\n"
    );
    let items = vec!["a"; 1000].join(",");
    let loops = format!(
        "Resources:\n  Fn::ForEach::A: [A, [{items}], {{'Fn::ForEach::B': [B, [{items}], \
         {{'F${{A}}${{B}}': {{Type: AWS::EC2::TrafficMirrorFilter}}}}]}}]\n"
    );
    for text in [texts, conditions, loops] {
        assert!(!error_lines(&read(&text)).is_empty());
    }
}

/// The most memory that this process used, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// A text of a megabyte, many times: each would need 20 GB.
#[test]
fn memory_is_limited_before_texts_are_made() {
    let long = "x".repeat(1_000_000);
    let times = |piece: &str| vec![piece; 20_000].join(",");
    let rule = |cidr: &str| {
        format!(
            "Parameters: {{A: {{Type: String, Default: '{long}'}}}}\nResources: {{R: {{Type: \
             'AWS::EC2::TrafficMirrorFilterRule', Properties: {{SourceCidrBlock: {cidr}}}}}}}\n"
        )
    };
    let loops = format!(
        "Parameters: {{A: {{Type: String, Default: '{long}'}}}}\nResources:\n  \
         Fn::ForEach::L: [V, [!Ref A], {{F: {{Type: 'AWS::EC2::TrafficMirrorFilter', Properties: \
         {{Description: '{}'}}}}}}]\n",
        times("${V}")
    );
    let texts = [
        rule(&format!("!Sub '{}'", times("${A}"))),
        rule(&format!("!Join [!Ref A, [{}]]", times("b"))),
        rule(&format!("!Select [0, !If [C, [{0}], [{0}]]]", times("!Ref A"))),
        rule(&format!("[{}]", times("!Ref A"))),
        loops,
    ];
    for text in texts {
        assert!(!error_lines(&read(&text)).is_empty());
    }
    assert!(peak_memory() < 2 << 30, "{}", peak_memory());
}

#[test]
fn the_number_of_resources_is_limited() {
    let filters = |count: usize| {
        let items: Vec<String> = (0..count).map(|at| format!("a{at}")).collect();
        let items = items.join(",");
        format!(
            "Resources:\n  Fn::ForEach::A: [A, [{items}], {{'F${{A}}': {{Type: \
             'AWS::EC2::TrafficMirrorFilter', Properties: {{Description: !Sub '${{F${{A}}}}'}}}}}}]\n"
        )
    };
    assert_eq!(read(&filters(20_000)).registry.unwrap().filters().len(), 20_000);
    let errors = error_lines(&read(&filters(20_001)));
    assert!(errors.contains("at most 20000 resources"), "{errors}");
}

/// Pieces of templates, well-formed and not.
const PIECES: [&str; 24] = [
    "!Ref X",
    "!Ref AWS::NoValue",
    "!GetAtt X.Y",
    "!If [C, a, !Ref X]",
    "!Sub '${X}${Y'",
    "!Sub ['${X}', {X: !Ref X}]",
    "!Join [',', [a, !Ref X]]",
    "!Split [a, !Ref X]",
    "!Select [1, !Ref X]",
    "!Cidr [!Ref X, 2, 8]",
    "!FindInMap [M, !Ref X, k]",
    "!Not [!Condition C]",
    "!Equals [!Ref X, !GetAtt X.Y]",
    "{'Fn::ForEach::L': [V, !Ref X, {'${V}': !Ref V}]}",
    "{'Fn::Transform': {Name: AWS::Include, Parameters: {Location: !Ref X}}}",
    "{'Fn::ToJsonString': {a: !Ref X}}",
    "{'Fn::Length': !Ref X}",
    "!Base64 x",
    "!GetAZs ''",
    "!ImportValue x",
    "'{{resolve:ssm:x'",
    "10.0.0.0/8",
    "[1, ~]",
    "-5",
];

proptest::proptest! {
    /// Each piece is in a place where CloudFormation may expect another type.
    #[test]
    fn no_combination_of_functions_panics(picks in proptest::collection::vec(0..PIECES.len(), 9)) {
        let [a, b, c, d, e, f, g, h, i] = std::array::from_fn(|at| PIECES[picks[at]]);
        let text = format!(
            "Parameters: {{X: {{Type: List<Number>, Default: {a}}}}}\n\
             Mappings: {{M: {{k: {{k: {b}}}}}}}\nConditions: {{C: {c}}}\n\
             Resources:\n  \
             X: {{Type: T, Properties: {{Y: {d}}}}}\n  \
             F: {{Type: AWS::EC2::TrafficMirrorFilter, Condition: {e}, Properties: {{Tags: {f}}}}}\n  \
             R: {{Type: AWS::EC2::TrafficMirrorFilterRule, Properties: {{SourceCidrBlock: {g}, \
             TrafficMirrorFilterId: {h}}}}}\n  \
             Fn::ForEach::A: [V, {i}, {{'${{V}}': {{Type: AWS::EC2::TrafficMirrorTarget}}}}]\n"
        );
        let outcome = read(&text);
        for problem in outcome.problems.iter().chain(&outcome.warnings) {
            assert!(!problem.to_string().contains('\n'));
        }
    }
}
