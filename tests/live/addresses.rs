//! Addresses of targets and sources over the API: rejected ones, and ones that change.

use std::net::UdpSocket;
use std::time::Duration;

use crate::binding::bind_udp;
use crate::collector::Collector;
use crate::endpoint::{Client, ENDPOINT, text, to};
use crate::lab::Lab;
use crate::mirror::{BINARY, Mirror, run_refused};
use crate::traffic::{IPV4, Pair};
use crate::waiting::pause;

const LO: &str = "eni-0123456789abcdef0";

fn start(lab: &Lab, words: &str) -> Mirror {
    let words = format!("--ec2-endpoint {ENDPOINT} --no-authentication {words}");
    Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on")
}

#[test]
fn targets_that_are_not_another_host_are_refused() {
    let Some(lab) = Lab::new("targets") else { return };
    let mirror = start(&lab, "");
    let client = Client { host: &lab.host };
    for (address, part) in [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("224.0.0.9", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("10.99.1.255", "broadcast"),
        ("0.0.0.0", "unspecified"),
        ("64:ff9b::7f00:1", "127.0.0.1"),
    ] {
        let (status, document) = client.call(&to(address));
        assert!(status == 400 && document.contains(part), "{address}: {document}");
    }
    // A copy to an IPv4-mapped address leaves as IPv4.
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let target = client.done(&to("::ffff:10.99.1.2"), "trafficMirrorTargetId");
    let (status, document) = client.mirror(&client.interface("h0"), &target);
    assert_eq!(status, 200, "{document}");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..5).for_each(|number| pair.send(number, 100));
    assert_eq!(collector.take_after(5).len(), 5);
    let tags = format!("Action=CreateTags&ResourceId.1={target}&Tag.1.Key=mirror:address");
    let (status, document) = client.call(&format!("{tags}&Tag.1.Value=127.0.0.1"));
    assert_eq!(status, 400, "{document}");
    mirror.end().assert_no_loss();
}

#[test]
fn copies_of_loopback_traffic_are_not_mirrored_again() {
    let Some(lab) = Lab::new("lo") else { return };
    let words =
        format!("--network-interface {LO}=lo --allow-target 127.0.0.0/8 --allow-target 10.0.0.0/8");
    let mirror = start(&lab, &words);
    let client = Client { host: &lab.host };
    for address in ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.1", "127.0.0.1:9"] {
        let target = client.done(&to(address), "trafficMirrorTargetId");
        let (status, document) = client.mirror(LO, &target);
        assert!(
            status == 400 && document.contains("return to their source"),
            "{address}: {document}"
        );
    }
    // An address of the host: its copies pass lo, and so do the ICMP errors about them.
    let target = client.done(&to("10.98.1.2"), "trafficMirrorTargetId");
    let (status, document) = client.mirror(LO, &target);
    assert_eq!(status, 200, "{document}");
    let tags = format!("Action=CreateTags&ResourceId.1={target}&Tag.1.Key=mirror:address");
    let (status, document) = client.call(&format!("{tags}&Tag.1.Value=127.0.0.3"));
    assert!(status == 400 && document.contains("return to their source"), "{document}");
    lab.host.inside(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..20 {
            let _ = socket.send_to(&[7; 100], "127.0.0.1:9");
            pause(20);
        }
    });
    pause(500);
    let ended = mirror.end();
    assert!(ended.count("mirrored") >= 20, "{}", ended.report);
    assert!(ended.count("mirrored") < 200, "{}", ended.report);
    assert!(ended.not_mirrored("own_traffic") > 0, "{}", ended.report);
}

