//! Reset, seed, clock, changes during a play, the state file, and the limit of stored copies.

use std::thread;

use testkit::memory_endpoint::send;
use traffic_mirror::lab::{
    CopyFormat, ExplainRequest, Lab, LabErrorKind, LabOptions, PlayInput, PlayOptions, Played,
};

use traffic_mirror::model::InterfacePin;

use crate::resources::{Resources, SOURCE, eni, frame, options};

fn play(lab: &Lab, frames: usize) -> Played {
    let frames = (0..frames).map(|number| frame(u16::try_from(number % 9999).unwrap()).into());
    lab.play(&eni(SOURCE), PlayInput::Frames(frames.collect()), PlayOptions::default()).unwrap()
}

#[test]
fn a_seed_determines_all_ids_also_after_a_reset() {
    let seeded = |seed| LabOptions { seed, ..options() };
    let lab = Lab::new(seeded(Some(7))).unwrap();
    let first = Resources::create(&lab);
    // Requests that only read do not change what follows.
    lab.reset().unwrap();
    send(lab.endpoint(), "Action=DescribeTrafficMirrorFilters");
    assert_eq!(Resources::create(&lab), first);
    assert_eq!(Resources::create(&Lab::new(seeded(Some(7))).unwrap()), first);
    lab.reset().unwrap();
    lab.set_seed(8);
    assert_ne!(Resources::create(&lab), first);
    let [one, two] = [(); 2].map(|()| Resources::create(&Lab::new(seeded(None)).unwrap()));
    assert_ne!(one, two);
}

#[test]
fn a_reset_removes_resources_copies_and_counters() {
    let lab = Lab::new(options()).unwrap();
    let resources = Resources::create(&lab);
    assert_eq!(play(&lab, 10).report.mirrored, 10);
    let before = lab.snapshot();
    assert!(before.contains(&resources.session) && before.contains("\"copies\":10"), "{before}");
    lab.reset().unwrap();
    let after = lab.snapshot();
    assert!(!after.contains("tms-") && !after.contains("tmt-"), "{after}");
    assert!(after.contains("\"received\":0"), "{after}");
    let error = lab.copies_as(&resources.target_id(), CopyFormat::Pcap, 0).unwrap_err();
    assert_eq!(error.kind, LabErrorKind::NotFound);
    let played = play(&lab, 3);
    assert_eq!(played.report.not_mirrored.get("no_session_matched"), Some(&3));
    // The same request with the same token creates a new resource.
    let form = "Action=CreateTrafficMirrorFilter&ClientToken=token";
    assert_eq!(send(lab.endpoint(), form).0, 200);
    lab.reset().unwrap();
    assert_eq!(send(lab.endpoint(), &format!("{form}&Description=other")).0, 200);
}

#[test]
fn resources_are_kept_in_a_state_file_until_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let state = Some(folder.path().join("lab.state"));
    let with_state = || LabOptions { state: state.clone(), ..options() };
    let resources = Resources::create(&Lab::new(with_state()).unwrap());
    let lab = Lab::new(with_state()).unwrap();
    assert!(lab.snapshot().contains(&resources.session));
    assert_eq!(play(&lab, 2).report.mirrored, 2);
    lab.reset().unwrap();
    drop(lab);
    let lab = Lab::new(with_state()).unwrap();
    assert!(!lab.snapshot().contains("tms-"), "{}", lab.snapshot());
}

#[test]
fn copies_beyond_the_limit_are_dropped_and_counted() {
    // Each copy has 50 bytes of headers, 42 of the frame and 4 for its length.
    let lab = Lab::new(LabOptions { copy_memory: 10 * 96, ..options() }).unwrap();
    let resources = Resources::create(&lab);
    let report = play(&lab, 100).report;
    assert_eq!((report.received, report.mirrored), (100, 10));
    assert_eq!(report.dropped.get("no_buffers"), Some(&90));
    assert_eq!(lab.clear_copies(&resources.target_id()), Ok(10));
    assert_eq!(play(&lab, 5).report.mirrored, 5);
}

/// Plays frames at a speed on a thread. Returns when the first copies are stored.
fn start_paced_play(
    lab: &Lab,
    resources: &Resources,
    speed: &str,
    frames: usize,
) -> thread::JoinHandle<Played> {
    let other = lab.clone();
    let paced = PlayOptions { speed: speed.parse().unwrap(), ..PlayOptions::default() };
    let frames = (0..frames).map(|_| frame(7).into()).collect();
    let player =
        thread::spawn(move || other.play(&eni(SOURCE), PlayInput::Frames(frames), paced).unwrap());
    let stored = || lab.copies_as(&resources.target_id(), CopyFormat::Ndjson, 0);
    while !stored().is_ok_and(|all| all.len() > 99) {
        thread::yield_now();
    }
    player
}

