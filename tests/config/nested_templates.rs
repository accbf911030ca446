//! Files that CloudFormation templates name: nested stacks, includes, and the output of CDK.

use std::path::Path;

use traffic_mirror::control::config::{ParameterValues, ParsedConfig, read_files_with};
use traffic_mirror::control::render::to_toml;

use crate::{error_lines, warning_lines};

/// Writes files and reads the first one.
fn read(files: &[(&str, &str)], options: &[&str]) -> ParsedConfig {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut values = ParameterValues::default();
    options.iter().for_each(|option| values.add_option(option).unwrap());
    read_files_with(&[folder.path().join(Path::new(files[0].0))], &values)
}

const RULE: &str = "{Type: 'AWS::EC2::TrafficMirrorFilterRule', Properties: {TrafficMirrorFilterId: \
                    {Ref: F}, TrafficDirection: ingress, RuleNumber: 1, RuleAction: accept, \
                    SourceCidrBlock: 0.0.0.0/0, DestinationCidrBlock: 0.0.0.0/0}}";

const MAIN: &str = "
Parameters:
  Sensor: {Type: String, Default: eni-sensor}
Conditions: {Never: !Equals [a, b]}
Resources:
  Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://bucket/parts/filter.yaml}}
  Collect:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: !Sub 'https://s3.${AWS::URLSuffix}/bucket/v1/parts/collect.yaml'
      Parameters: {SensorEni: !Ref Sensor, Address: 10.0.0.9}
  Absent:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: ./absent.yaml}
  NotCreated:
    Type: AWS::CloudFormation::Stack
    Condition: Never
    Properties: {TemplateURL: ./not-created.yaml}
  S:
    Type: AWS::EC2::TrafficMirrorSession
    Properties:
      NetworkInterfaceId: eni-1
      TrafficMirrorTargetId: !GetAtt Collect.Outputs.TargetId
      TrafficMirrorFilterId: !Ref F
      SessionNumber: 1
";

const COLLECT: &str = "
Parameters:
  SensorEni: {Type: String}
  Address: {Type: String}
  Port: {Type: Number, Default: 4790}
Resources:
  Target:
    Type: AWS::EC2::TrafficMirrorTarget
    Properties:
      NetworkInterfaceId: !Ref SensorEni
      Tags: [{Key: 'mirror:address', Value: !Sub '${Address}:${Port}'}]
Outputs:
  TargetId: {Value: !Ref Target}
";

fn filter() -> String {
    format!("F: {{Type: 'AWS::EC2::TrafficMirrorFilter'}}\nR: {RULE}\n")
}

#[test]
fn nested_stacks_and_includes_are_read_beside_the_template() {
    let files =
        [("main.yaml", MAIN), ("parts/collect.yaml", COLLECT), ("parts/filter.yaml", &filter())];
    let outcome = read(&files, &["Sensor=eni-other"]);
    let warnings = warning_lines(&outcome);
    assert!(warnings.contains("the nested stack `Absent` is not read: `./absent.yaml`"));
    assert!(!warnings.contains("NotCreated"), "{warnings}");
    let toml = to_toml(&outcome.registry.unwrap());
    for line in [
        "traffic_mirror_target_id = \"Collect.Target\"",
        "address = \"10.0.0.9:4790\"",
        "network_interface_id = \"eni-other\"",
        "traffic_mirror_filter_rule_id = \"R\"",
    ] {
        assert!(toml.contains(line), "{line} in {toml}");
    }
}

#[test]
fn the_end_of_a_location_suffices() {
    let main = MAIN.replace("${AWS::URLSuffix}/bucket/v1/", "${Host}/${Bucket}/${Prefix}");
    let main = main.replace("  Sensor: {", "  Bucket: {Type: String}\n  Sensor: {");
    let files =
        [("main.yaml", &*main), ("parts/collect.yaml", COLLECT), ("parts/filter.yaml", &filter())];
    let outcome = read(&files, &[]);
    assert!(!warning_lines(&outcome).contains("stack `Collect` is not read"));
    assert_eq!(outcome.registry.unwrap().targets()[0].id().as_str(), "Collect.Target");
}

