//! The lab: a mirrored host, a traffic generator behind a wire, and a monitor.
//!
//! ```text
//! gen                wire                  host                mon
//! g0 10.98.1.1 --- p1 [bridge] p0 --- h0 10.98.1.2
//!                                     m0 10.99.1.1 --- v0 10.99.1.2
//! ```
//!
//! The ports of the bridge have no offloads, so the frames at g0 are those that a wire would carry.

use tempfile::TempDir;

use testkit::namespace::{Namespace, can_run};

pub(crate) const GEN_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 1, 2];

/// Four namespaces and their cables, removed with the folder at the end of the test.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) generator: Namespace,
    pub(crate) wire: Namespace,
    pub(crate) host: Namespace,
    pub(crate) monitor: Namespace,
    pub(crate) folder: TempDir,
}

impl Lab {
    /// None, after `NOT RUN:`, if namespaces are not possible.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !can_run() {
            return None;
        }
        let lab = Self {
            generator: Namespace::new(&format!("{test}-gen")),
            wire: Namespace::new(&format!("{test}-wire")),
            host: Namespace::new(&format!("{test}-host")),
            monitor: Namespace::new(&format!("{test}-mon")),
            folder: tempfile::tempdir().unwrap(),
        };
        for namespace in [&lab.generator, &lab.wire, &lab.host, &lab.monitor] {
            // The kernel must not send packets by itself.
            namespace.run(
                "sysctl -qw net.ipv6.conf.default.disable_ipv6=1 \
                 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0",
            );
            namespace.ip("link set lo up\n");
        }
        lab.add_wire();
        lab.connect_monitor();
        Some(lab)
    }

    fn add_wire(&self) {
        let Self { generator, wire, .. } = self;
        wire.ip(&format!(
            "link add p1 type veth peer name g0 netns {}\n\
             link add br0 type bridge mcast_snooping 0\n\
             link set br0 up\n\
             link set p1 master br0 up\n",
            generator.name
        ));
        wire.offload("p1", "tso off gso off tx off gro off");
        generator.offload("g0", "tso off gso off tx off gro off");
        generator.ip("link set g0 address 02:00:00:00:01:01 up\naddr add 10.98.1.1/24 dev g0\n");
        self.connect_host();
    }

    /// Creates h0 and its cable to the bridge.
    pub(crate) fn connect_host(&self) {
        self.wire.ip(&format!(
            "link add p0 type veth peer name h0 netns {}\nlink set p0 master br0 up\n",
            self.host.name
        ));
        self.wire.offload("p0", "tso off gso off gro off");
        self.host.ip("link set h0 address 02:00:00:00:01:02 up\naddr add 10.98.1.2/24 dev h0\n");
    }

    /// Creates m0 and its cable to the monitor.
    pub(crate) fn connect_monitor(&self) {
        let Self { host, monitor, .. } = self;
        monitor.ip(&format!(
            "link add v0 type veth peer name m0 netns {}\n\
             link set v0 address 02:00:00:00:02:02 mtu 9300 up\n\
             addr add 10.99.1.2/24 dev v0\n",
            host.name
        ));
        host.ip(
            "link set m0 address 02:00:00:00:02:01 mtu 9300 up\naddr add 10.99.1.1/24 dev m0\n",
        );
    }

    /// Writes a file in the folder and returns its path.
    pub(crate) fn put(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Adds IPv6 addresses to both cables.
    pub(crate) fn with_ipv6(self) -> Self {
        let Self { generator, host, monitor, .. } = &self;
        for (namespace, device, address) in [
            (generator, "g0", "fd98::1"),
            (host, "h0", "fd98::2"),
            (host, "m0", "fd99::1"),
            (monitor, "v0", "fd99::2"),
        ] {
            namespace.ip(&format!("link set {device} addrgenmode none\n"));
            namespace.run(&format!("sysctl -qw net.ipv6.conf.{device}.disable_ipv6=0"));
            namespace.ip(&format!("addr add {address}/64 dev {device} nodad\n"));
        }
        self
    }

    /// Enables all offloads of the host, or disables them.
    pub(crate) fn with_offloads(self, are_on: bool) -> Self {
        let features =
            if are_on { "gro on tso on gso on" } else { "gro off tso off gso off tx off" };
        self.host.offload("h0", features);
        // The kernel then segments the long messages that run sends before they pass m0.
        self.host.offload("m0", "tx-udp-segmentation off");
        self
    }

    /// Sets the MTU of the wire and of both its ends.
    pub(crate) fn with_mtu(self, mtu: u16) -> Self {
        self.wire
            .ip(&format!("link set p0 mtu {mtu}\nlink set p1 mtu {mtu}\nlink set br0 mtu {mtu}\n"));
        self.generator.ip(&format!("link set g0 mtu {mtu}\n"));
        self.host.ip(&format!("link set h0 mtu {mtu}\n"));
        self
    }
}