#[test]
fn a_session_that_is_deleted_during_a_play_mirrors_no_further_frames() {
    let lab = Lab::new(options()).unwrap();
    let resources = Resources::create(&lab);
    let player = start_paced_play(&lab, &resources, "20kpps", 20_000);
    let delete =
        format!("Action=DeleteTrafficMirrorSession&TrafficMirrorSessionId={}", resources.session);
    assert_eq!(send(lab.endpoint(), &delete).0, 200);
    let report = player.join().unwrap().report;
    let left = report.not_mirrored["no_session_matched"];
    assert!(report.received == 20_000 && left > 0 && left < 20_000, "{report:?}");
}

#[test]
fn pins_change_addresses_and_captures_of_interfaces() {
    let lab = Lab::new(options()).unwrap();
    let resources = Resources::create(&lab);
    let error = lab.play(&eni(SOURCE), PlayInput::Pinned, PlayOptions::default()).unwrap_err();
    assert_eq!(error.code, "MissingCapture");
    let capture = format!("{}/pcaps/quickstart/input.pcap", env!("CARGO_MANIFEST_DIR"));
    let pin = InterfacePin {
        private_ip_addresses: Some(vec!["10.0.0.77".parse().unwrap()]),
        capture: Some(capture.into()),
        ..InterfacePin::default()
    };
    lab.pin_network_interface(&eni(SOURCE), pin).unwrap();
    let played = lab.play(&eni(SOURCE), PlayInput::Pinned, PlayOptions::default()).unwrap();
    assert!(played.report.mirrored > 0);
    let target = resources.target_id();
    lab.pin_target(&target, vec!["192.0.2.33:4790".parse().unwrap()]).unwrap();
    let mut outer = Vec::new();
    lab.clear_copies(&target).unwrap();
    play(&lab, 1);
    lab.for_each_copy(&target, |copy| outer.extend_from_slice(copy.outer)).unwrap();
    assert_eq!(outer[26..34], [10, 0, 0, 77, 192, 0, 2, 33]);
    assert_eq!(outer[36..38], 4790_u16.to_be_bytes());
    let missing = InterfacePin { capture: Some("/nothing".into()), ..InterfacePin::default() };
    let error = lab.pin_network_interface(&eni(SOURCE), missing).unwrap_err();
    assert!(error.message.contains("/nothing"), "{error}");
}

#[test]
fn an_explanation_names_the_session_and_counts_nothing() {
    let lab = Lab::new(options()).unwrap();
    let resources = Resources::create(&lab);
    let request =
        ExplainRequest { network_interface_id: eni(SOURCE), direction: None, frame: frame(1) };
    let text = lab.explain(&request).unwrap();
    assert!(text.contains("\"verdict\":\"mirrored\"") && text.contains(&resources.session));
    assert!(text.contains("\"direction\":\"ingress\""), "{text}");
    assert!(lab.snapshot().contains("\"received\":0"));
    let unknown = ExplainRequest { network_interface_id: eni("eni-0"), ..request };
    assert_eq!(lab.explain(&unknown).unwrap_err().kind, LabErrorKind::NotFound);
}

#[test]
fn faults_are_injected_into_the_copies_and_counted() {
    let impaired = || {
        let impairments = Some("loss=10%,duplicate=10%".parse().unwrap());
        LabOptions { impairments, seed: Some(7), ..options() }
    };
    let lab = Lab::new(impaired()).unwrap();
    let resources = Resources::create(&lab);
    let report = play(&lab, 1000).report;
    let counts = report.impaired.unwrap();
    assert!(counts.lost > 50 && counts.duplicated > 50, "{counts:?}");
    assert_eq!((report.received, report.mirrored), (1000, 1000));
    let stored = |lab: &Lab| lab.copies_as(&resources.target_id(), CopyFormat::Pcap, 0).unwrap();
    let copies = testkit::records::read(&stored(&lab));
    assert_eq!(copies.len(), usize::try_from(1000 - counts.lost + counts.duplicated).unwrap());
    let again = Lab::new(impaired()).unwrap();
    Resources::create(&again);
    play(&again, 1000);
    assert_eq!(stored(&again), stored(&lab), "a seed determines the faults");
}