#[test]
fn an_error_of_a_nested_stack_names_its_file() {
    let wrong = COLLECT.replace("${Address}", "nowhere");
    let files =
        [("main.yaml", MAIN), ("parts/collect.yaml", &*wrong), ("parts/filter.yaml", &filter())];
    let errors = error_lines(&read(&files, &[]));
    assert!(errors.contains("parts/collect.yaml:11:"), "{errors}");
    assert!(errors.contains("Target.Tags `nowhere:4790`: expected"), "{errors}");
    let files = [("main.yaml", MAIN), ("parts/filter.yaml", &filter())];
    let errors = error_lines(&read(&files, &[]));
    assert!(errors.contains("--parameter Collect.Outputs.TargetId=VALUE"), "{errors}");
    let files = [("main.yaml", MAIN), ("parts/collect.yaml", COLLECT)];
    let errors = error_lines(&read(&files, &[]));
    assert!(errors.contains("TrafficMirrorFilterId `Ref`: expected a resource or"), "{errors}");
}

#[test]
fn files_that_name_each_other_are_not_read_again() {
    let include = "  Fn::Transform: {Name: AWS::Include, Parameters: {Location: b.yaml}}\n";
    let stack = "  N: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: a.yaml}}\n";
    let main = format!("Resources:\n{include}{stack}");
    let outcome = read(&[("a.yaml", &main), ("b.yaml", include.trim_start())], &[]);
    let warnings = warning_lines(&outcome);
    assert!(
        warnings.contains("the include `b.yaml` is not read: it includes itself"),
        "{warnings}"
    );
    assert!(warnings.contains("the nested stack `N` is not read: `a.yaml`: it nests itself"));
    let many: String = (0..300).map(|at| stack.replace("  N:", &format!("  N{at}:"))).collect();
    let main = format!("Resources:\n{}", many.replace("a.yaml", "c.yaml"));
    let warnings = warning_lines(&read(&[("a.yaml", &main), ("c.yaml", "Resources: {}")], &[]));
    assert!(warnings.contains("at most 256 files"), "{warnings}");
}

#[test]
fn a_stack_of_cdk_is_read() {
    let main = r#"{
  "Resources": {
    "NestedStackResource": {
      "Type": "AWS::CloudFormation::Stack",
      "Properties": {
        "TemplateURL": {"Fn::Join": ["", ["https://s3.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"},
          "/", {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}, "/0123.json"]]},
        "Parameters": {"referencetoSensorRef": {"Ref": "Sensor"}}},
      "Metadata": {"aws:cdk:path": "App/Nested", "aws:asset:path": "AppNested.nested.template.json"}},
    "Sensor": {"Type": "AWS::EC2::NetworkInterface", "Properties": {"PrivateIpAddress": "10.0.0.9"},
      "Metadata": {"aws:cdk:path": "App/Sensor"}},
    "CDKMetadata": {"Type": "AWS::CDK::Metadata", "Condition": "CDKMetadataAvailable",
      "Properties": {"Analytics": "v2:deflate64:H4s"}}},
  "Conditions": {"CDKMetadataAvailable": {"Fn::Or": [{"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]}]}},
  "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>",
    "Default": "/cdk-bootstrap/hnb659fds/version", "Description": "[cdk:skip]"}},
  "Rules": {"CheckBootstrapVersion": {"Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains":
    [["1", "2", "3", "4", "5"], {"Ref": "BootstrapVersion"}]}]}, "AssertDescription": "x"}]}}}"#;
    let nested = r#"{
  "Parameters": {"referencetoSensorRef": {"Type": "String"}},
  "Resources": {
    "Target": {"Type": "AWS::EC2::TrafficMirrorTarget",
      "Properties": {"NetworkInterfaceId": {"Ref": "referencetoSensorRef"}}},
    "Filter": {"Type": "AWS::EC2::TrafficMirrorFilter"},
    "Session": {"Type": "AWS::EC2::TrafficMirrorSession", "Properties": {"NetworkInterfaceId": "eni-1",
      "TrafficMirrorTargetId": {"Fn::GetAtt": ["Target", "Id"]}, "SessionNumber": 1,
      "TrafficMirrorFilterId": {"Ref": "Filter"}}}}}"#;
    let files = [("App.template.json", main), ("AppNested.nested.template.json", nested)];
    let outcome = read(&files, &[]);
    assert!(!warning_lines(&outcome).contains("AWS::Region"));
    let registry = outcome.registry.unwrap();
    let address = registry.target_address(&registry.targets()[0]).unwrap();
    assert_eq!(address.to_string(), "10.0.0.9:4789");
    assert_eq!(registry.sessions()[0].target_id.as_str(), "NestedStackResource.Target");
}