/// Files and options are checked in the same way.
#[test]
fn files_and_options_that_mirror_loopback_to_itself_are_refused() {
    let Some(lab) = Lab::new("lofile") else { return };
    let config = lab.folder.path().join("lo.toml");
    let file = format!(
        "network_interface = [{{ network_interface_id = \"{LO}\", device = \"lo\" }}]\n\
         traffic_mirror_target = [{{ traffic_mirror_target_id = \"t\", address = \"127.0.0.2\" }}]\n\
         traffic_mirror_filter = [{{ traffic_mirror_filter_id = \"f\" }}]\n\
         [[traffic_mirror_session]]\nnetwork_interface_id = \"{LO}\"\n\
         traffic_mirror_target_id = \"t\"\ntraffic_mirror_filter_id = \"f\"\nsession_number = 1\n"
    );
    std::fs::write(&config, file).unwrap();
    let of_file = format!("--config {}", config.display());
    let of_endpoint = format!("{of_file} --ec2-endpoint {ENDPOINT}");
    for words in
        ["-i lo --target 127.0.0.2", "-i lo --target ::ffff:127.0.0.2", &of_file, &of_endpoint]
    {
        let (code, log_lines) = run_refused(lab.host.command(BINARY), words);
        let is_named = log_lines.contains("would not leave this host")
            || log_lines.contains("would return to their source");
        assert!(code == 2 && is_named, "{words}: {code} {log_lines}");
    }
}

#[test]
fn the_copies_of_a_target_that_is_forbidden_after_a_restart_are_dropped() {
    let Some(lab) = Lab::new("forbid") else { return };
    let state = format!("--state {}", lab.folder.path().join("state").display());
    let client = Client { host: &lab.host };
    let mirror =
        start(&lab, &format!("{state} --allow-target 10.0.0.0/8 --allow-target 127.0.0.0/8"));
    let target = client.done(&to("127.0.0.1"), "trafficMirrorTargetId");
    let (status, made) = client.mirror(&client.interface("h0"), &target);
    assert_eq!(status, 200, "{made}");
    let session = text(&made, "trafficMirrorSessionId");
    mirror.end().assert_no_loss();
    let mirror = start(&lab, &state);
    mirror.wait_for_lines(&format!("target {target}: Copies cannot be sent to 127.0.0.1"), 1);
    assert_eq!(mirror.count_lines_with(&session), 1, "{:#?}", mirror.log_lines());
    let found = client.done("Action=DescribeTrafficMirrorSessions", "trafficMirrorSessionId");
    assert_eq!(found, session);
    let (status, document) = client.mirror(&client.interface("m0"), &target);
    assert!(status == 400 && document.contains("loopback"), "{document}");
    let tag = format!("Action=CreateTags&ResourceId.1={target}&Tag.1.Key=Name&Tag.1.Value=x");
    assert_eq!(client.call(&tag).0, 200, "a tag that is not the address is accepted");
    mirror.wait_for_lines("mirroring h0", 1);
    mirror.wait_for_lines(&format!("target {target} has no address"), 1);
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..5).for_each(|number| pair.send(number, 100));
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let tag = format!(
        "Action=CreateTags&ResourceId.1={target}&Tag.1.Key=mirror:address&Tag.1.Value=10.99.1.2"
    );
    assert_eq!(client.call(&tag).0, 200);
    mirror.wait_for_lines(&format!("target {target} has the address 10.99.1.2:4789"), 1);
    (0..5).for_each(|number| pair.send(number, 100));
    assert_eq!(collector.take_after(5).len(), 5);
    let ended = mirror.end();
    assert_eq!(ended.count("mirrored"), 5, "{}", ended.report);
    assert_eq!(ended.report["dropped"]["no_target_address"], 5, "{}", ended.report);
    assert_eq!(ended.sum_of("dropped"), 5, "{}", ended.report);
}

