//! Prints the events of live mirroring to standard error, and updates the live line and systemd.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::live_line::LiveLine;
use super::systemd;
use crate::cli::terminal;
use crate::model::ADDRESS_TAG;
use crate::runtime::{Event, EventSink, Severity};

/// Notified when mirroring cannot continue.
pub(super) type Broken = Arc<Notify>;

/// Prints every event. A heartbeat updates the live line and systemd's watchdog.
pub(super) fn printer(broken: Broken) -> EventSink {
    let line = Mutex::new(LiveLine::new());
    EventSink::new(move |event| match event {
        Event::Heartbeat { counters, failing } => {
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            systemd::alive(&line.show(*counters, &failing));
        }
        Event::WorkerLost => {
            terminal::error(&event.to_string());
            broken.notify_one();
        }
        other => print(&other),
    })
}

fn print(event: &Event) {
    let message = message(event);
    match event.severity() {
        Severity::Info => terminal::notice(&message),
        Severity::Warning => terminal::warn(&message),
        Severity::Error => terminal::error(&message),
    }
    if let Event::MetricsServed(address) = event
        && !address.ip().to_canonical().is_loopback()
    {
        terminal::warn(&format!(
            "--metrics `{address}`: this is not a loopback address; every host that can connect to it \
             can read the names and counters of interfaces, sessions and targets"
        ));
    }
}

/// The message of an event, with the name of the option that changes the reported setting, if any.
fn message(event: &Event) -> String {
    match event {
        Event::RingMemory { sentence, is_reduced: true } => {
            format!("{sentence}; --ring-size sets the size of each ring")
        }
        Event::PinFailed { cpu, error } => format!("--cpus `{cpu}`: {error}"),
        Event::StateNotWritable(error) => {
            format!("--state: changes are refused until the file can be written again: {error}")
        }
        Event::StateWritable => {
            "--state: the file can be written again; changes are accepted".to_owned()
        }
        Event::StateNotKept => {
            "state is kept in memory only and lost on exit; use --state FILE to persist it"
                .to_owned()
        }
        Event::TargetAddressUnknown(_) => format!(
            "{event}; set it with the tag {ADDRESS_TAG}, `address` in the configuration, \
             --load-balancer, --gwlb-endpoint or --default-target"
        ),
        Event::EndpointIsOpen => "--no-authentication: every local user can send the traffic of \
                                  this host to any address"
            .to_owned(),
        Event::EndpointNotEncrypted => {
            "without --tls-certificate the connections are not encrypted".to_owned()
        }
        other => other.to_string(),
    }
}
