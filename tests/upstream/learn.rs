//! Interfaces and load balancers of the emulator as sources and targets.

use std::net::{IpAddr, SocketAddr};

use traffic_mirror::model::{InterfacePin, NetworkInterfaceId};

use crate::stack::{Stack, wait_until};

const ID: &str = "eni-0123456789abcdef0";

#[test]
fn an_interface_of_the_emulator_is_learned_when_a_session_or_target_names_it() {
    let (stack, emulator) = Stack::with_emulator();
    let missing = stack.create_session(ID, 1);
    assert_eq!(missing.one("Code"), "InvalidNetworkInterfaceID.NotFound");
    emulator.add_interface(ID, "10.0.0.5", Some("i-1"));
    emulator.add_interface("eni-0123456789abcdef1", "10.0.0.6", None);
    assert_eq!(stack.create_session(ID, 1).status, 200);
    let learned = stack.interface(ID).unwrap();
    assert_eq!(learned.private_ip_addresses, [IpAddr::from([10, 0, 0, 5])]);
    assert_eq!(learned.mac_address.unwrap().to_string(), "02:00:00:00:00:09");
    let target = "Action=CreateTrafficMirrorTarget&NetworkInterfaceId=eni-0123456789abcdef1";
    let created = stack.send(target);
    assert_eq!(created.one("ownerId"), "123456789012");
    assert!(stack.interface("eni-0123456789abcdef1").is_some());
    let described = stack.send("Action=DescribeNetworkInterfaces");
    let ids = [ID, "eni-0123456789abcdef1", "eni-00000001"];
    assert_eq!(described.all("networkInterfaceId"), ids);
}

#[test]
fn the_sessions_of_a_terminated_instance_are_removed() {
    for keeps_interfaces in [false, true] {
        let (stack, emulator) = Stack::with_emulator();
        emulator.resources.lock().unwrap().keeps_interfaces = keeps_interfaces;
        emulator.add_interface(ID, "10.0.0.5", Some("i-1"));
        assert_eq!(stack.create_session(ID, 1).status, 200);
        assert_eq!(stack.create_session("eni-00000001", 1).status, 200);
        assert_eq!(stack.sessions().len(), 2);
        assert_eq!(stack.send("Action=TerminateInstances&InstanceId.1=i-1").status, 200);
        assert_eq!(stack.sessions().len(), 1, "moto's way: {keeps_interfaces}");
        assert!(stack.interface(ID).is_none());
        let refused = stack.create_session(ID, 2);
        assert_eq!(refused.one("Code"), "InvalidNetworkInterfaceID.NotFound");
    }
}

#[test]
fn changes_by_other_clients_of_the_emulator_are_noticed() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.add_interface(ID, "10.0.0.5", None);
    assert_eq!(stack.create_session(ID, 1).status, 200);
    emulator.add_interface(ID, "10.0.0.6", None);
    let address = IpAddr::from([10, 0, 0, 6]);
    wait_until(|| stack.interface(ID).unwrap().private_ip_addresses == [address]);
    emulator.resources.lock().unwrap().interfaces.clear();
    wait_until(|| stack.sessions().is_empty());
}

#[test]
fn an_interface_that_a_target_names_cannot_be_a_source_after_its_removal() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.add_interface(ID, "10.0.0.5", Some("i-1"));
    let target = stack.send(&format!("Action=CreateTrafficMirrorTarget&NetworkInterfaceId={ID}"));
    stack.send("Action=TerminateInstances&InstanceId.1=i-1");
    assert!(stack.interface(ID).unwrap().is_down);
    let id = target.one("trafficMirrorTargetId");
    let deleted =
        stack.send(&format!("Action=DeleteTrafficMirrorTarget&TrafficMirrorTargetId={id}"));
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let refused = stack.create_session(ID, 1);
    assert_eq!(refused.one("Code"), "InvalidNetworkInterfaceID.NotFound");
}

