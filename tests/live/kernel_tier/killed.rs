//! A run that is killed leaves no program, and the next run removes its pad.

use super::{RUN, kernel_lab, pad_devices};
use crate::collector::Collector;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::pause;

#[test]
fn a_killed_run_mirrors_nothing_and_the_next_run_removes_its_pad() {
    let Some(lab) = kernel_lab("kt-kill") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --mark 7"));
    (0..20).for_each(|number| pair.send(number, 200));
    assert_eq!(collector.take_after(20).len(), 20);
    assert_eq!(pad_devices(&lab.host).len(), 3, "{:?}", pad_devices(&lab.host));

    // The end of the test value kills the program.
    drop(mirror);
    (0..20).for_each(|number| pair.send(number, 200));
    pause(200);
    assert_eq!(collector.take().len(), 0);

    let mirror = Mirror::start(&lab.host, &format!("{RUN} --mark 8"));
    let devices = pad_devices(&lab.host);
    assert!(devices.len() == 3 && devices.iter().all(|name| name.starts_with("tm-8-")));
    (0..20).for_each(|number| pair.send(number, 200));
    assert_eq!(collector.take_after(20).len(), 20);
    mirror.end().assert_no_loss();
    assert_eq!(pad_devices(&lab.host), [""; 0]);
    (0..20).for_each(|number| pair.send(number, 200));
    pause(200);
    assert_eq!(collector.end().len(), 0);
}

/// The pad of a run that is not dead stays.
#[test]
fn a_second_run_keeps_the_pad_of_the_first() {
    let Some(lab) = kernel_lab("kt-two") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirrors = [Mirror::start(&lab.host, RUN), Mirror::start(&lab.host, RUN)];
    assert_eq!(pad_devices(&lab.host).len(), 6, "{:?}", pad_devices(&lab.host));
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    (0..20).for_each(|number| pair.send(number, 200));
    assert_eq!(collector.take_after(40).len(), 40);
    for mirror in mirrors {
        let ended = mirror.end();
        ended.assert_no_loss();
        assert_eq!(ended.count("mirrored"), 20, "{}", ended.report);
    }
    assert_eq!(pad_devices(&lab.host), [""; 0]);
}
