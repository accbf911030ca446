//! A thread that listens for links that come, go or change, and tells the supervisor.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event::{Event, EventSink};
use super::message::Message;
use super::namespace::InterfaceNamespace;
use crate::io::links::LinkWatch;

/// How long the thread listens before it checks whether the supervisor is still there.
const LISTEN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Listens as long as this lives.
pub(super) struct LinkListener {
    _alive: Arc<()>,
}

impl LinkListener {
    /// Starts the thread. The links have to be read after this call: no change is missed then.
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
            Err(error) => return events.send(Event::WatchFailed(error.to_string())),
        }
        // Whatever ended the wait, the watch says what happened.
        let _ = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&LISTEN));
    }
}

/// Whether anything happened; reads all messages of the kernel that have come.
fn read_changes(watch: &mut LinkWatch) -> io::Result<bool> {
    let mut news = false;
    while watch.try_next()?.is_some() {
        news = true;
    }
    Ok(news)
}
