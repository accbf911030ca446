//! `--parameter`: values for templates, in every command that reads a configuration.

use crate::run::{Scratch, capture};

const TEMPLATE: &str = "
Parameters:
  Number: {Type: Number}
Resources:
  Nested: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ./parts/nested.yaml}}
  Eni: {Type: AWS::EC2::NetworkInterface, Properties: {PrivateIpAddress: 10.0.0.5}}
  Session:
    Type: AWS::EC2::TrafficMirrorSession
    Properties:
      NetworkInterfaceId: !Ref Eni
      TrafficMirrorTargetId: !GetAtt Nested.Outputs.Target
      TrafficMirrorFilterId: !GetAtt Nested.Outputs.Filter
      SessionNumber: !Ref Number
";

const NESTED: &str = "
Resources:
  Sensor: {Type: AWS::EC2::NetworkInterface, Properties: {PrivateIpAddress: 10.0.0.9}}
  Target: {Type: AWS::EC2::TrafficMirrorTarget, Properties: {NetworkInterfaceId: !Ref Sensor}}
  Filter: {Type: AWS::EC2::TrafficMirrorFilter}
  Rule:
    Type: AWS::EC2::TrafficMirrorFilterRule
    Properties: {TrafficMirrorFilterId: !Ref Filter, TrafficDirection: ingress, RuleNumber: 1,
      RuleAction: accept, SourceCidrBlock: 0.0.0.0/0, DestinationCidrBlock: 0.0.0.0/0}
Outputs:
  Target: {Value: !Ref Target}
  Filter: {Value: !Ref Filter}
";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(3));
    scratch.write_file("t.yaml", TEMPLATE);
    std::fs::create_dir(scratch.path("parts")).unwrap();
    scratch.write_file("parts/nested.yaml", NESTED);
    scratch.write_file("p.json", r#"[{"ParameterKey": "Number", "ParameterValue": "7"}]"#);
    scratch
}

/// In the sandbox of `replay` and `explain` too.
#[test]
fn every_command_with_a_configuration_takes_parameters() {
    let scratch = scratch();
    for command in [
        "check --config t.yaml",
        "export --config t.yaml --format aws-json",
        "replay in.pcap --config t.yaml --write out.pcap",
        "explain in.pcap --config t.yaml",
        "bench --config t.yaml --packets 64 --rounds 1",
    ] {
        let ran = scratch.run(command);
        assert_eq!(ran.code, 2, "{command}: {}", ran.stderr);
        assert!(ran.stderr.contains("give its value with --parameter Number=VALUE"), "{command}");
        for option in ["Number=7", "@p.json"] {
            let ran = scratch.run(&format!("{command} --parameter {option}"));
            assert_eq!(ran.code, 0, "{command} {option}: {}", ran.stderr);
        }
    }
    let ran = scratch.run("check --config t.yaml --parameter @p.json");
    assert!(ran.text().contains("session_number = 7"), "{}", ran.text());
    assert!(ran.text().contains("traffic_mirror_target_id = \"Nested.Target\""));
}

#[test]
fn an_invalid_parameter_is_refused() {
    let scratch = scratch();
    for (words, part) in [
        ("check --config t.yaml --parameter Number", "--parameter `Number`: expected NAME=VALUE"),
        ("check --config t.yaml --parameter @none.json", "--parameter none.json: cannot read"),
        ("check --config t.yaml --parameter Number=x", "expected a number for the parameter"),
        ("replay in.pcap --target 192.0.2.1 --parameter a=b", "--config"),
    ] {
        let ran = scratch.run(words);
        assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{words}: {}", ran.stderr);
    }
}

/// What is not read often explains an error.
#[test]
fn warnings_are_printed_before_errors() {
    let scratch = scratch();
    scratch.write_file("absent.yaml", TEMPLATE.replace("./parts/", "./absent/"));
    let ran = scratch.run("check --config absent.yaml --parameter Number=7");
    let (warnings, errors) =
        ran.stderr.split_once("--parameter Nested.Outputs.").unwrap_or_default();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(warnings.contains("the nested stack `Nested` is not read"), "{}", ran.stderr);
    assert!(!errors.contains("not read"), "{errors}");
}

#[test]
fn a_nested_template_that_the_sandbox_hides_is_named_with_the_option() {
    let scratch = scratch();
    std::fs::create_dir(scratch.path("main")).unwrap();
    scratch.write_file("main/t.yaml", TEMPLATE.replace("./parts/", "../parts/"));
    let words = "explain in.pcap --config main/t.yaml --parameter Number=7";
    let ran = scratch.run(&format!("{words} --no-sandbox"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = scratch.run(words);
    if ran.code == 0 {
        testkit::print_uncaptured("NOT RUN: the kernel does not enforce the sandbox\n");
        return;
    }
    assert!(ran.stderr.contains("or use --no-sandbox"), "{}", ran.stderr);
}
