//! A thread that sends a message to the supervisor when links are added, removed or changed.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event::{Event, EventSink};
use super::message::Message;
use super::namespace::InterfaceNamespace;
use crate::io::links::LinkWatch;

/// The time between two checks whether the [`LinkListener`] still exists.
const LISTEN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The pause after an error.
const RETRY_DELAY: Duration = Duration::from_secs(1);

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
        let namespace = namespace.clone();
        let alive = Arc::new(());
        let is_alive = Arc::downgrade(&alive);
        let listen = move || {
            let open = || namespace.run(LinkWatch::open);
            listen(watch, &is_alive, (&messages, &events), open);
        };
        thread::Builder::new().name("links".to_owned()).spawn(listen)?;
        Ok(Self { _alive: alive })
    }
}

/// Reads the watch until the listener is dropped. After an error the watch is opened again, and the
/// links count as changed.
fn listen(
    mut watch: LinkWatch,
    is_alive: &Weak<()>,
    (messages, events): (&Sender<Message>, &EventSink),
    open: impl Fn() -> io::Result<LinkWatch>,
) {
    let mut is_failing = false;
    while is_alive.strong_count() > 0 {
        match read_changes(&mut watch) {
            Ok(has_changed) => {
                if has_changed || std::mem::take(&mut is_failing) {
                    drop(messages.send(Message::LinksChanged));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    events.send(Event::WatchFailed(format!(
                        "{error}; until this works again, interfaces that appear, disappear or \
                         change are not noticed; retrying every second"
                    )));
                }
                thread::park_timeout(RETRY_DELAY);
                if let Ok(new) = open() {
                    watch = new;
                }
                continue;
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
