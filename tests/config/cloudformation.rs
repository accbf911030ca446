//! Functions of CloudFormation templates, evaluated as CloudFormation does.

use traffic_mirror::control::Registry;
use traffic_mirror::control::config::{
    ParameterValues, ParsedConfig, Text, read_texts, read_texts_with,
};
use traffic_mirror::control::render::to_toml;

use crate::{error_lines, warning_lines};

/// Values of parameters, as `NAME=VALUE`.
fn values(options: &[&str]) -> ParameterValues {
    let mut values = ParameterValues::default();
    options.iter().for_each(|option| values.add_option(option).unwrap());
    values
}

fn read(text: &str, options: &[&str]) -> ParsedConfig {
    read_texts_with(&[Text::new("t.yaml", text)], &values(options))
}

fn registry(text: &str, options: &[&str]) -> Registry {
    let outcome = read(text, options);
    assert_eq!(error_lines(&outcome), "");
    outcome.registry.unwrap()
}

/// A template with these sections and a session whose properties and target these lines replace.
fn template(sections: &str, session: &str) -> String {
    let given = |key: &str| session.contains(&format!("      {key}:"));
    let default = |key: &str, value: &str| match given(key) {
        true => String::new(),
        false => format!("      {key}: {value}\n"),
    };
    format!(
        "{sections}\nResources:\n  \
         Eni: {{Type: AWS::EC2::NetworkInterface, Properties: {{PrivateIpAddress: 10.0.0.5}}}}\n  \
         Sensor: {{Type: AWS::EC2::NetworkInterface, Properties: {{PrivateIpAddress: 10.0.0.9}}}}\n  \
         Target: {{Type: AWS::EC2::TrafficMirrorTarget, Properties: {{NetworkInterfaceId: !Ref \
         Sensor}}}}\n  \
         Filter: {{Type: AWS::EC2::TrafficMirrorFilter}}\n  \
         Session:\n    Type: AWS::EC2::TrafficMirrorSession\n    Properties:\n{}{}{}{}{session}\n",
        default("NetworkInterfaceId", "!Ref Eni"),
        default("TrafficMirrorTargetId", "!Ref Target"),
        default("TrafficMirrorFilterId", "!Ref Filter"),
        default("SessionNumber", "1"),
    )
}

/// The VNI of a session that has this value as VirtualNetworkId.
fn number(sections: &str, value: &str, options: &[&str]) -> u32 {
    let text = template(sections, &format!("      VirtualNetworkId: {value}"));
    registry(&text, options).sessions()[0].virtual_network_id.unwrap().value()
}

/// The errors of a session that has this value as VirtualNetworkId.
fn refused(sections: &str, value: &str, options: &[&str]) -> String {
    let text = template(sections, &format!("      VirtualNetworkId: {value}"));
    error_lines(&read(&text, options))
}

const SECTIONS: &str = "
Parameters:
  Env: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  List: {Type: CommaDelimitedList, Default: ' 7 , 8 '}
  Numbers: {Type: List<Number>, Default: '3,4'}
  Small: {Type: Number, Default: 5, MinValue: 1, MaxValue: 9}
  None: {Type: String}
  Ssm: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /mirror/vni}
  SsmList: {Type: 'AWS::SSM::Parameter::Value<List<String>>', Default: /mirror/list}
  Loud: {Type: String, Default: no, AllowedValues: [yes, no]}
Mappings:
  ByEnv:
    dev: {Vni: 100, List: [1, 2]}
    prod: {Vni: 200, List: [3, 4]}
Conditions:
  Prod: !Equals [!Ref Env, prod]
  Dev: !Not [!Condition Prod]
  Both: !And [!Condition Prod, Condition: Dev]
  Either: !Or [!Condition Prod, !Condition Dev]
  Loud: !Equals [!Ref Loud, yes]
  Broken: !Equals [!Ref None, x]
  Loop: !Not [!Condition Loop]";

