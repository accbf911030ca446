//! Network interfaces as the kernel reports them, in namespaces: changes in order, routes,
//! offloads, and the output of `interfaces`.
//!
//! Needs root and `ip`; prints `NOT RUN:` otherwise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::ErrorKind;
use std::net::IpAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use testkit::namespace::Namespace;
use testkit::print_uncaptured;
use traffic_mirror::io::links::{
    Link, LinkEvent, LinkWatch, RouteKey, link_by_name, links, offloads, route_to,
};
use traffic_mirror::model::MacAddress;

/// A network namespace. None, after `NOT RUN:`, if the system does not allow it.
fn new_namespace(test: &str) -> Option<Namespace> {
    let made = Namespace::try_new(test);
    if made.is_none() {
        print_uncaptured(&format!("NOT RUN: {test}: network namespaces need root and ip\n"));
    }
    made
}

/// Adds a device without Ethernet headers, of the first kind that this kernel has. Returns what
/// `ip link` calls its frames.
fn add_tunnel(namespace: &Namespace, name: &str) -> Option<&'static str> {
    let kinds = [
        (format!("tuntap add {name} mode tun"), "none"),
        (format!("link add {name} type sit remote 10.99.0.2 local 10.99.0.1"), "sit"),
        (format!("link add {name} type ipip remote 10.99.0.2 local 10.99.0.1"), "ipip"),
        (format!("link add {name} type nlmon"), "netlink"),
    ];
    let found = kinds.iter().find(|(words, _)| {
        let mut command = Command::new("ip");
        command.args(["-n", &namespace.name]).args(words.split(' '));
        command.output().unwrap().status.success()
    });
    if found.is_none() {
        print_uncaptured("NOT RUN: this kernel has no device without Ethernet headers\n");
    }
    found.map(|(_, layer)| *layer)
}

/// The first event that `wanted` accepts; earlier ones are discarded.
fn wait_for<T>(
    watch: &mut LinkWatch,
    what: &str,
    mut wanted: impl FnMut(LinkEvent) -> Option<T>,
) -> T {
    for _ in 0..2_000 {
        while let Some(event) = watch.try_next().unwrap() {
            if let Some(found) = wanted(event) {
                return found;
            }
        }
        pause();
    }
    panic!("no event within 4 s: {what}")
}

#[expect(clippy::disallowed_methods, reason = "the kernel reports changes with a delay")]
fn pause() {
    thread::sleep(Duration::from_millis(2));
}

fn changed(watch: &mut LinkWatch, what: &str, wanted: impl Fn(&Link) -> bool) -> Link {
    wait_for(watch, what, |event| match event {
        LinkEvent::Changed(link) if wanted(&link) => Some(link),
        _ => None,
    })
}

fn removed(watch: &mut LinkWatch, device: &str) -> u32 {
    wait_for(watch, &format!("{device} is removed"), |event| match event {
        LinkEvent::Removed { index, name } if name == device => Some(index),
        LinkEvent::Removed { name, .. } => panic!("{name} was removed"),
        _ => None,
    })
}

#[test]
fn a_watch_reports_a_veth_from_creation_to_removal() {
    let Some(namespace) = new_namespace("watch") else { return };
    let mut watch = namespace.inside(LinkWatch::open).unwrap();
    assert_eq!(watch.try_next().unwrap(), None);

    namespace.ip("link add va address 02:00:00:00:00:01 type veth peer name vb");
    let made = changed(&mut watch, "va is there", |link| link.name == "va");
    assert_eq!(made.mac, Some(MacAddress::new([2, 0, 0, 0, 0, 1])));
    assert_eq!((made.mtu, made.is_up, made.kind.as_deref()), (1_500, false, Some("veth")));
    let own = |link: &Link| link.index == made.index;

    namespace.ip("link set va up");
    let alone = changed(&mut watch, "va is up", |link| own(link) && link.is_up);
    assert!(!alone.is_running, "its peer is down");
    namespace.ip("link set vb up");
    changed(&mut watch, "va has a carrier", |link| own(link) && link.is_running);
    namespace.ip("link set va mtu 1400");
    changed(&mut watch, "va has another MTU", |link| own(link) && link.mtu == 1_400);
    namespace.ip("addr add 10.99.0.1/24 dev va");
    let has_address =
        |event| (event == LinkEvent::AddressesChanged { index: made.index }).then_some(());
    wait_for(&mut watch, "va has an address", has_address);
    namespace.ip("link set vb down");
    changed(&mut watch, "va has no carrier", |link| own(link) && link.is_up && !link.is_running);
    namespace.ip("link set va down");
    changed(&mut watch, "va is down", |link| own(link) && !link.is_up);
    namespace.ip("link set va name vc");
    changed(&mut watch, "va is called vc", |link| own(link) && link.name == "vc");
    namespace.ip("link del vb");
    let mut removed_links = Vec::new();
    wait_for(&mut watch, "both are removed", |event| {
        if let LinkEvent::Removed { index, name } = event {
            removed_links.push((name, index));
        }
        (removed_links.len() == 2).then_some(())
    });
    removed_links.sort();
    assert_eq!(
        (&*removed_links[0].0, removed_links[1].clone()),
        ("vb", ("vc".to_owned(), made.index))
    );

    namespace.ip("link add va type veth peer name vb");
    let again = changed(&mut watch, "va is there again", |link| link.name == "va");
    assert_ne!(again.index, made.index);
}

