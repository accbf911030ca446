//! Routes whose MTU is too small for the copies: copies are truncated and never fragmented.

use crate::collector::{Collector, ReceivedCopy};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};
use testkit::namespace::Namespace;

/// The UDP payload in bytes of a frame of 1,514 bytes.
const FULL: usize = 1_472;

/// The length in bytes of the VXLAN, UDP and IPv4 headers.
const OUTER: usize = 36;

#[test]
fn copies_are_truncated_to_the_current_mtu() {
    let Some(lab) = Lab::new("mtu") else { return };
    lab.host.ip("link set m0 mtu 1500\n");
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, "-i h0 --target 10.99.1.2 --virtual-network-id 42");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));

    (0..50).for_each(|number| pair.send(number, FULL));
    (0..50).for_each(|number| pair.answer(number, 100));
    let arrived = collector.take_after(100);
    assert_eq!((of_len(&arrived, 1_500 - OUTER), of_len(&arrived, 142)), (50, 50));

    // A smaller MTU takes effect with the next copy, which is not lost.
    lab.host.ip("link set m0 mtu 1300\n");
    (0..50).for_each(|number| pair.send(number, FULL));
    let arrived = collector.take_after(50);
    assert_eq!((arrived.len(), of_len(&arrived, 1_300 - OUTER)), (50, 50));

    // A larger MTU takes effect within about one second. Each copy has one of the two lengths.
    lab.host.ip("link set m0 mtu 1400\n");
    let mut sent = 0;
    wait_until("copies of the length of the larger MTU", || {
        pair.send(sent, FULL);
        sent += 1;
        pause(10);
        let arrived = collector.take();
        let (old, new) = (of_len(&arrived, 1_300 - OUTER), of_len(&arrived, 1_400 - OUTER));
        assert_eq!(old + new, arrived.len());
        new > 0
    });

    let ended = mirror.end();
    ended.assert_no_loss();
    let session = &ended.report["sessions"][0];
    let (cut, passed) = (u64::from(100 + sent), u64::from(150 + sent));
    assert_eq!((&session["mirrored"], &session["truncated_to_mtu"]), (&passed.into(), &cut.into()));
    assert_eq!(session["truncated"], cut);
    assert_eq!(lab.host.counter("Ip", "FragCreates"), 0);
    assert_eq!(lab.monitor.counter("Ip", "ReasmReqds"), 0);
}

fn of_len(arrived: &[ReceivedCopy], len: usize) -> usize {
    arrived.iter().filter(|one| one.inner.len() == len).count()
}

/// The MTU of the route of the host is large enough for the copies, that of the next router is not.
#[test]
fn copies_are_truncated_to_the_path_mtu() {
    let Some(lab) = Lab::new("pmtu") else { return };
    let far = Namespace::new("pmtu-far");
    lab.monitor.run("sysctl -qw net.ipv4.ip_forward=1");
    lab.monitor.ip(&format!(
        "link add x0 mtu 1300 type veth peer name x1 netns {}\n\
         link set x0 up\naddr add 10.50.0.1/24 dev x0\n",
        far.name
    ));
    far.ip("link set x1 mtu 1300 up\naddr add 10.50.0.2/24 dev x1\n\
            route add default via 10.50.0.1\n");
    lab.host.ip("route add 10.50.0.0/24 via 10.99.1.2\n");
    let collector = Collector::listen(&far, "10.50.0.2");
    let mirror = Mirror::start(&lab.host, "-i h0 --target 10.50.0.2 --virtual-network-id 42");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    let mut sent = 0;
    wait_until("copies that the router forwards", || {
        pair.send(sent, FULL);
        sent += 1;
        pause(10);
        collector.count() > 0
    });
    (0..50).for_each(|number| pair.send(number, FULL));
    let arrived = collector.take_after(50);
    assert_eq!(of_len(&arrived, 1_300 - OUTER), arrived.len());
    assert_eq!(far.counter("Ip", "ReasmReqds"), 0, "nothing is fragmented");
    let ended = mirror.end();
    assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    assert!(ended.report["targets"][0]["mirrored"].as_u64().unwrap() >= 50);
}