#[test]
fn functions_have_the_values_of_cloudformation() {
    for (value, expected) in [
        ("!Ref Small", 5),
        ("!Select [1, !Ref List]", 8),
        ("!Select ['0', !Ref Numbers]", 3),
        ("!Select [2, [!Ref None, 1, 6]]", 6),
        ("!Select [1, !Split ['-', 11-12]]", 12),
        ("!Join ['', [1, !Ref Small, !Ref 'AWS::NoValue']]", 15),
        ("!FindInMap [ByEnv, !Ref Env, Vni]", 100),
        ("!Select [1, !FindInMap [ByEnv, dev, List]]", 2),
        ("!FindInMap [ByEnv, absent, Vni, {DefaultValue: 9}]", 9),
        ("!If [Prod, !Ref None, 4]", 4),
        ("!If [Both, 1, !If [Either, 2, 3]]", 2),
        ("!If [Loud, 1, 2]", 2),
        ("!Sub '${Small}1'", 51),
        ("!Sub ['${A}${Small}', {A: !Ref Small, B: !Ref None}]", 55),
        ("{'Fn::Length': !Ref List}", 2),
        ("!Select [1, !Split ['.', !Select [2, !Cidr [10.0.0.0/16, 3, 8]]]]", 0),
        ("!Select [2, !Split ['.', !Select [2, !Cidr [10.0.0.0/16, 3, 8]]]]", 2),
        (
            "!If [Prod, 1, !Ref 'AWS::NoValue']\n      SessionNumber: 1\n      VirtualNetworkId: 3",
            3,
        ),
    ] {
        assert_eq!(number(SECTIONS, value, &[]), expected, "{value}");
    }
}

#[test]
fn options_give_the_values_of_parameters_and_of_other_stacks() {
    for (value, options, expected) in [
        ("!Ref None", &["None=6"][..], 6),
        ("!FindInMap [ByEnv, !Ref Env, Vni]", &["Env=prod"], 200),
        ("!If [Loud, 1, 2]", &["Loud=yes"], 1),
        ("!Select [1, !Ref List]", &["List=1, 21"], 21),
        ("!ImportValue net:Vni", &["net:Vni=31"], 31),
        ("!ImportValue {'Fn::Sub': '${Env}-Vni'}", &["dev-Vni=32"], 32),
        ("'{{resolve:ssm:/mirror/vni:3}}'", &["/mirror/vni=41"], 41),
        ("!Sub '{{resolve:ssm:/${Env}/vni}}'", &["/dev/vni=42"], 42),
        (
            "'{{resolve:secretsmanager:mirror:SecretString:vni}}'",
            &["mirror:SecretString:vni=43"],
            43,
        ),
        ("!Ref Ssm", &["/mirror/vni=44"], 44),
        ("!Ref Ssm", &["Ssm=45"], 45),
        ("!Ref Ssm", &["Ssm=/other", "/other=46"], 46),
        ("!Select [1, !Ref SsmList]", &["/mirror/list=1,47"], 47),
        ("!GetAtt Eni.Vni", &["Eni.Vni=48"], 48),
        ("!If [Prod, 1, !Ref 'AWS::AccountId']", &["AWS::AccountId=49"], 49),
    ] {
        assert_eq!(number(SECTIONS, value, options), expected, "{value}");
    }
}