#[test]
fn the_outer_source_follows_the_address_of_a_pinned_device() {
    let Some(lab) = Lab::new("moves") else { return };
    let mirror = start(&lab, &format!("--network-interface {LO}=h0"));
    let client = Client { host: &lab.host };
    let (status, document) = client.mirror(LO, &client.target());
    assert_eq!(status, 200, "{document}");
    let monitor = lab.monitor.inside(|| bind_udp("10.99.1.2:4789"));
    monitor.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let source = || monitor.recv_from(&mut [0; 2048]).unwrap().1.ip().to_string();
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    pair.send(1, 100);
    assert_eq!(source(), "10.98.1.2");
    lab.host.ip("addr del 10.98.1.2/24 dev h0\naddr add 10.98.1.7/24 dev h0\n");
    mirror.wait_for_lines("the addresses of h0", 1);
    mirror.wait_for_lines("to 10.98.1.7", 1);
    let describe = format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={LO}");
    assert_eq!(client.done(&describe, "privateIpAddress"), "10.98.1.7");
    // The device is deleted and created again with another Ethernet address.
    lab.host.ip("link del h0\n");
    lab.connect_host();
    mirror.wait_for_lines("mirroring h0", 2);
    mirror.wait_for_lines("to 10.98.1.2", 1);
    let pair = Pair::new(&lab, IPV4, (4001, 2001));
    while read_queued(&monitor) {}
    // The route is looked up again a moment after the address is back.
    let arrived = (0..100).any(|_| {
        pause(20);
        pair.send(2, 100);
        source() == "10.98.1.2"
    });
    assert!(arrived, "copies still have the old source address");
    mirror.end().assert_no_loss();
}

#[test]
fn a_target_that_is_a_network_interface_follows_its_address() {
    let Some(lab) = Lab::new("follow") else { return };
    let mirror = start(&lab, "");
    let client = Client { host: &lab.host };
    let create =
        format!("Action=CreateTrafficMirrorTarget&NetworkInterfaceId={}", client.interface("m0"));
    let target = client.done(&create, "trafficMirrorTargetId");
    let (status, document) = client.mirror(&client.interface("h0"), &target);
    assert_eq!(status, 200, "{document}");
    mirror.wait_for_lines("mirroring h0", 1);
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    let before = Collector::listen(&lab.host, "10.99.1.1");
    (0..5).for_each(|number| pair.send(number, 100));
    assert_eq!(before.take_after(5).len(), 5);
    lab.host.ip("addr del 10.99.1.1/24 dev m0\naddr add 10.99.1.9/24 dev m0\n");
    mirror.wait_for_lines("the addresses of m0", 1);
    mirror.wait_for_lines("to 10.99.1.9", 1);
    let after = Collector::listen(&lab.host, "10.99.1.9");
    (0..5).for_each(|number| pair.send(number, 100));
    assert_eq!(after.take_after(5).len(), 5);
    mirror.end().assert_no_loss();
}

/// Reads one queued datagram of a socket. Returns false if there is none.
fn read_queued(monitor: &UdpSocket) -> bool {
    monitor.set_nonblocking(true).unwrap();
    let is_read = monitor.recv_from(&mut [0; 2048]).is_ok();
    monitor.set_nonblocking(false).unwrap();
    is_read
}

#[test]
fn a_target_gets_its_address_after_its_session() {
    let Some(lab) = Lab::new("noaddr") else { return };
    let mirror = start(&lab, "--load-balancer web=10.99.1.3");
    let client = Client { host: &lab.host };
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/ids/0123456789";
    let create = format!("Action=CreateTrafficMirrorTarget&NetworkLoadBalancerArn={arn}");
    let target = client.done(&create, "trafficMirrorTargetId");
    let (status, document) = client.mirror(&client.interface("h0"), &target);
    assert_eq!(status, 200, "{document}");
    mirror.wait_for_lines("mirroring h0", 1);
    mirror.wait_for_lines(&format!("target {target} has no address"), 1);
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..5).for_each(|number| pair.send(number, 100));
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let tag = format!("ResourceId.1={target}&Tag.1.Key=mirror:address&Tag.1.Value=10.99.1.2");
    assert_eq!(client.call(&format!("Action=CreateTags&{tag}")).0, 200);
    mirror.wait_for_lines(&format!("target {target} has the address 10.99.1.2:4789"), 1);
    (0..5).for_each(|number| pair.send(number, 100));
    assert_eq!(collector.take_after(5).len(), 5);
    assert_eq!(mirror.count_lines_with("has no address"), 1, "{:#?}", mirror.log_lines());
    let ended = mirror.end();
    assert_eq!(ended.count("mirrored"), 5, "{}", ended.report);
    assert_eq!(ended.report["dropped"]["no_target_address"], 5, "{}", ended.report);
}