#[test]
fn interfaces_are_found_by_address_instance_and_tag() {
    let mut options = options();
    let interface = options.registry.network_interface_mut(&eni(SOURCE)).unwrap();
    interface.tags.insert("Name".to_owned(), "web".to_owned());
    interface.tags.insert("Role".to_owned(), "x".to_owned());
    let lab = Lab::new(options).unwrap();
    let instances = lab.ec2("DescribeInstances", &[]).unwrap();
    let ids: Vec<&str> = instances.split("<instanceId>").skip(1).collect();
    let ids = ids.into_iter().map(|text| text.split('<').next().unwrap());
    let found = ids.filter(|id| lab.find_interface(id) == Ok(eni(SOURCE))).count();
    assert_eq!(found, 1, "{instances}");
    for name in [SOURCE, "10.0.0.5", "web", "tag:Role=x"] {
        assert_eq!(lab.find_interface(name), Ok(eni(SOURCE)), "{name}");
    }
    assert_eq!(lab.find_interface("10.0.0.9"), Ok(eni(crate::resources::SENSOR)));
    assert_eq!(lab.find_interface("eni-00000099"), Ok(eni("eni-00000099")));
    for name in ["db", "10.0.0.1", "tag:Role=y", ""] {
        assert_eq!(lab.find_interface(name).unwrap_err().kind, LabErrorKind::NotFound, "{name}");
    }
    let pin = InterfacePin {
        private_ip_addresses: Some(vec!["10.0.0.9".parse().unwrap()]),
        ..InterfacePin::default()
    };
    lab.pin_network_interface(&eni("eni-00000003"), pin).unwrap();
    assert_eq!(lab.find_interface("10.0.0.9").unwrap_err().code, "AmbiguousNetworkInterface");
}

#[test]
fn a_target_without_an_address_is_reported_once_and_when_it_gets_one() {
    let (sender, events) = std::sync::mpsc::channel();
    let lab = Lab::with_events(options(), move |event| sender.send(event).unwrap()).unwrap();
    let arn =
        "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/ids/0123456789abcdef";
    let target = lab.ec2("CreateTrafficMirrorTarget", &[("NetworkLoadBalancerArn", arn)]).unwrap();
    let (_, behind) = target.split_once("<trafficMirrorTargetId>").unwrap();
    let target = behind.split('<').next().unwrap();
    let resources = Resources::create_session(&lab, target);
    let report = play(&lab, 3).report;
    assert_eq!((report.mirrored, report.dropped.get("no_target_address")), (0, Some(&3)));
    assert_eq!(events.try_iter().count(), 1);
    assert_eq!(lab.health(), format!("ok\ntargets without an address: {target}\n"));
    lab.pin_target(&resources.target_id(), vec!["192.0.2.8:4789".parse().unwrap()]).unwrap();
    let known = events.try_iter().next().unwrap().to_string();
    assert!(known.contains(target) && known.contains("192.0.2.8:4789"), "{known}");
    assert_eq!((play(&lab, 3).report.mirrored, &*lab.health()), (3, "ok\n"));
}

#[test]
fn a_reset_ends_plays_which_then_store_and_count_nothing() {
    let lab = Lab::new(options()).unwrap();
    let resources = Resources::create(&lab);
    let player = start_paced_play(&lab, &resources, "1pps", 1000);
    lab.reset().unwrap();
    let played = player.join().unwrap();
    assert_eq!(played.error.as_deref(), Some("the play was stopped"));
    let snapshot = lab.snapshot();
    assert!(snapshot.contains("\"received\":0") && snapshot.contains("\"plays\":0"), "{snapshot}");
    assert!(lab.copies_as(&resources.target_id(), CopyFormat::Ndjson, 0).is_err());
}

#[test]
fn the_report_of_a_play_has_the_sessions_that_were_removed_during_it() {
    let lab = Lab::new(options()).unwrap();
    let resources = Resources::create(&lab);
    let player = start_paced_play(&lab, &resources, "50pps", 20);
    let delete =
        format!("Action=DeleteTrafficMirrorSession&TrafficMirrorSessionId={}", resources.session);
    assert_eq!(send(lab.endpoint(), &delete).0, 200);
    let report = player.join().unwrap().report;
    assert!(report.mirrored > 0 && report.mirrored < 20, "frames are decided when they are due");
    assert_eq!(report.sessions.iter().map(|one| one.mirrored).sum::<u64>(), report.mirrored);
    assert_eq!(report.targets.len(), 1);
}

#[test]
fn a_capture_must_be_a_regular_file() {
    let lab = Lab::new(options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe, folder.path().to_owned()] {
        let pin = InterfacePin { capture: Some(path), ..InterfacePin::default() };
        let error = lab.pin_network_interface(&eni(SOURCE), pin).unwrap_err();
        assert!(error.message.contains("expected a regular file"), "{error}");
    }
}