#[test]
fn a_value_that_is_not_known_is_an_error_with_the_option_that_gives_it() {
    for (value, options, sentence) in [
        (
            "!Ref None",
            &[][..],
            "Session.VirtualNetworkId `Ref`: expected a parameter with a Default",
        ),
        ("!Ref None", &[], "--parameter None=VALUE"),
        (
            "!ImportValue net-Vni",
            &[],
            "`net-Vni` is none: give its value with --parameter net-Vni=",
        ),
        (
            "'{{resolve:ssm:/a/b:3}}'",
            &[],
            "`{{resolve:ssm:/a/b:3}}`: expected its value: give it with --parameter /a/b=VALUE",
        ),
        ("!Ref Ssm", &[], "give it with --parameter /mirror/vni=VALUE or Ssm=VALUE"),
        ("!GetAtt Eni.Vni", &[], "give it with --parameter Eni.Vni=VALUE"),
        ("!Ref Eni", &[], "--parameter Eni=VALUE"),
        ("!If [Broken, 1, 2]", &[], "`None` has none"),
        ("!If [Loop, 1, 2]", &[], "at most 160 levels deep"),
        ("!If [Absent, 1, 2]", &[], "it has no `Absent`"),
        ("!FindInMap [ByEnv, x, Vni]", &[], "there is no `ByEnv.x.Vni`"),
        ("!Select [2, !Ref List]", &[], "an index below the length of the list, 2, got 2"),
        ("!Cidr [10.0.0.0/24, 9, 8]", &[], "Fn::Cidr"),
        (
            "!Ref Env",
            &["Env=test"],
            "expected one of dev, prod for the parameter `Env`, got `test`",
        ),
        ("3", &["Env=test"], "--parameter: expected one of dev, prod for the parameter `Env`"),
        ("3", &["Small=10"], "expected a value that MaxValue 9 permits for the parameter `Small`"),
        ("3", &["Small=x"], "expected a number for the parameter `Small`, got `x`"),
        ("!Nonsense x", &[], "`Fn::Nonsense`: expected a value or a function of CloudFormation"),
        ("!Transform {Name: Mine}", &[], "the macro `Mine` is not run"),
    ] {
        let errors = refused(SECTIONS, value, options);
        assert!(errors.contains(sentence), "{value}: {errors}");
    }
}

#[test]
fn a_resource_with_a_false_condition_does_not_exist() {
    let text = template(
        SECTIONS,
        "      VirtualNetworkId: 1\n  \
         Silence:\n    Type: AWS::EC2::TrafficMirrorFilterRule\n    Condition: Prod\n    \
         Properties: {TrafficMirrorFilterId: !Ref Filter, TrafficDirection: INGRESS, RuleNumber: \
         '1', RuleAction: Reject, SourceCidrBlock: 0.0.0.0/0, DestinationCidrBlock: 0.0.0.0/0}\n  \
         Unrelated:\n    Type: AWS::SQS::Queue\n    Condition: Broken",
    );
    assert_eq!(registry(&text, &[]).filters()[0].all_rules().len(), 0);
    let rules = to_toml(&registry(&text, &["Env=prod"]));
    assert!(rules.contains("rule_action = \"reject\"\n"), "{rules}");
    assert!(rules.contains("traffic_direction = \"ingress\"\n"), "{rules}");
    let errors = error_lines(&read(&text.replace("Condition: Prod", "Condition: Broken"), &[]));
    assert!(errors.contains("Silence.Condition cannot be evaluated: Ref: expected"), "{errors}");
    let text = text.replace("Filter: {Type", "Filter: {Condition: Prod, Type");
    let errors = error_lines(&read(&text, &[]));
    assert!(
        errors.contains("TrafficMirrorFilterId `Ref`: expected a resource that is created, but"),
        "{errors}"
    );
}

