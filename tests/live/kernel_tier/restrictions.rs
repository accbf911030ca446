//! Reloads work in the sandbox and with the capabilities that the kernel tier keeps.

use testkit::config::one_session;

use super::kernel_lab;
use crate::collector::{Collector, by_network};
use crate::mirror::Mirror;
use crate::sandbox::status_of_threads;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};

/// `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_PERFMON` and `CAP_BPF` of `linux/capability.h`.
const KEPT: u64 = 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39;

fn config(address: &str, virtual_network_id: u32) -> String {
    let session = one_session("device = \"h0\"", address, &["ingress"]);
    format!("{session}virtual_network_id = {virtual_network_id}\n")
}

#[test]
fn reloads_and_new_devices_are_mirrored_with_the_capabilities_of_the_kernel_tier() {
    let Some(lab) = kernel_lab("kt-rights") else { return };
    let path = lab.put("mirror.toml", &config("10.99.1.2", 42));
    let mirror = Mirror::start(&lab.host, &format!("--config {path} --tier kernel"));
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        for (name, capabilities) in status_of_threads(&mirror, set) {
            let capabilities = u64::from_str_radix(&capabilities, 16).unwrap();
            assert_eq!(capabilities & !KEPT, 0, "{name}: {set} {capabilities:x}");
        }
    }
    if mirror.count_lines_with("no sandbox") == 0 {
        for (name, filter) in status_of_threads(&mirror, "Seccomp") {
            assert_eq!(filter, "2", "{name}");
        }
    }
    // The new target needs programs at another device.
    lab.monitor.ip(&format!(
        "link add v1 type veth peer name m1 netns {}\n\
         link set v1 address 02:00:00:00:03:02 up\naddr add 10.97.1.2/24 dev v1\n",
        lab.host.name
    ));
    lab.host.ip("addr add 10.97.1.1/24 dev m1\nlink set m1 up\n\
                 neigh replace 10.97.1.2 lladdr 02:00:00:00:03:02 dev m1 nud permanent\n");
    let collector = Collector::listen(&lab.monitor, "10.97.1.2");
    lab.put("mirror.toml", &config("10.97.1.2", 43));
    mirror.signal("-HUP");
    mirror.wait_for_lines("configuration reloaded", 1);
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    let mut sent = 0;
    wait_until("copies of the new sessions", || {
        pair.send(sent, 200);
        sent += 1;
        pause(10);
        collector.count() > 0
    });
    let _ = collector.take_after(1);
    (0..20).for_each(|number| pair.send(number, 200));
    assert_eq!(by_network(&collector.take_after(20)), [(43, 20)].into());
    // The mirrored device is created again.
    lab.host.ip("link del h0\n");
    mirror.wait_for_lines("h0 no longer exists", 1);
    lab.connect_host();
    mirror.wait_for_lines("mirroring h0", 2);
    let pair = Pair::new(&lab, IPV4, (4_001, 2_001));
    (0..20).for_each(|number| pair.send(number, 200));
    assert_eq!(by_network(&collector.take_after(20)), [(43, 20)].into());
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), 40 + u64::from(sent), "{}", ended.report);
}
