//! Copies are not mirrored again if they leave through the mirrored interface.

use socket2::SockRef;

use crate::binding::bind_udp;
use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::ping;
use testkit::namespace::Namespace;
use testkit::print_uncaptured;

const PINGS: u16 = 20;

#[test]
fn copies_sent_through_the_mirrored_interface_are_not_mirrored_again() {
    let Some(lab) = Lab::new("loop") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let before = lab.host.packets("m0");
    let mirror = Mirror::start(&lab.host, "-i m0 --target 10.99.1.2 --virtual-network-id 42");
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    let arrived = collector.take_after(2 * usize::from(PINGS));
    assert_eq!(arrived.len(), 2 * usize::from(PINGS), "requests and replies, each once");
    let ended = mirror.end();
    ended.assert_no_loss();
    let passed = lab.host.packets("m0") - before;
    assert_eq!((ended.count("mirrored"), ended.not_mirrored("own_traffic")), (40, 40));
    assert_eq!(ended.count("received"), passed, "the kernel counted the same: {}", ended.report);
    assert_eq!(collector.end().len(), 0);
}

/// Copies stay counted for the device that they were sent by when the route changes.
#[test]
fn own_traffic_does_not_decrease_when_the_route_moves_to_another_device() {
    let Some(lab) = Lab::new("move") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, "-i m0 --target 10.99.1.2 --virtual-network-id 42");
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    assert_eq!(collector.take_after(2 * usize::from(PINGS)).len(), 2 * usize::from(PINGS));
    lab.monitor.ip(&format!(
        "link add v1 type veth peer name m1 netns {}\nlink set v1 up\n",
        lab.host.name
    ));
    lab.host.ip("link set m1 up\nroute add 10.99.1.2/32 dev m1 src 10.99.1.1\n");
    crate::waiting::pause(500);
    // Requests and copies leave by m1; the replies still arrive at m0.
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    assert_eq!(collector.take_after(usize::from(PINGS)).len(), usize::from(PINGS));
    let ended = mirror.end();
    ended.assert_no_loss();
    let counts = (ended.count("mirrored"), ended.not_mirrored("own_traffic"));
    assert_eq!(counts, (60, 40), "{}", ended.report);
}

/// Copies of another process with the same target are recognised by their headers.
#[test]
fn copies_without_the_own_mark_are_recognised_by_their_headers() {
    let Some(lab) = Lab::new("guard") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let words = "-i m0 --target 10.99.1.2 --virtual-network-id";
    let one = Mirror::start(&lab.host, &format!("{words} 42 --mark 7"));
    let two = Mirror::start(&lab.host, &format!("{words} 43 --mark 8"));
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    let arrived = collector.take_after(4 * usize::from(PINGS));
    assert_eq!(arrived.len(), 4 * usize::from(PINGS), "each ping and reply by both");
    for ended in [one.end(), two.end()] {
        ended.assert_no_loss();
        let own = ended.not_mirrored("own_traffic");
        assert_eq!(
            (ended.count("mirrored"), own),
            (40, 80),
            "own copies and copies of the other process"
        );
    }
    assert_eq!(collector.end().len(), 0);
}

