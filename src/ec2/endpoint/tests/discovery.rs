//! The discovery actions: the same facts about an interface in every Describe action.

use super::*;

const CREATE: &str = "Action=CreateNetworkInterface&Description=d\
                      &TagSpecification.1.ResourceType=network-interface\
                      &TagSpecification.1.Tag.1.Key=role&TagSpecification.1.Tag.1.Value=web";

/// An endpoint whose interfaces are virtual. It has one of a file, at 10.0.0.5.
fn virtual_endpoint(store: MemoryStore) -> Endpoint {
    let mut registry = Registry::default();
    let mut interface = NetworkInterface::new(NetworkInterfaceId::new("eni-0000000a").unwrap());
    interface.private_ip_addresses = vec!["10.0.0.5".parse().unwrap()];
    registry.add_network_interface(interface).unwrap();
    let mut account = Account::new(registry, Quotas::default(), TargetResolver::default(), draw);
    account.use_virtual_interfaces();
    let account = Arc::new(RwLock::new(account));
    Endpoint::new(account, FakePublisher::default(), store, || 1_700_000_000, draw).unwrap()
}

/// The response to a request that must succeed.
fn done(endpoint: &Endpoint, form: &str) -> String {
    let (status, text) = send(endpoint, form);
    assert_eq!(status, 200, "{form}: {text}");
    text
}

/// The texts of all elements of that name.
fn texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let behind = document.split(&*open).skip(1);
    behind.map(|rest| rest.split_once(&*close).unwrap().0.to_owned()).collect()
}

fn text(document: &str, name: &str) -> String {
    texts(document, name).swap_remove(0)
}

fn subnet(endpoint: &Endpoint) -> String {
    let by_zone = "Filter.1.Name=availabilityZone&Filter.1.Value.1=eu-west-1b";
    text(&done(endpoint, &format!("Action=DescribeSubnets&{by_zone}")), "subnetId")
}

#[test]
fn an_interface_can_be_found_by_every_filter_of_its_values() {
    let endpoint = virtual_endpoint(MemoryStore::default());
    let subnet = subnet(&endpoint);
    let created = done(&endpoint, &format!("{CREATE}&SubnetId={subnet}"));
    let value = |name: &str| text(&created, name);
    let id = value("networkInterfaceId");
    for (name, value) in [
        ("addresses.primary", "true".to_owned()),
        ("addresses.private-ip-address", "172.31.16.4".to_owned()),
        ("attachment.attach-time", "2023-11-14T22:13:20.000Z".to_owned()),
        ("attachment.attachment-id", value("attachmentId")),
        ("attachment.device-index", "0".to_owned()),
        ("attachment.instance-id", value("instanceId")),
        ("attachment.status", "attach*".to_owned()),
        ("availability-zone", "eu-west-1b".to_owned()),
        ("availability-zone-id", "euw1-az2".to_owned()),
        ("description", "?".to_owned()),
        ("group-id", value("groupId")),
        ("group-name", "default".to_owned()),
        ("interface-type", "interface".to_owned()),
        ("mac-address", value("macAddress")),
        ("owner-id", "000000000000".to_owned()),
        ("private-dns-name", "ip-172-31-16-4.eu-west-1.compute.internal".to_owned()),
        ("requester-managed", "false".to_owned()),
        ("status", "available".to_owned()),
        ("subnet-id", subnet.clone()),
        ("tag:role", "w?b".to_owned()),
        ("vpc-id", value("vpcId")),
    ] {
        // The interface of the file has other values.
        let filters = format!(
            "Filter.1.Name={name}&Filter.1.Value.1={value}\
             &Filter.2.Name=subnet-id&Filter.2.Value.1={subnet}"
        );
        let found = done(&endpoint, &format!("Action=DescribeNetworkInterfaces&{filters}"));
        assert_eq!(texts(&found, "networkInterfaceId"), [&*id], "{name}");
        if matches!(name, "availability-zone-id" | "interface-type" | "tag:role") {
            continue;
        }
        let form = format!("Action=DescribeInstances&Filter.1.Name=network-interface.{name}");
        let found = done(&endpoint, &format!("{form}&Filter.1.Value.1={value}"));
        assert!(texts(&found, "networkInterfaceId").contains(&id), "{name}");
        let found = done(&endpoint, &format!("{form}&Filter.1.Value.1=nothing"));
        assert_eq!(texts(&found, "networkInterfaceId"), Vec::<String>::new(), "{name}");
    }
    for action in ["DescribeNetworkInterfaces", "DescribeInstances", "DescribeVpcs", "DescribeTags"]
    {
        let form = format!("Action={action}&Filter.1.Name=colour&Filter.1.Value.1=red");
        let (status, text) = send(&endpoint, &form);
        assert_eq!(status, 400);
        assert!(text.contains("InvalidParameterValue") && text.contains("'colour'"), "{text}");
    }
}