#[test]
fn a_port_that_leaves_the_namespace_is_removed_and_one_that_leaves_a_bridge_is_not() {
    let Some(namespace) = new_namespace("bridge") else { return };
    let Some(other) = new_namespace("elsewhere") else { return };
    namespace.ip("link add br0 type bridge");
    namespace.ip("link add va type veth peer name vb");
    let mut watch = namespace.inside(LinkWatch::open).unwrap();
    namespace.ip("link set va master br0");
    namespace.ip("link set va nomaster");
    namespace.ip("link set va mtu 1400");
    let unremoved = wait_for(&mut watch, "va has another MTU", |event| match event {
        LinkEvent::Changed(link) if link.mtu == 1_400 => Some(link),
        LinkEvent::Removed { name, .. } => panic!("{name} was removed"),
        _ => None,
    });
    namespace.ip(&format!("link set va netns {}", other.name));
    assert_eq!(removed(&mut watch, "va"), unremoved.index);
    assert!(other.inside(|| link_by_name("va")).unwrap().is_some());
    assert_eq!(namespace.inside(|| link_by_name("va")).unwrap(), None);
}

#[test]
fn a_watch_that_overflows_reports_it_and_continues() {
    let Some(namespace) = new_namespace("overrun") else { return };
    namespace.ip("link add va type veth peer name vb");
    let mut watch = namespace.inside(LinkWatch::open).unwrap();
    namespace.ip(&"link set va mtu 1400\nlink set va mtu 1500\n".repeat(6_000));
    let overrun = |event| (event == LinkEvent::Overrun).then_some(());
    wait_for(&mut watch, "changes were lost", overrun);
    assert_eq!(watch.try_next().unwrap(), None, "events before the overrun are discarded");
    namespace.ip("link set va mtu 1300");
    changed(&mut watch, "va has another MTU", |link| link.mtu == 1_300);
}

#[test]
fn a_listed_interface_has_all_its_attributes() {
    let Some(namespace) = new_namespace("list") else { return };
    namespace.ip("link add va address 02:00:00:00:00:01 mtu 1400 type veth peer name vb");
    namespace.ip("link set va up");
    namespace.ip("addr add 10.99.0.1 peer 10.99.0.2/32 dev va");
    namespace.ip("addr add fd99::1/64 dev va nodad");
    namespace.ip("link property add dev va altname a-name-longer-than-fifteen");
    let tunnel_layer = add_tunnel(&namespace, "tun7");
    let (links, va, offloads) = namespace
        .inside(|| (links().unwrap(), link_by_name("va").unwrap(), offloads("va").unwrap()));
    let va = va.unwrap();
    assert!(links.contains(&va));
    assert_eq!((va.mtu, va.is_up, va.is_running, va.is_ethernet), (1_400, true, false, true));
    for address in ["10.99.0.1", "fd99::1"] {
        assert!(va.addresses.contains(&address.parse().unwrap()), "{:?}", va.addresses);
    }
    assert!(
        !va.addresses.contains(&"10.99.0.2".parse().unwrap()),
        "the address of the peer is listed"
    );
    assert!(links.is_sorted_by_key(|link| link.index));
    if let Some(layer) = tunnel_layer {
        let tunnel = links.iter().find(|link| link.name == "tun7").unwrap();
        assert_eq!((tunnel.is_ethernet, &*tunnel.link_layer), (false, layer));
    }
    assert_eq!(
        (offloads.tso, offloads.tx_checksum, offloads.lro),
        (Some(true), Some(true), Some(false))
    );
    if Command::new("ethtool").arg("--version").output().is_ok() {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &namespace.name,
            "ethtool",
            "-K",
            "va",
            "tso",
            "off",
            "tx",
            "off",
        ]);
        assert!(command.output().unwrap().status.success());
        let offloads = namespace.inside(|| traffic_mirror::io::links::offloads("va")).unwrap();
        assert_eq!((offloads.tso, offloads.tx_checksum), (Some(false), Some(false)));
    } else {
        print_uncaptured("NOT RUN: disabled offloads need ethtool\n");
    }
}

