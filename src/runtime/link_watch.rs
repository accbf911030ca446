//! A thread that sends a message to the supervisor when links are added, removed or changed.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event::{Event, EventSink};
use super::message::Message;
use super::namespace::InterfaceNamespace;
use crate::io::links::LinkWatch;

/// The time between two checks whether the [`LinkListener`] still exists.
const LISTEN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The running thread. It ends within a second after this is dropped.
pub(super) struct LinkListener {
    _alive: Arc<()>,
}

impl LinkListener {
    /// Starts the thread. The caller must read the links after this call, so that no change is
    /// missed.
    pub(super) fn start(
        namespace: &InterfaceNamespace,
        messages: Sender<Message>,
        events: EventSink,
    ) -> io::Result<Self> {
        let watch = namespace.run(LinkWatch::open)?;
        let alive = Arc::new(());
        let is_alive = Arc::downgrade(&alive);
        let listen = move || listen(watch, &is_alive, &messages, &events);
        thread::Builder::new().name("links".to_owned()).spawn(listen)?;
        Ok(Self { _alive: alive })
    }
}

fn listen(
    mut watch: LinkWatch,
    is_alive: &Weak<()>,
    messages: &Sender<Message>,
    events: &EventSink,
) {
    while is_alive.strong_count() > 0 {
        match read_changes(&mut watch) {
            Ok(true) => drop(messages.send(Message::LinksChanged)),
            Ok(false) => {}
            Err(error) => {
                return events.send(Event::WatchFailed(format!(
                    "{error}; interfaces that appear, disappear or change are no longer noticed"
                )));
            }
        }
        // The result is not needed: the next loop reads the watch in any case.
        let _ = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&LISTEN));
    }
}

/// Reads all pending messages of the kernel. Returns whether there were any.
fn read_changes(watch: &mut LinkWatch) -> io::Result<bool> {
    let mut has_changed = false;
    while watch.try_next()?.is_some() {
        has_changed = true;
    }
    Ok(has_changed)
}
