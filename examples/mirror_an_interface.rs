//! Mirrors a network interface of this host for some seconds, and prints the numbers of frames and
//! copies, and why other frames were not mirrored or their copies were dropped.
//!
//! As root, for ten seconds, to UDP port 4789 of 192.0.2.10:
//! `cargo run --example mirror_an_interface -- eth0 192.0.2.10 10`

#![expect(clippy::print_stdout, reason = "an example prints its results")]
#![expect(clippy::disallowed_methods, reason = "the main thread sleeps while the workers mirror")]

use std::env;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use traffic_mirror::control::{Registry, with_network_ids};
use traffic_mirror::dataplane::{Counters, DropCause, NotMirrored};
use traffic_mirror::io::StopFlag;
use traffic_mirror::io::live::{RingOptions, SocketMark};
use traffic_mirror::io::udp::UdpOptions;
use traffic_mirror::model::VXLAN_PORT;
use traffic_mirror::runtime::{Event, EventSink, LiveMirror, Options, Resources};

/// One session that mirrors all traffic of the device to the target.
fn registry(device: &str, target: IpAddr) -> Registry {
    let mut registry = Registry::accept_all(SocketAddr::new(target, VXLAN_PORT), None, None);
    let sources: Vec<_> = registry.sources().map(|interface| interface.id().clone()).collect();
    for id in sources {
        if let Some(interface) = registry.network_interface_mut(&id) {
            interface.device = Some(device.to_owned());
        }
    }
    with_network_ids(registry, 1)
}

/// Prints the counters: received = mirrored + not mirrored + dropped.
fn print(counters: &Counters) {
    println!("{} frames received, {} copies sent", counters.received, counters.mirrored());
    for reason in NotMirrored::ALL {
        let count = counters.not_mirrored(reason);
        if count > 0 {
            println!("{count} not mirrored: {}", reason.label());
        }
    }
    for cause in DropCause::ALL {
        let count = counters.dropped(cause);
        if count > 0 {
            println!("{count} dropped: {}", cause.label());
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(device), Some(target)) = (arguments.next(), arguments.next()) else {
        return Err("expected DEVICE TARGET [SECONDS], such as eth0 192.0.2.10 10".into());
    };
    let seconds = arguments.next().map_or(Ok(10), |text| text.parse())?;

    // Copies that leave through the mirrored device are recognised by this mark and not mirrored.
    let mark = Some(SocketMark::choose().value());
    let options = Options {
        ring: RingOptions { mark, ..RingOptions::default() },
        udp: UdpOptions { mark, ..UdpOptions::default() },
        ..Options::default()
    };
    let resources = Resources::Registry(Box::new(registry(&device, target.parse()?)));
    let events = EventSink::new(|event| match event {
        Event::Heartbeat { .. } => {}
        event => println!("{event}"),
    });
    let mirror = LiveMirror::start(&options, resources, events, StopFlag::new())?;
    std::thread::sleep(Duration::from_secs(seconds));

    let summary = mirror.stop();
    for (_, counters) in &summary.interfaces {
        print(counters);
    }
    Ok(())
}