#[test]
fn a_route_gives_the_egress_device() {
    let Some(namespace) = new_namespace("route") else { return };
    for (device, peer, address, address6) in
        [("va", "vx", "10.99.0.1/24", "fd99::1/64"), ("vb", "vy", "10.98.0.1/24", "fd98::1/64")]
    {
        namespace.ip(&format!("link add {device} type veth peer name {peer}"));
        namespace.ip(&format!("link set {peer} up"));
        namespace.ip(&format!("link set {device} up"));
        namespace.ip(&format!("addr add {address} dev {device}"));
        namespace.ip(&format!("addr add {address6} dev {device} nodad"));
    }
    namespace.ip("link set lo up");
    namespace.ip("route add 192.0.2.0/24 via 10.99.0.2 mtu 1300");
    namespace.ip("route add 198.51.100.0/24 via inet6 fd98::2 dev vb");
    namespace.ip("route add unreachable 203.0.113.0/24");
    namespace.ip("route add 2001:db8::/32 via fd99::2 mtu 1350");
    namespace.ip("route add unreachable 2001:db8:bad::/48");
    namespace.ip("route add 192.0.2.0/24 via 10.98.0.2 table 7");
    namespace.ip("rule add fwmark 7 table 7");

    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    let index = |name: &str| namespace.inside(|| link_by_name(name)).unwrap().unwrap().index;
    let route = |target: &str, mark, source: Option<&str>| {
        let key = RouteKey { mark, source: source.map(ip), ..RouteKey::default() };
        namespace.inside(|| route_to(ip(target), key))
    };
    let refused = |target: &str| route(target, None, None).unwrap_err().kind();

    let plain = route("192.0.2.9", None, None).unwrap();
    assert_eq!((plain.device_index, plain.mtu), (index("va"), Some(1_300)));
    assert_eq!((plain.gateway, plain.source), (Some(ip("10.99.0.2")), Some(ip("10.99.0.1"))));
    let mapped = route("::ffff:192.0.2.9", None, None).unwrap();
    assert_eq!(mapped, plain);
    let marked = route("192.0.2.9", Some(7), None).unwrap();
    assert_eq!((marked.device_index, marked.mtu), (index("vb"), None));
    let from = route("192.0.2.9", None, Some("10.98.0.1")).unwrap();
    assert_eq!(from.device_index, index("va"));
    let by_ipv6 = route("198.51.100.1", None, None).unwrap();
    assert_eq!((by_ipv6.device_index, by_ipv6.gateway), (index("vb"), Some(ip("fd98::2"))));
    let ipv6 = route("2001:db8::9", None, None).unwrap();
    assert_eq!((ipv6.device_index, ipv6.mtu), (index("va"), Some(1_350)));
    assert_eq!(ipv6.source, Some(ip("fd99::1")));
    let neighbour = route("10.99.0.77", None, None).unwrap();
    assert_eq!((neighbour.gateway, neighbour.is_local), (None, false));
    assert!(route("10.99.0.1", None, None).unwrap().is_local);

    assert_eq!(refused("8.8.8.8"), ErrorKind::NetworkUnreachable);
    assert_eq!(refused("2001:4860::1"), ErrorKind::NetworkUnreachable);
    assert_eq!(refused("203.0.113.1"), ErrorKind::HostUnreachable);
    assert_eq!(refused("2001:db8:bad::1"), ErrorKind::HostUnreachable);
    let foreign = route("192.0.2.9", None, Some("10.1.2.3")).unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::NetworkUnreachable);
    let mixed = route("192.0.2.9", None, Some("fd99::1")).unwrap_err();
    assert_eq!(mixed.kind(), ErrorKind::InvalidInput);
    assert!(mixed.to_string().starts_with("no route to 192.0.2.9: the source"), "{mixed}");
}

#[test]
fn the_command_lists_the_interfaces_of_a_namespace() {
    let Some(namespace) = new_namespace("command") else { return };
    namespace.ip("link add va address 02:00:00:00:00:01 type veth peer name vb");
    namespace.ip("link set va up");
    namespace.ip("link set vb up");
    namespace.ip("addr add 10.99.0.1/24 dev va");
    let tunnel_layer = add_tunnel(&namespace, "tun7");
    let run = |netns: &str, format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_traffic-mirror"));
        let output = command.args(["interfaces", "--netns", netns, "--format", format]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let path = format!("/run/netns/{}", namespace.name);
    assert_eq!(run(&namespace.name, "json"), run(&path, "json"));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&run(&path, "json")).unwrap();
    let row = |name: &str| rows.iter().find(|row| row["device"] == name).unwrap();
    assert_eq!(row("va")["state"], "up");
    assert_eq!(row("va")["mac_address"], "02:00:00:00:00:01");
    assert_eq!(row("va")["addresses"][0], "10.99.0.1");
    assert_eq!((&row("va")["mtu"], &row("va")["kind"]), (&1_500.into(), &"veth".into()));
    assert_eq!(row("va")["mirror"], "yes");
    if let Some(layer) = tunnel_layer {
        assert_eq!(row("tun7")["mirror"], format!("no: not Ethernet (link/{layer})"));
    }
    assert_eq!(row("lo")["mirror"], "no: down (mirrored once up)");
    let table = run(&path, "table");
    assert!(table.lines().any(|line| line.contains("va") && line.ends_with("yes")), "{table}");
}