/// Two processes with different marks and targets: each mirrors the copies of the other once.
#[test]
fn two_processes_that_mirror_each_others_copies_stop_looping() {
    let Some(lab) = Lab::new("pair") else { return };
    lab.monitor.ip("addr add 10.99.1.3/24 dev v0\n");
    let near = Collector::listen(&lab.monitor, "10.99.1.2");
    let far = Collector::listen(&lab.monitor, "10.99.1.3");
    let start = |last: u8, more: &str| {
        let words = format!("-i m0 --target 10.99.1.{last} --virtual-network-id 4{last} {more}");
        Mirror::start(&lab.host, &words)
    };
    for more in [["--mark 7", "--mark 8"], ["", ""]] {
        let (one, two) = (start(2, more[0]), start(3, more[1]));
        (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
        for collector in [&near, &far] {
            let arrived = collector.take_after(4 * usize::from(PINGS));
            assert_eq!(
                arrived.len(),
                4 * usize::from(PINGS),
                "pings, replies, and copies of these"
            );
        }
        for ended in [one.end(), two.end()] {
            ended.assert_no_loss();
            let (own, nested) =
                (ended.not_mirrored("own_traffic"), ended.not_mirrored("nested_copy"));
            assert_eq!((ended.count("mirrored"), own, nested), (80, 80, 40), "{}", ended.report);
        }
        assert_eq!(near.take().len() + far.take().len(), 0);
    }
}

/// Adds a vxlan device at both ends of the monitor's cable, 10.97.0.1 and 10.97.0.2. Returns false,
/// and prints `NOT RUN:`, if the kernel has none.
fn add_vxlan(lab: &Lab) -> bool {
    let add = |namespace: &Namespace, device: &str, local: u8| {
        let words = format!(
            "link add vx0 type vxlan id 7 dev {device} local 10.99.1.{local} remote 10.99.1.{} \
             dstport 8472",
            3 - local
        );
        let mut command = namespace.command("ip");
        let output = command.args(words.split_whitespace()).output().unwrap();
        output.status.success().then(|| {
            namespace.ip(&format!("addr add 10.97.0.{local}/24 dev vx0\nlink set vx0 up\n"));
        })
    };
    let is_there = add(&lab.host, "m0", 1).and_then(|()| add(&lab.monitor, "v0", 2)).is_some();
    if !is_there {
        print_uncaptured("NOT RUN: this kernel has no vxlan device\n");
    }
    is_there
}

/// The route to the target uses a tunnel of the kernel, whose outer packets leave by the
/// mirrored interface.
#[test]
fn copies_in_a_tunnel_over_the_mirrored_interface_are_not_mirrored_again() {
    let Some(lab) = Lab::new("tunnel") else { return };
    if !add_vxlan(&lab) {
        return;
    }
    let collector = Collector::listen(&lab.monitor, "10.97.0.2");
    // Resolves the neighbours of the tunnel first.
    ping(&lab.host, "10.97.0.2", 999, 56);
    let mirror = Mirror::start(&lab.host, "-i m0 --target 10.97.0.2 --virtual-network-id 42");
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    let arrived = collector.take_after(2 * usize::from(PINGS));
    let ended = mirror.end();
    ended.assert_no_loss();
    let is_ping = |frame: &[u8]| frame[23] == 1;
    assert_eq!(arrived.iter().filter(|one| is_ping(&one.inner)).count(), 2 * usize::from(PINGS));
    // Neighbour resolution of the tunnel may send a few packets.
    assert!((40..=60).contains(&ended.count("mirrored")), "{}", ended.report);
    assert!(collector.end().len() <= 20);
}

/// An ordinary overlay on the mirrored interface is mirrored completely.
#[test]
fn an_overlay_on_the_mirrored_interface_is_mirrored() {
    let Some(lab) = Lab::new("overlay") else { return };
    if !add_vxlan(&lab) {
        return;
    }
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    ping(&lab.host, "10.97.0.2", 999, 56);
    let mirror = Mirror::start(&lab.host, "-i m0 --target 10.99.1.2 --virtual-network-id 42");
    (0..PINGS).for_each(|number| ping(&lab.host, "10.97.0.2", number, 56));
    let arrived = collector.take_after(2 * usize::from(PINGS));
    let ended = mirror.end();
    ended.assert_no_loss();
    // Ethernet, IP, UDP to the overlay's port, VXLAN, Ethernet, IP: a ping.
    let is_ping =
        |frame: &[u8]| frame.get(36..38) == Some(&[0x21, 0x18]) && frame.get(73) == Some(&1);
    assert_eq!(arrived.iter().filter(|one| is_ping(&one.inner)).count(), 2 * usize::from(PINGS));
    assert_eq!(ended.not_mirrored("nested_copy"), 0, "{}", ended.report);
}

/// The marks that mirrors of the namespace have reserved.
fn reserved_marks(namespace: &Namespace) -> Vec<u32> {
    let sockets = namespace.proc_net("unix");
    let names = sockets.lines().filter_map(|line| line.split("@traffic-mirror/mark/0x").nth(1));
    names.map(|hex| u32::from_str_radix(hex.trim(), 16).unwrap()).collect()
}

/// Datagrams of another program with a mark, to an open port of the monitor.
fn send_marked(lab: &Lab, mark: u32) {
    let far = lab.monitor.inside(|| bind_udp("10.99.1.2:5000"));
    let near = lab.host.inside(|| {
        let socket = bind_udp("10.99.1.1:4000");
        SockRef::from(&socket).set_mark(mark).unwrap();
        socket
    });
    far.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    for _ in 0..PINGS {
        near.send_to(&[7; 100], "10.99.1.2:5000").unwrap();
        assert_eq!(far.recv(&mut [0; 200]).unwrap(), 100);
    }
}

#[test]
fn frames_of_other_programs_with_our_mark_are_counted() {
    let Some(lab) = Lab::new("mark") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let words = "-i m0 --target 10.99.1.2 --virtual-network-id 42";
    for more in ["--mark 109", ""] {
        let mirror = Mirror::start(&lab.host, &format!("{words} {more}"));
        let own = if more.is_empty() { reserved_marks(&lab.host) } else { vec![109] };
        assert_eq!(own.len(), 1, "one mirror has one mark");
        let before = lab.host.packets("m0");
        send_marked(&lab, 109);
        send_marked(&lab, own[0]);
        assert_eq!(collector.take_after(2 * usize::from(PINGS)).len(), 2 * usize::from(PINGS));
        let ended = mirror.end();
        ended.assert_no_loss();
        assert_eq!((ended.count("mirrored"), ended.not_mirrored("own_traffic")), (40, 40));
        let passed = lab.host.packets("m0") - before;
        assert!(ended.count("received") >= passed, "{passed} passed: {}", ended.report);
    }
    assert!(reserved_marks(&lab.host).is_empty(), "the mark is free again");
}

#[test]
fn mirrors_of_one_namespace_have_different_marks() {
    let Some(lab) = Lab::new("marks") else { return };
    let words = "-i m0 --target 10.99.1.2 --virtual-network-id 42";
    let mirrors = [Mirror::start(&lab.host, words), Mirror::start(&lab.host, words)];
    let marks = reserved_marks(&lab.host);
    assert!(matches!(marks[..], [one, two] if one != two), "{marks:?}");
    assert!(marks.iter().all(|mark| *mark != 0 && mark & !0x30ff == 0), "{marks:?}");
    mirrors.into_iter().for_each(|mirror| mirror.end().assert_no_loss());
}
