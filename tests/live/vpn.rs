//! Targets behind a VPN whose packets leave by the mirrored interface: every copy returns
//! encrypted, and the program breaks this loop.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};
use testkit::print_uncaptured;

/// The client of a VPN whose packets go to the generator, through the mirrored h0.
struct Vpn(Child);

impl Vpn {
    /// None, after `NOT RUN:`, if there is no Python or no tun device.
    fn start(lab: &Lab) -> Option<Self> {
        let mut command = lab.host.command("python3");
        command.args(["tests/live/vpn.py", "tun0", "10.98.1.1", "5999"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let vpn = Self(child);
        if read.is_err() || line != "up\n" {
            print_uncaptured("NOT RUN: a loop through a VPN needs python3 and /dev/net/tun\n");
            return None;
        }
        lab.host.ip("link set tun0 up\naddr add 10.200.0.1/24 dev tun0\n");
        Some(vpn)
    }
}

impl Drop for Vpn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_loop_through_a_vpn_is_stopped_and_reported() {
    let Some(lab) = Lab::new("vpn") else { return };
    let Some(_vpn) = Vpn::start(&lab) else { return };
    let words = "-i h0 --target 10.200.0.2 --virtual-network-id 42 --packet-length 200";
    let mirror = Mirror::start(&lab.host, words);
    mirror.wait_for_lines("leave through the tunnel tun0", 1);
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    // Each datagram starts a loop that would not stop by itself.
    (0..20).for_each(|number| pair.send(number, 100));
    mirror.wait_for_lines("come back to this interface", 1);
    pause(200);
    let after = lab.host.packets("h0");
    pause(500);
    let log_lines = mirror.log_lines();
    let line = log_lines.iter().find(|line| line.contains("come back to this interface")).unwrap();
    assert!(line.contains("h0") && line.contains("10.200.0.2:4789 (through tun0)"), "{line}");
    assert!(lab.host.packets("h0") <= after + 2, "the loop continues");
    // Copies that are not sent are counted.
    pair.send(20, 100);
    let ended = mirror.end();
    assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    assert!(ended.report["dropped"]["loop"].as_u64().unwrap() > 0, "{}", ended.report);
}

#[test]
fn traffic_into_a_vpn_is_mirrored_and_its_encrypted_packets_are_not() {
    let Some(lab) = Lab::new("vpn-ok") else { return };
    let Some(_vpn) = Vpn::start(&lab) else { return };
    let words = "-i m0 --target 10.200.0.2 --virtual-network-id 42";
    let mirror = Mirror::start(&lab.host, words);
    // Steady traffic over m0, whose copies leave by h0, is not a loop.
    let socket = lab.host.inside(|| std::net::UdpSocket::bind("10.99.1.1:0")).unwrap();
    for _ in 0..300 {
        for _ in 0..20 {
            socket.send_to(&[7; 50], "10.99.1.2:9").unwrap();
        }
        pause(4);
    }
    wait_until("all frames", || lab.host.packets("m0") >= 6_000);
    let ended = mirror.end();
    assert_eq!(
        ended.report["dropped"].get("loop"),
        None,
        "{} {:#?}",
        ended.report,
        ended.log_lines
    );
    assert!(ended.count("mirrored") > 5_000, "{}", ended.report);
}
