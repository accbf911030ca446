//! Hosts that mirror to each other: one datagram causes a few copies, and then traffic stops.

use std::net::{IpAddr, SocketAddr};

use crate::binding::bind_udp;
use crate::kernel_tier::is_available;
use crate::mirror::Mirror;
use crate::waiting::pause;
use testkit::namespace::{Namespace, can_run};
use testkit::print_uncaptured;

/// Both hosts copy the datagram and the ICMP error of its closed port, and each host copies these
/// copies of the other one: 2 + 4 + 4 packets. Each of the eight copies reaches a closed port,
/// which causes an ICMP error. A switch may send a few packets to a third host too. A loop would
/// cause thousands of packets.
const MAX_PACKETS: u64 = 40;

/// Traffic has stopped if no packet passed for this time.
const QUIET_MS: u64 = 1_200;

/// Number of waits. If packets still pass after these, the loop has not stopped.
const MAX_PAUSES: usize = 6;

/// Hosts on one switch, each with a device `w0`, whose addresses end in 1, 2, 3 and so on.
struct Hosts {
    hosts: Vec<Namespace>,
    _switch: Namespace,
}

impl Hosts {
    fn new(test: &str, count: usize) -> Option<Self> {
        if !can_run() {
            return None;
        }
        let switch = Namespace::new(&format!("{test}-switch"));
        if !switch.command("tc").arg("-V").output().is_ok_and(|output| output.status.success()) {
            print_uncaptured(
                "NOT RUN: hosts that mirror to each other need tc, to limit a storm\n",
            );
            return None;
        }
        switch.ip("link add br0 type bridge mcast_snooping 0\nlink set br0 up\n");
        let hosts = (1..=count).map(|number| {
            let host = Namespace::new(&format!("{test}-{number}"));
            host.run(
                "sysctl -qw net.ipv6.conf.default.accept_dad=0 \
                 net.ipv6.conf.default.router_solicitations=0",
            );
            switch.ip(&format!(
                "link add s{number} type veth peer name w0 netns {}\n\
                 link set s{number} master br0 up\n",
                host.name
            ));
            host.ip(&format!(
                "link set lo up\n\
                 link set w0 address 02:00:00:00:05:0{number} addrgenmode none up\n\
                 addr add 10.5.0.{number}/24 dev w0\n\
                 addr add fd05::{number}/64 dev w0 nodad\n"
            ));
            // Neighbours are static, so no ARP is counted.
            for other in (1..=count).filter(|other| *other != number) {
                let mac = format!("lladdr 02:00:00:00:05:0{other} dev w0 nud permanent");
                host.ip(&format!(
                    "neigh add 10.5.0.{other} {mac}\nneigh add fd05::{other} {mac}\n"
                ));
            }
            host.run("tc qdisc add dev w0 root tbf rate 20mbit burst 32k limit 64k");
            host
        });
        Some(Self { hosts: hosts.collect(), _switch: switch })
    }

    /// The number of packets that all hosts have received and sent.
    fn packets(&self) -> u64 {
        self.hosts.iter().map(|host| host.packets("w0")).sum()
    }

    /// The same number once traffic has stopped, or after `MAX_PAUSES`.
    fn packets_when_quiet(&self) -> u64 {
        let mut before = self.packets();
        for _ in 0..MAX_PAUSES {
            pause(QUIET_MS);
            let now = self.packets();
            if std::mem::replace(&mut before, now) == now {
                break;
            }
        }
        before
    }

    /// Each host mirrors with its options, and the first one sends a datagram to the second one.
    /// Returns how many packets passed then, and how many copies of copies were not mirrored.
    fn one_datagram(&self, words: &[String]) -> (u64, u64) {
        let mirrors: Vec<Mirror> = self
            .hosts
            .iter()
            .zip(words)
            .map(|(host, words)| {
                Mirror::start(host, &format!("-i w0 --virtual-network-id 1 {words}"))
            })
            .collect();
        let before = self.packets_when_quiet();
        let sender = self.hosts[0].inside(|| bind_udp("10.5.0.1:4000"));
        sender.send_to(b"twelve bytes", "10.5.0.2:5000").unwrap();
        let after = self.packets_when_quiet();
        let ended = mirrors.into_iter().map(Mirror::end);
        let nested = ended.map(|ended| ended.not_mirrored("nested_copy")).sum();
        // Each packet was sent by one host and received by one or, from the switch, by more.
        ((after - before).div_ceil(2), nested)
    }