#[test]
fn values_without_effect_never_stop_the_read() {
    let text = template(
        SECTIONS,
        "      Description: !ImportValue nowhere\n      \
         OwnerId: !GetAtt Nothing.Here\n      \
         Tags: [{Key: a, Value: !Ref None}, {Key: b, Value: !Sub '${AWS::StackName}.${Eni}'}, \
         !If [Prod, {Key: c, Value: d}, !Ref 'AWS::NoValue']]\n  \
         Queue: {Type: AWS::SQS::Queue, Properties: {Name: !Nonsense [], Deep: !Ref Nothing}}\n  \
         Fn::ForEach::Queues: [X, !Ref None, {'Q${X}': {Type: AWS::SQS::Queue}}]",
    );
    let outcome = read(&text, &[]);
    assert_eq!(error_lines(&outcome), "");
    let toml = to_toml(outcome.registry.as_ref().unwrap());
    assert!(toml.contains("tags = { b = \"t.Eni\" }"), "{toml}");
    let warnings = warning_lines(&outcome);
    for part in ["Session.Description `{...}`: left out: Fn::ImportValue", "Session.Tags"] {
        assert!(warnings.contains(part), "{warnings}");
    }
    let address = text.replace("Key: a,", "Key: 'mirror:address',");
    let errors = error_lines(&read(&address, &[]));
    assert!(
        errors.contains("Tags `Ref`: expected in the tag mirror:address a parameter"),
        "{errors}"
    );
}

#[test]
fn an_attribute_is_the_property_that_determines_it() {
    let text = template(
        "",
        "      VirtualNetworkId: 1\n  \
         Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.20.0.0/16}}\n  \
         Endpoint: {Type: AWS::EC2::VPCEndpoint}\n  \
         Other:\n    Type: AWS::EC2::TrafficMirrorSession\n    Properties: {NetworkInterfaceId: \
         !Select [0, !GetAtt Endpoint.NetworkInterfaceIds], TrafficMirrorTargetId: !GetAtt \
         Target.Id, TrafficMirrorFilterId: !Ref Filter, SessionNumber: 2}\n  \
         Rule:\n    Type: AWS::EC2::TrafficMirrorFilterRule\n    Properties: \
         {TrafficMirrorFilterId: !Ref Filter, TrafficDirection: ingress, RuleNumber: 1, \
         RuleAction: accept, SourceCidrBlock: !GetAtt Vpc.CidrBlock, DestinationCidrBlock: !Select \
         [1, !Cidr [!GetAtt Vpc.CidrBlock, 2, 8]], Protocol: 0}",
    );
    let outcome = read(&text, &[]);
    let toml = to_toml(outcome.registry.as_ref().unwrap());
    for line in [
        "source_cidr_block = \"10.20.0.0/16\"",
        "destination_cidr_block = \"10.20.1.0/24\"",
        "network_interface_id = \"Endpoint.NetworkInterfaceIds[0]\"",
        "protocol = \"hopopt\"",
    ] {
        assert!(toml.contains(line), "{line} in {toml}");
    }
    let warnings = warning_lines(&outcome);
    assert!(warnings.contains("Rule.Protocol `0`: matches only HOPOPT"), "{warnings}");
    let given = ["Endpoint.NetworkInterfaceIds=eni-1,eni-2", "Eni=eni-3"];
    let toml = to_toml(&registry(&text, &given));
    assert!(toml.contains("network_interface_id = \"eni-1\""), "{toml}");
    assert!(toml.contains("network_interface_id = \"eni-3\""), "{toml}");
}

