//! Live mirroring through the library, without the program.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use traffic_mirror::control::account::{DEFAULT_OWNER, Quotas, TargetResolver};
use traffic_mirror::control::{Registry, with_network_ids};
use traffic_mirror::http::HostNames;
use traffic_mirror::io::StopFlag;
use traffic_mirror::io::links::links;
use traffic_mirror::io::live::{RingOptions, SocketMark};
use traffic_mirror::io::udp::UdpOptions;
use traffic_mirror::model::Settings;
use traffic_mirror::runtime::endpoint::{AccessOptions, EndpointOptions, PreparedEndpoint};
use traffic_mirror::runtime::{Error, Event, EventSink, LiveMirror, Options, Resources};

use crate::collector::Collector;
use crate::lab::Lab;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};

/// One session that accepts everything of h0.
fn registry() -> Registry {
    let target = SocketAddr::from(([10, 99, 1, 2], 4789));
    let mut registry = Registry::accept_all(target, None, None);
    let id = registry.sources().next().unwrap().id().clone();
    registry.network_interface_mut(&id).unwrap().device = Some("h0".to_owned());
    with_network_ids(registry, 1)
}

/// The supervisor may see only the last of several changes.
#[test]
fn an_interface_that_loses_and_regains_its_session_at_once_is_mirrored() {
    let Some(lab) = Lab::new("library") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let (with_session, without_session) = (registry(), Registry::new(Settings::default()));
    let mirror = lab.host.inside(|| {
        let mark = Some(SocketMark::choose().value());
        let options = Options {
            ring: RingOptions { mark, ..RingOptions::default() },
            udp: UdpOptions { mark, ..UdpOptions::default() },
            ..Options::default()
        };
        let resources = Resources::Registry(Box::new(with_session.clone()));
        LiveMirror::start(&options, resources, EventSink::ignore(), StopFlag::new()).unwrap()
    });
    for _ in 0..30 {
        mirror.replace(&without_session);
        mirror.replace(&with_session);
    }
    pause(500);
    wait_until("the capture of h0", || mirror.snapshot().workers.iter().any(|one| one.is_attached));
    assert!(has_worker(), "the worker thread has another name");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..20).for_each(|number| pair.send(number, 60));
    assert_eq!(collector.take_after(20).len(), 20);
    let summary = mirror.stop();
    assert!(summary.is_complete && summary.unaccounted == 0, "{summary:?}");
}

/// The list of links is read before the rings are planned, and the devices are opened afterwards.
#[test]
fn an_interface_that_is_recreated_during_the_start_is_mirrored() {
    let Some(lab) = Lab::new("libanew") else { return };
    let lab = Arc::new(lab);
    let (of_events, has_recreated) = (Arc::clone(&lab), AtomicBool::new(false));
    let events = EventSink::new(move |event| {
        let is_planned = matches!(event, Event::RingMemory { .. });
        if is_planned && !has_recreated.swap(true, Ordering::Relaxed) {
            of_events.wire.ip("link del p0\n");
            of_events.connect_host();
            pause(500);
        }
    });
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let resources = Resources::Registry(Box::new(registry()));
    let mirror = lab.host.inside(|| {
        LiveMirror::start(&Options::default(), resources, events, StopFlag::new()).unwrap()
    });
    wait_until("the capture of h0", || mirror.snapshot().workers.iter().any(|one| one.is_attached));
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..20).for_each(|number| pair.send(number, 60));
    assert_eq!(collector.take_after(20).len(), 20);
    assert!(mirror.stop().is_complete);
}

/// Whether this process has the worker thread of h0.
fn has_worker() -> bool {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let mut names =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.any(|name| name.trim() == "h0-0")
}

#[test]
fn a_start_that_fails_leaves_no_worker() {
    let Some(lab) = Lab::new("libfail") else { return };
    let events = EventSink::ignore();
    lab.host.inside(|| {
        let bound = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = EndpointOptions {
            address: bound.local_addr().unwrap(),
            account_id: DEFAULT_OWNER.to_owned(),
            quotas: Quotas::default(),
            targets: TargetResolver::default(),
            state: None,
            access: AccessOptions::Anyone,
            hosts: HostNames::default(),
            certificate: None,
        };
        let links = links().unwrap();
        let prepared = PreparedEndpoint::new(options, registry(), &links, 1, &events).unwrap();
        let resources = Resources::Endpoint(Box::new(prepared));
        let started = LiveMirror::start(&Options::default(), resources, events, StopFlag::new());
        assert!(matches!(started.err(), Some(Error::Endpoint(_))));
    });
    wait_until("the end of the worker", || !has_worker());
}