    fn assert_quiet(&self, words: &[String]) {
        let (packets, nested) = self.one_datagram(words);
        assert!(packets <= MAX_PACKETS, "one datagram caused {packets} packets: {words:?}");
        // The datagram, its two copies and the copies of these: the mirrors worked.
        assert!(packets >= 4 && nested >= 1, "{packets} packets, {nested} nested: {words:?}");
    }
}

fn target(address: &str, port: u16) -> String {
    let address: IpAddr = address.parse().unwrap();
    format!("--target {}", SocketAddr::new(address, port))
}

#[test]
fn two_hosts_that_mirror_to_each_other_stop_looping() {
    let Some(hosts) = Hosts::new("two", 2) else { return };
    for (to_first, to_second, more) in [
        (("10.5.0.1", 4_789), ("10.5.0.2", 4_789), ""),
        (("10.5.0.1", 4_789), ("10.5.0.2", 4_789), "--mark 109"),
        (("10.5.0.1", 7_000), ("10.5.0.2", 8_000), ""),
        (("fd05::1", 4_789), ("fd05::2", 4_789), ""),
        (("fd05::1", 7_000), ("10.5.0.2", 4_789), ""),
    ] {
        let words = [to_second, to_first].map(|(ip, port)| format!("{} {more}", target(ip, port)));
        hosts.assert_quiet(&words);
    }
}

/// The inner copy is truncated within its Ethernet, IP, UDP or VXLAN header, or after these.
#[test]
fn copies_truncated_to_a_few_bytes_stop_looping() {
    let Some(hosts) = Hosts::new("short", 2) else { return };
    for (length, ports) in [
        (1, [4_789; 2]),
        (20, [7_000, 8_000]),
        (34, [4_789; 2]),
        (38, [7_000, 8_000]),
        (45, [7_000, 8_000]),
        (50, [4_789; 2]),
        (60, [7_000, 8_000]),
    ] {
        let words = [("10.5.0.2", ports[0]), ("10.5.0.1", ports[1])]
            .map(|(ip, port)| format!("{} --packet-length {length}", target(ip, port)));
        let (packets, nested) = hosts.one_datagram(&words);
        assert!((4..=MAX_PACKETS).contains(&packets), "{packets} packets with {length} bytes");
        assert!(nested >= 1, "{length} bytes");
    }
}

#[test]
fn three_hosts_in_a_cycle_stop_looping() {
    let Some(hosts) = Hosts::new("ring", 3) else { return };
    for more in ["", "--packet-length 45"] {
        let ring = [("10.5.0.2", 7_000), ("10.5.0.3", 8_000), ("10.5.0.1", 9_000)];
        let words = ring.map(|(ip, port)| format!("{} {more}", target(ip, port)));
        hosts.assert_quiet(&words);
    }
}

/// Each host makes its copies in the kernel, while a frame passes its device.
#[test]
fn hosts_that_mirror_to_each_other_in_the_kernel_tier_stop_looping() {
    for (test, count) in [("kt-two", 2), ("kt-ring", 3)] {
        let Some(hosts) = Hosts::new(test, count) else { return };
        if !is_available(&hosts.hosts[0]) {
            return;
        }
        for (ports, more) in [
            ([4_789; 3], "--tier kernel"),
            ([7_000, 8_000, 9_000], "--tier kernel"),
            ([7_000, 8_000, 9_000], "--tier kernel --packet-length 82"),
        ] {
            let next = |host: usize| format!("10.5.0.{}", (host + 1) % count + 1);
            let words =
                (0..count).map(|host| format!("{} {more}", target(&next(host), ports[host])));
            // Copies are made at once, so more of them pass before the kernel limits ICMP errors.
            let (packets, nested) = hosts.one_datagram(&words.collect::<Vec<_>>());
            assert!((4..=4 * MAX_PACKETS).contains(&packets), "{packets} packets: {more}");
            assert!(nested >= 1, "{more}");
        }
    }
}
