//! Tests of the order of the commands that move an interface to the other tier.

use std::io;

use super::*;
use crate::dataplane::{Burst, InterfaceIndex, MirrorTable, Source};
use crate::io::kernel::KernelTierError;
use crate::io::live::{FilterState, SourceCounts, TrafficSample, Waker};

struct NoFrames;

impl Source for NoFrames {
    fn fill<'a>(&'a mut self, _: &mut Burst<'a>) -> io::Result<()> {
        Ok(())
    }
}

impl LiveSource for NoFrames {
    fn counts(&mut self) -> SourceCounts {
        SourceCounts::default()
    }

    fn memory_len(&self) -> usize {
        0
    }

    fn set_table(&mut self, _: &MirrorTable, _: InterfaceIndex) -> io::Result<()> {
        Ok(())
    }

    fn observe_traffic(&mut self, _: &TrafficSample) -> io::Result<()> {
        Ok(())
    }

    fn filter_state(&self) -> FilterState {
        FilterState::default()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An interface with workers whose threads do nothing.
fn interface(workers: usize) -> InterfaceWorkers {
    let id = NetworkInterfaceId::new("eni-1").unwrap();
    let mut interface = InterfaceWorkers::new(1, id, "h0".to_owned(), EventSink::ignore());
    interface.workers = (0..workers)
        .map(|_| RunningWorker {
            port: WorkerPort::new(Waker::new().unwrap()),
            thread: std::thread::spawn(WorkerResult::default),
        })
        .collect();
    interface
}

fn link() -> Link {
    crate::io::links::links().unwrap().remove(0)
}

fn next(interface: &InterfaceWorkers, worker: usize) -> Option<Command> {
    interface.workers[worker].port.next_command()
}

fn sources(count: usize) -> Vec<Box<dyn LiveSource>> {
    (0..count).map(|_| -> Box<dyn LiveSource> { Box::new(NoFrames) }).collect()
}

#[test]
fn programs_start_when_they_are_attached_and_all_other_rings_are_closed() {
    let interface = interface(3);
    interface.send_programs(|attached| AttachCommand {
        attach: Box::new(|_| Err(KernelTierError::Unsupported)),
        keeps_table: false,
        report: Box::new(|_| {}),
        attached,
    });
    let command = next(&interface, 0);
    assert!(matches!(command, Some(Command::Programs(_))));
    assert!(next(&interface, 1).is_none(), "the programs are not attached yet");
    drop(command);
    let closed = [1, 2].map(|worker| next(&interface, worker));
    assert!(closed.iter().all(|one| matches!(one, Some(Command::NoSource(_)))));
    assert!(next(&interface, 0).is_none(), "the rings are not closed yet");
    drop(closed);
    assert!(matches!(next(&interface, 0), Some(Command::StartPrograms)));
}

#[test]
fn rings_open_when_the_programs_are_suspended_and_the_one_of_their_worker_is_last() {
    let mut interface = interface(3);
    interface.tier = ActiveTier::Kernel;
    interface.attach(&link(), sources(3));
    let suspended = next(&interface, 0);
    assert!(matches!(suspended, Some(Command::SuspendPrograms(_))));
    assert!(next(&interface, 1).is_none(), "the programs still send");
    drop(suspended);
    let mut opened = Vec::new();
    for worker in [1, 2] {
        assert!(matches!(next(&interface, worker), Some(Command::Source(..))));
        opened.push(next(&interface, worker));
    }
    assert!(next(&interface, 0).is_none(), "the other rings are not open yet");
    drop(opened);
    assert!(matches!(next(&interface, 0), Some(Command::Source(..))));
}

#[test]
fn one_worker_has_its_ring_when_its_programs_are_suspended() {
    let mut interface = interface(1);
    interface.tier = ActiveTier::Kernel;
    interface.attach(&link(), sources(1));
    drop(next(&interface, 0));
    assert!(matches!(next(&interface, 0), Some(Command::Source(..))));
}

#[test]
fn rings_open_at_once_without_programs() {
    let mut interface = interface(2);
    interface.attach(&link(), sources(2));
    for worker in [0, 1] {
        assert!(matches!(next(&interface, worker), Some(Command::Source(..))));
    }
}