#[test]
fn what_is_not_read_is_named() {
    let text = "Transform: [AWS::Serverless-2016-10-31, CompanyMacro]\nResources:\n  \
                Fleet: {Type: AWS::CloudFormation::StackSet}\n  \
                Shared: {Type: My::Mirror::Base::MODULE}\n";
    let warnings = warning_lines(&read(&[("t.yaml", text)], &[]));
    for part in ["the macro `CompanyMacro` is not run", "`Fleet` is not read", "`Shared` is not"] {
        assert!(warnings.contains(part), "{warnings}");
    }
    assert!(!warnings.contains("AWS::Serverless"), "{warnings}");
}

/// A session that mirrors `interface` to a target outside the template.
fn session(interface: &str) -> String {
    format!(
        "  F: {{Type: AWS::EC2::TrafficMirrorFilter}}\n  \
         T: {{Type: AWS::EC2::TrafficMirrorTarget, Properties: {{NetworkInterfaceId: eni-t}}}}\n  \
         S:\n    Type: AWS::EC2::TrafficMirrorSession\n    Properties: {{NetworkInterfaceId: \
         {interface}, TrafficMirrorTargetId: !Ref T, TrafficMirrorFilterId: !Ref F, \
         SessionNumber: 1}}\n"
    )
}

const TWO_INTERFACES: &str = "
Parameters: {Number: {Type: String}, Is: {Type: String, Default: x}}
Conditions: {Never: !Equals [a, b], Unknown: !Equals [!Ref Number, a]}
Resources:
  X: {Type: AWS::EC2::NetworkInterface, Properties: {PrivateIpAddress: 10.0.0.9}}
  Y: {Type: AWS::EC2::NetworkInterface, Properties: {PrivateIpAddress: 10.0.0.8}}
Outputs:
  A: {Condition: Never, Value: !Ref Y, Export: {Name: x-Eni}}
  B: {Value: !Ref X, Export: {Name: x-Eni}}
  C: {Condition: Unknown, Value: !Ref X}
";

#[test]
fn an_output_whose_condition_is_false_does_not_exist() {
    let nested = |output: &str| {
        let nest = "N: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ./n.yaml}}";
        format!("Resources:\n  {nest}\n{}", session(&format!("!GetAtt N.Outputs.{output}")))
    };
    let read_nested =
        |output: &str| read(&[("main.yaml", &*nested(output)), ("n.yaml", TWO_INTERFACES)], &[]);
    let toml = to_toml(&read_nested("B").registry.unwrap());
    assert!(toml.contains("network_interface_id = \"N.X\""), "{toml}");
    let errors = error_lines(&read_nested("A"));
    assert!(errors.contains("the condition of the output `A` of"), "{errors}");
    // A parameter of a nested stack is given with the name of the stack.
    let errors = error_lines(&read_nested("C"));
    assert!(errors.contains("--parameter N.Number=VALUE"), "{errors}");
    let files = [("main.yaml", &*nested("C")), ("n.yaml", TWO_INTERFACES)];
    assert_eq!(error_lines(&read(&files, &["N.Number=a"])), "");
    let importing = format!("Resources:\n{}", session("!ImportValue x-Eni"));
    let toml = to_toml(&read_both(&importing, TWO_INTERFACES).registry.unwrap());
    assert!(toml.contains("network_interface_id = \"X\""), "{toml}");
}

/// Reads two templates that are not nested.
fn read_both(first: &str, second: &str) -> ParsedConfig {
    use traffic_mirror::control::config::{Text, read_texts};
    read_texts(&[Text::new("first.yaml", first), Text::new("second.yaml", second)])
}