#[test]
fn every_id_of_a_response_can_be_described() {
    let endpoint = virtual_endpoint(MemoryStore::default());
    let listed = done(&endpoint, "Action=DescribeNetworkInterfaces");
    assert_eq!(text(&listed, "status"), "in-use");
    for (element, action, parameter) in [
        ("networkInterfaceId", "DescribeNetworkInterfaces", "NetworkInterfaceId.1"),
        ("instanceId", "DescribeInstances", "InstanceId.1"),
        ("instanceId", "DescribeInstanceStatus", "InstanceId.1"),
        ("subnetId", "DescribeSubnets", "SubnetId.1"),
        ("vpcId", "DescribeVpcs", "VpcId.1"),
        ("groupId", "DescribeSecurityGroups", "GroupId.1"),
        ("availabilityZone", "DescribeAvailabilityZones", "ZoneName.1"),
        ("availabilityZoneId", "DescribeAvailabilityZones", "ZoneId.1"),
    ] {
        let id = text(&listed, element);
        let found = done(&endpoint, &format!("Action={action}&{parameter}={id}"));
        assert!(found.contains(&format!(">{id}<")), "{found}");
        let (status, text) = send(&endpoint, &format!("Action={action}&{parameter}={id}x"));
        assert_eq!(status, 400, "{text}");
    }
    let vpcs = done(&endpoint, "Action=DescribeVpcs");
    assert_eq!(texts(&vpcs, "isDefault").len(), 2);
    let default =
        done(&endpoint, "Action=DescribeVpcs&Filter.1.Name=is-default&Filter.1.Value.1=true");
    assert_eq!(text(&default, "cidrBlock"), "172.31.0.0/16");
    let regions = done(&endpoint, "Action=DescribeRegions&RegionName.1=eu-west-1");
    assert_eq!(text(&regions, "regionEndpoint"), "ec2.eu-west-1.amazonaws.com");
}

#[test]
fn instances_have_pages_and_the_tags_of_their_interfaces() {
    let endpoint = virtual_endpoint(MemoryStore::default());
    let create = format!("{CREATE}&SubnetId={}", subnet(&endpoint));
    (0..11).for_each(|_| drop(done(&endpoint, &create)));
    let by_tag = "Filter.1.Name=tag:role&Filter.1.Value.1=web\
                  &Filter.2.Name=instance-state-name&Filter.2.Value.1=running";
    let mut found = done(&endpoint, &format!("Action=DescribeInstances&{by_tag}&MaxResults=5"));
    let mut pages = vec![texts(&found, "instanceId")];
    while let [token] = &*texts(&found, "nextToken") {
        found = done(&endpoint, &format!("Action=DescribeInstances&NextToken={token}"));
        pages.push(texts(&found, "instanceId"));
    }
    let lens: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(lens, [5, 5, 1]);
    let id = &pages[2][0];
    let tags = format!("Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1={id}");
    let tags = done(&endpoint, &tags);
    assert_eq!(
        (text(&tags, "resourceType"), text(&tags, "value")),
        ("instance".into(), "web".into())
    );
    // Pages of DescribeTags list each tag of an interface and an instance once.
    let mut found = done(&endpoint, "Action=DescribeTags&MaxResults=5");
    let mut ids = texts(&found, "resourceId");
    while let [token] = &*texts(&found, "nextToken") {
        found = done(&endpoint, &format!("Action=DescribeTags&NextToken={token}"));
        ids.extend(texts(&found, "resourceId"));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 22);
}