#[test]
fn the_addresses_of_a_load_balancer_follow_its_members() {
    let (stack, emulator) = Stack::with_emulator();
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/ids/01";
    emulator.add_interface(ID, "10.0.0.5", Some("i-1"));
    emulator.resources.lock().unwrap().members = vec!["i-1".to_owned()];
    let create = format!("Action=CreateTrafficMirrorTarget&NetworkLoadBalancerArn={arn}");
    let created = stack.send(&create);
    let id = created.one("trafficMirrorTargetId").to_owned();
    let addresses = || {
        let account = stack.account.read().unwrap();
        let target = account.registry().targets().iter().find(|one| one.id().as_str() == id);
        let addresses: Vec<SocketAddr> =
            account.registry().target_addresses(target.unwrap()).collect();
        addresses
    };
    assert_eq!(addresses(), ["10.0.0.5:4789".parse().unwrap()]);
    let described = emulator.received("DescribeListeners");
    let scope = described[0].header("authorization").unwrap();
    assert!(scope.contains("AKID/") && scope.contains("/eu-west-1/elasticloadbalancing/"));
    emulator.resources.lock().unwrap().members.push("10.0.0.9".to_owned());
    stack.post("elasticloadbalancing", "Action=RegisterTargets&Version=2015-12-01");
    assert_eq!(addresses().len(), 2);
    assert_eq!(stack.send("Action=TerminateInstances&InstanceId.1=i-1").status, 200);
    assert_eq!(addresses(), ["10.0.0.9:4789".parse().unwrap()]);
    let tags =
        stack.send(&format!("Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1={id}"));
    assert_eq!(tags.all("key"), [""; 0], "a learned address is not a tag");
}

#[test]
fn an_interface_with_a_loopback_address_cannot_be_a_target() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.add_interface(ID, "127.0.0.1", None);
    let refused = stack.send(&format!("Action=CreateTrafficMirrorTarget&NetworkInterfaceId={ID}"));
    assert_eq!(refused.one("Code"), "InvalidTrafficMirrorTarget");
    assert!(refused.one("Message").contains("loopback"), "{}", refused.body);
}

#[test]
fn pinned_values_stay_when_an_interface_is_learned_again() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.add_interface(ID, "10.0.0.5", None);
    assert_eq!(stack.create_session(ID, 1).status, 200);
    let id = NetworkInterfaceId::new(ID).unwrap();
    let read = stack.interface(ID).unwrap();
    let pin = InterfacePin {
        private_ip_addresses: Some(vec![[10, 0, 0, 9].into()]),
        capture: Some("trace.pcap".into()),
        ..InterfacePin::default()
    };
    stack.account.write().unwrap().pin_network_interface(&id, pin).unwrap();
    let pinned = stack.interface(ID).unwrap();
    assert!(!stack.account.read().unwrap().would_learn(&read));
    assert_eq!(stack.create_session(ID, 2).status, 200);
    assert_eq!(stack.interface(ID).unwrap(), pinned);
    let mut changed = read;
    changed.description = Some("web".to_owned());
    assert!(stack.account.read().unwrap().would_learn(&changed));
    let mut expected = pinned;
    expected.description = Some("web".to_owned());
    // No read of the emulator comes between.
    let mut account = stack.account.write().unwrap();
    account.learn_interface(changed).unwrap();
    assert_eq!(account.registry().network_interface(&id), Some(&expected));
}

#[test]
fn a_request_in_another_region_neither_sees_an_interface_nor_removes_it() {
    let (stack, emulator) = Stack::with_emulator();
    emulator.resources.lock().unwrap().region = Some("eu-west-1".to_owned());
    emulator.add_interface(ID, "10.0.0.5", None);
    assert_eq!(stack.create_session(ID, 1).status, 200);
    let form =
        format!("Version=2016-11-15&Action=CreateTrafficMirrorTarget&NetworkInterfaceId={ID}");
    let credential = "AKID/20261123/us-east-1/ec2/aws4_request";
    let refused = stack.request_as(credential, "POST / HTTP/1.1", &[], &form);
    assert_eq!(refused.one("Code"), "InvalidNetworkInterfaceID.NotFound");
    assert_eq!(stack.sessions().len(), 1);
    assert!(stack.interface(ID).is_some());
    assert_eq!(stack.create_session(ID, 2).status, 200);
}