#[test]
fn interfaces_of_one_name_in_two_templates_are_an_error_that_names_both() {
    let interface = |address: &str| {
        format!(
            "Resources:\n  Eni: {{Type: AWS::EC2::NetworkInterface, Properties: \
             {{PrivateIpAddress: {address}}}}}\n"
        )
    };
    let mirrored = interface("10.0.0.2") + &session("!Ref Eni");
    let errors = error_lines(&read_both(&interface("10.0.0.1"), &mirrored));
    assert!(errors.contains("an id that no other network interface has"), "{errors}");
    assert!(errors.contains("first.yaml:2") && errors.contains("second.yaml:2"), "{errors}");
    let other = mirrored.replace("!Ref Eni", "eni-1");
    assert_eq!(error_lines(&read_both(&interface("10.0.0.1"), &other)), "");
}

#[test]
fn a_nested_stack_whose_condition_is_unknown_is_not_read() {
    let main = format!(
        "Parameters: {{Deploy: {{Type: String}}}}\nConditions: {{Bad: !Equals [!Ref Deploy, \
         'yes']}}\nResources:\n  N: {{Type: AWS::CloudFormation::Stack, Condition: Bad, \
         Properties: {{TemplateURL: ./n.yaml}}}}\n{}",
        session("eni-1")
    );
    let files = [("main.yaml", &*main), ("n.yaml", TWO_INTERFACES)];
    assert_eq!(error_lines(&read(&files, &[])), "");
    let mirroring = "Resources: {G: {Type: 'AWS::EC2::TrafficMirrorFilter'}}";
    let outer = "Resources: {M: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: \
                 ./m.yaml}}}";
    for files in [
        vec![("main.yaml", &*main), ("n.yaml", mirroring)],
        vec![("main.yaml", &*main), ("n.yaml", outer), ("m.yaml", mirroring)],
    ] {
        let errors = error_lines(&read(&files, &[]));
        assert!(errors.contains("N.Condition cannot be evaluated: "), "{errors}");
        assert!(errors.contains("--parameter Deploy=VALUE"), "{errors}");
        assert_eq!(read(&files, &["Deploy=no"]).registry.unwrap().filters().len(), 1);
        assert_eq!(read(&files, &["Deploy=yes"]).registry.unwrap().filters().len(), 2);
    }
}

#[test]
fn the_primary_address_may_be_written_as_a_string() {
    let main = format!(
        "Resources:\n  E: {{Type: AWS::EC2::NetworkInterface, Properties: {{PrivateIpAddresses: \
         [{{PrivateIpAddress: 10.0.0.3, Primary: 'false'}}, {{PrivateIpAddress: 10.0.0.2, \
         Primary: 'True'}}]}}}}\n{}",
        session("!Ref E")
    );
    let toml = to_toml(&read(&[("main.yaml", &*main)], &[]).registry.unwrap());
    assert!(toml.contains("[\"10.0.0.2\", \"10.0.0.3\"]"), "{toml}");
}

#[test]
fn a_file_that_includes_itself_by_another_path_is_reported_once() {
    let include = |path: &str| {
        format!("{{'Fn::Transform': {{Name: AWS::Include, Parameters: {{Location: {path}}}}}}}")
    };
    let main = format!("Resources:\n  A: {0}\n  B: {0}\n", include("./ii.yaml"));
    let own = format!("A: {}\nB: {}\n", include("././ii.yaml"), include("./../f/ii.yaml"));
    let outcome = read(&[("f/main.yaml", &*main), ("f/ii.yaml", &*own)], &[]);
    let warnings = warning_lines(&outcome);
    assert_eq!(warnings.matches("it includes itself").count(), 2, "{warnings}");
}

#[test]
fn a_target_whose_interface_is_unknown_is_one_error() {
    let main = format!("Parameters: {{E: {{Type: String}}}}\nResources:\n{}", session("eni-1"));
    let main = main.replace("eni-t", "!Ref E");
    let errors = error_lines(&read(&[("main.yaml", &*main)], &[]));
    assert!(errors.contains("--parameter E=VALUE") && errors.lines().count() == 1, "{errors}");
}