#[test]
fn loops_repeat_resources_properties_and_conditions() {
    let text = "
Transform: AWS::LanguageExtensions
Parameters: {Ports: {Type: CommaDelimitedList, Default: '80,443'}}
Conditions:
  Fn::ForEach::Conditions:
    - P
    - !Ref Ports
    - Has${P}: !Equals [!Ref P, '80']
Resources:
  F: {Type: AWS::EC2::TrafficMirrorFilter}
  Fn::ForEach::Directions:
    - Direction
    - [ingress, egress]
    - Fn::ForEach::Ports:
        - Port
        - !Ref Ports
        - Rule${Direction}${Port}:
            Type: AWS::EC2::TrafficMirrorFilterRule
            Condition: !Sub Has${Port}
            Properties:
              TrafficMirrorFilterId: !Ref F
              TrafficDirection: !Ref Direction
              RuleNumber: !Ref Port
              RuleAction: accept
              Protocol: 6
              Fn::ForEach::Blocks:
                - Side
                - [Source, Destination]
                - ${Side}CidrBlock: 10.0.0.0/8
              DestinationPortRange: {FromPort: !Ref Port, ToPort: !Sub '${Port}'}
";
    let named = text.replace("Condition: !Sub Has${Port}", "Condition: Has${Port}");
    let toml = to_toml(&registry(&named, &[]));
    assert!(toml.contains("traffic_mirror_filter_rule_id = \"Ruleegress80\""), "{toml}");
    assert_eq!(toml.matches("rule_number = ").count(), 2, "{toml}");
    let everything = named.replace("            Condition: Has${Port}\n", "");
    let toml = to_toml(&registry(&everything, &["Ports=10,11,12"]));
    assert_eq!(toml.matches("rule_number = ").count(), 6, "{toml}");
    let errors = error_lines(&read(&named.replace("10.0.0.0/8", "10.0.0.0"), &[]));
    assert!(errors.contains("Ruleegress80.SourceCidrBlock `10.0.0.0`: expected"), "{errors}");
    let errors = error_lines(&read(
        &text.replace("- !Ref Ports\n        - Rule", "- !Ref X\n        - Rule"),
        &[],
    ));
    assert!(errors.contains("it has no `X`"), "{errors}");
}

#[test]
fn pseudo_parameters_have_values_and_those_that_decide_are_reported() {
    let text = template(
        "Conditions: {Here: !Equals [!Ref 'AWS::Region', us-east-1]}",
        "      VirtualNetworkId: !If [Here, 1, 2]\n      \
         Description: !Sub '${AWS::Partition} ${AWS::AccountId} ${AWS::URLSuffix} ${!x}'",
    );
    let outcome = read(&text, &[]);
    let warnings = warning_lines(&outcome);
    assert!(warnings.contains("AWS::Region determines what is mirrored and is not given"));
    assert!(!warnings.contains("AWS::AccountId"), "{warnings}");
    let registry = outcome.registry.unwrap();
    let session = &registry.sessions()[0];
    assert_eq!(session.virtual_network_id.unwrap().value(), 1);
    assert_eq!(session.description.as_deref(), Some("aws 000000000000 amazonaws.com ${x}"));
    let outcome = read(&text, &["AWS::Region=eu-west-1"]);
    assert!(!warning_lines(&outcome).contains("AWS::Region"));
    assert_eq!(outcome.registry.unwrap().sessions()[0].virtual_network_id.unwrap().value(), 2);
}

#[test]
fn an_unused_value_is_a_warning() {
    let warnings = warning_lines(&read(&template(SECTIONS, ""), &["Typo=1", "Env=prod"]));
    assert!(warnings.contains("--parameter: `Typo` is not used"), "{warnings}");
    assert!(!warnings.contains("`Env` is not used"), "{warnings}");
}

/// A template that exports and one that imports, as CDK writes references between stacks.
#[test]
fn an_import_is_an_export_of_another_template() {
    let exporting = "Resources:\n  Sensor: {Type: AWS::EC2::NetworkInterface, Properties: \
                     {PrivateIpAddress: 10.0.0.9}}\nOutputs:\n  Out: {Value: !Ref Sensor, Export: \
                     {Name: !Sub '${AWS::StackName}:SensorRef'}}\n";
    let importing = template("", "      VirtualNetworkId: 1")
        .replace("!Ref Sensor", "!ImportValue net:SensorRef")
        .replace("  Sensor: {", "  Unused: {");
    let texts = [Text::new("net.yaml", exporting), Text::new("t.yaml", &importing)];
    let outcome = read_texts(&texts);
    assert_eq!(error_lines(&outcome), "");
    let registry = outcome.registry.unwrap();
    let address = registry.target_address(&registry.targets()[0]).unwrap();
    assert_eq!(address.to_string(), "10.0.0.9:4789");
}