#[test]
fn the_addresses_of_a_request_are_checked() {
    let endpoint = virtual_endpoint(MemoryStore::default());
    let create = format!("{CREATE}&SubnetId={}", subnet(&endpoint));
    let list = "PrivateIpAddresses.1.PrivateIpAddress=172.31.16.9\
                &PrivateIpAddresses.2.PrivateIpAddress=172.31.16.8&PrivateIpAddresses.2.Primary=true\
                &Ipv6Addresses.1.Ipv6Address=2001:db8::1&InterfaceType=EFA&ClientToken=t";
    let made = done(&endpoint, &format!("{create}&{list}"));
    assert_eq!(text(&made, "privateIpAddress"), "172.31.16.8");
    assert_eq!(texts(&made, "primary"), ["true", "false"]);
    assert_eq!(
        (text(&made, "ipv6Address"), text(&made, "interfaceType")),
        ("2001:db8::1".into(), "efa".into())
    );
    assert_eq!(
        text(&done(&endpoint, &format!("{create}&{list}")), "networkInterfaceId"),
        text(&made, "networkInterfaceId")
    );
    for (parameters, code) in [
        ("PrivateIpAddress=x", "InvalidParameterValue"),
        (
            "PrivateIpAddress=172.31.16.7&PrivateIpAddresses.1.PrivateIpAddress=172.31.16.6\
          &PrivateIpAddresses.1.Primary=true",
            "InvalidParameterCombination",
        ),
        (
            "PrivateIpAddress=172.31.16.7&PrivateIpAddresses.1.PrivateIpAddress=172.31.16.6\
          &SecondaryPrivateIpAddressCount=1",
            "InvalidParameterCombination",
        ),
        ("SecondaryPrivateIpAddressCount=-1", "InvalidParameterValue"),
        ("SecondaryPrivateIpAddressCount=50", "PrivateIpAddressLimitExceeded"),
        ("Ipv6AddressCount=1", "InvalidParameterValue"),
        ("Ipv6Addresses.1.Ipv6Address=ff02::1", "InvalidParameterValue"),
        ("InterfaceType=wireless", "InvalidParameterValue"),
        ("Colour=red", "UnknownParameter"),
        ("DryRun=true", "DryRunOperation"),
    ] {
        let (_, text) = send(&endpoint, &format!("{create}&{parameters}"));
        assert!(text.contains(&format!("<Code>{code}<")), "{parameters}: {text}");
    }
}

#[test]
fn an_interface_is_stored_until_it_is_deleted() {
    let store = MemoryStore::default();
    let endpoint = virtual_endpoint(store.clone());
    let create = format!("{CREATE}&SubnetId={}", subnet(&endpoint));
    store.fails.store(true, Ordering::Relaxed);
    assert_eq!(send(&endpoint, &create).0, 500);
    store.fails.store(false, Ordering::Relaxed);
    let id = text(&done(&endpoint, &create), "networkInterfaceId");
    let stored = store.of_kind("network-interface");
    assert_eq!(stored.len(), 1);
    assert!(stored[0].contains("172.31.16.4"), "{stored:?}");
    let delete = format!("Action=DeleteNetworkInterface&NetworkInterfaceId={id}");
    assert_eq!(text(&done(&endpoint, &delete), "return"), "true");
    assert_eq!(store.of_kind("network-interface"), Vec::<String>::new());
    let (_, again) = send(&endpoint, &delete);
    assert!(again.contains("InvalidNetworkInterfaceID.NotFound"), "{again}");
}

#[test]
fn the_devices_of_a_host_are_discovered_but_not_created() {
    let endpoint = endpoint(FakePublisher::default());
    let by_name = "Filter.1.Name=tag:Name&Filter.1.Value.1=eni-00000002";
    let found = done(&endpoint, &format!("Action=DescribeInstances&{by_name}"));
    assert_eq!(texts(&found, "networkInterfaceId"), ["eni-00000002"]);
    let (status, text) = send(&endpoint, &format!("{CREATE}&SubnetId={}", subnet(&endpoint)));
    assert!(status == 400 && text.contains("UnsupportedOperation"), "{text}");
    let (_, text) =
        send(&endpoint, "Action=DeleteNetworkInterface&NetworkInterfaceId=eni-00000002");
    assert!(text.contains("OperationNotPermitted"), "{text}");
}
